//! What passes behind a CONNECT: bytes, of which only the first TLS message is looked into.
//!
//! A TLS connection says in clear text which host it wants (RFC 6066, 3). If that is another than the
//! one that CONNECT named, a host behind the same address would be reached that is not on the list.

use std::io::Cursor;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};

use super::proxy::Target;
use crate::run::network::{DeniedReason, NetworkLog};

/// The first byte of a TLS handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// Bounds a TLS connection's first message, in bytes: the longest that rustls reads.
const MOST_HELLO: usize = 64 << 10;

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hello {
    /// Not enough to tell.
    Unfinished,
    /// They may pass.
    Sound,
    /// They ask for another host: the one that is named, or one that cannot be read.
    Other(Option<String>),
}

/// Passes bytes until both sides have ended.
pub(super) async fn tunnel<I>(
    mut inside: I,
    mut outside: impl AsyncRead + AsyncWrite + Unpin,
    target: &Target,
    log: &NetworkLog,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut first = Vec::new();
    let mut from_outside = vec![0; 16 << 10];
    loop {
        // Some hosts speak first; they are heard while the step's first bytes are waited for.
        tokio::select! {
            read = inside.read_buf(&mut first) => match read {
                Ok(0) | Err(_) => break,
                Ok(_) => match hello(&first, &target.host) {
                    Hello::Unfinished => {}
                    Hello::Sound => break,
                    Hello::Other(name) => {
                        // Nothing of it was sent, and a name is told in the result.
                        if log.stream().is_some_and(|mut look| !look(&first)) {
                            return;
                        }
                        log.denied(name.as_deref().unwrap_or(&target.host), target.port, DeniedReason::ServerName);
                        return;
                    }
                },
            },
            read = outside.read(&mut from_outside) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => if inside.write_all(&from_outside[..count]).await.is_err() { return },
            },
        }
    }
    if outside.write_all(&first).await.is_ok() {
        // How it ends is for the two to tell each other.
        let _ended = copy_bidirectional(&mut inside, &mut outside).await;
    }
}

/// Looks into the first bytes of a connection to `host`.
pub(super) fn hello(bytes: &[u8], host: &str) -> Hello {
    if bytes.first().is_some_and(|first| *first != HANDSHAKE) {
        return Hello::Sound;
    }
    let mut acceptor = Acceptor::default();
    let mut rest = Cursor::new(bytes);
    while acceptor.read_tls(&mut rest).is_ok_and(|count| count > 0) {
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                return match accepted.client_hello().server_name() {
                    Some(name) if !name.eq_ignore_ascii_case(host) => Hello::Other(Some(name.to_owned())),
                    _ => Hello::Sound,
                };
            }
            Err(_) => return Hello::Other(None),
        }
    }
    if bytes.len() < MOST_HELLO { Hello::Unfinished } else { Hello::Other(None) }
}
