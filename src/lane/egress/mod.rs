//! The way out of a lane whose `network` is a list: a proxy of the server, by host name and port.
//!
//! A step of such a lane has no network but a loopback of its own. The only thing that listens there is
//! a socket of the server, made inside the sandbox's network before the step begins ([`listener`]). No
//! process in the sandbox takes part, so there is none to kill or to take over, and when the server or
//! the proxy ends, the socket is gone and nothing goes out. `docs/decisions/0009-egress.md` tells why.

mod address;
mod gate;
mod listener;
mod meter;
mod proxy;
mod tunnel;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio_util::task::AbortOnDropHandle;

use super::{LaneError, cannot};
use crate::config::{LaneConfig, Network};
use crate::run::network::NetworkLog;

/// Where a step finds the proxy: on its own loopback, by the port that proxies mostly have.
const PORT: u16 = 3128;

/// How long a sandbox may take from its first process to the point where the step waits for its network.
const BEGUN_WITHIN: Duration = Duration::from_secs(10);

/// The variables by which programs find a proxy; each has both spellings.
const VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
const EXCEPT: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Tells whether a lane with a list sets a variable itself.
pub(super) fn sets(variable: &str) -> bool {
    VARIABLES.iter().chain(&EXCEPT).any(|name| name.eq_ignore_ascii_case(variable))
}

/// Returns what the steps of a lane have in their environment to find the proxy; nothing where there is
/// none. The step's own loopback is reached without it, but for what the list names.
pub(super) fn variables(network: &Network) -> Vec<(&'static str, String)> {
    if !matches!(network, Network::Listed(_)) {
        return Vec::new();
    }
    let proxy = format!("http://{}:{PORT}", Ipv4Addr::LOCALHOST);
    let own = ["localhost", "127.0.0.1", "::1"].into_iter().filter(|host| !network.mentions(host));
    let except = own.collect::<Vec<_>>().join(",");
    let set = VARIABLES.into_iter().map(|name| (name, proxy.clone()));
    set.chain(EXCEPT.into_iter().map(|name| (name, except.clone()))).collect()
}

/// The proxy of one step; when it is dropped, nothing goes out any more.
#[derive(Debug)]
pub(super) struct Proxy {
    _serving: AbortOnDropHandle<()>,
}

impl Proxy {
    fn new(listener: TcpListener, gate: gate::Gate) -> Self {
        let serving = tokio::spawn(proxy::serve(listener, Arc::new(gate)));
        Self { _serving: AbortOnDropHandle::new(serving) }
    }
}

/// The server's end of the socket on which a step waits for its network, and the step's.
pub(super) fn appointment() -> Result<(UnixStream, OwnedFd), LaneError> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(cannot("make a socket pair"))?;
    ours.set_nonblocking(true).map_err(cannot("make a socket pair"))?;
    Ok((UnixStream::from_std(ours).map_err(cannot("make a socket pair"))?, theirs.into()))
}

/// Waits until the step asks for its network, opens the proxy in it, and lets the step begin. `None`
/// when the sandbox ended before, which its watcher tells.
pub(super) async fn open(
    mut step: UnixStream,
    network: impl FnOnce() -> std::io::Result<OwnedFd>,
    config: &LaneConfig,
    log: &NetworkLog,
) -> Result<Option<Proxy>, LaneError> {
    let mut byte = [0];
    let asked = tokio::time::timeout(BEGUN_WITHIN, step.read(&mut byte)).await;
    let asked = asked.map_err(|_| LaneError::Sandbox("the step does not ask for its network".into()))?;
    if asked.map_err(cannot("hear from a sandbox"))? == 0 {
        return Ok(None);
    }
    let network = network().map_err(cannot("open the network of a sandbox"))?;
    let listener = tokio::task::spawn_blocking(move || listener::listen_in(&network, PORT)).await;
    let listener = listener.map_err(cannot("listen in a sandbox"))?.map_err(cannot("listen in a sandbox"))?;
    listener.set_nonblocking(true).map_err(cannot("listen in a sandbox"))?;
    let listener = TcpListener::from_std(listener).map_err(cannot("listen in a sandbox"))?;
    let gate = gate::Gate {
        network: config.network.clone(),
        private: config.network_private_addresses,
        log: log.clone(),
        resolver: Arc::new(gate::System),
    };
    let proxy = Proxy::new(listener, gate);
    step.write_all(b"g").await.map_err(cannot("let a step begin"))?;
    Ok(Some(proxy))
}
