//! A proxy between a test and a host that keeps what it hears.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::gate::{Gate, Resolve};
use super::super::*;
use super::WITHIN;
use crate::run::network::{Denied, DeniedReason};

/// Answers for names by a table, and notes what it was asked.
#[derive(Default)]
pub(super) struct Table {
    addresses: BTreeMap<&'static str, Vec<&'static str>>,
    pub(super) asked: Mutex<Vec<String>>,
}

impl Resolve for Table {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let found = self.addresses.get(host).ok_or_else(|| io::Error::other("no such name"));
        let found =
            found.map(|found| found.iter().map(|it| SocketAddr::new(it.parse().unwrap(), port)).collect());
        Box::pin(async move { found })
    }
}

/// A proxy with a host behind it that keeps what it hears, and answers by a script.
pub(super) struct Rig {
    pub(super) proxy: Option<Proxy>,
    pub(super) address: SocketAddr,
    /// Is the port of the host; it listens on 127.0.0.1.
    pub(super) port: u16,
    pub(super) heard: Arc<Mutex<String>>,
    pub(super) log: NetworkLog,
    pub(super) table: Arc<Table>,
}

/// What the host answers to everything.
pub(super) const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive, X-Own\r\nX-Own: 1\r\n\
    Proxy-Authenticate: Basic\r\nX-Kept: 1\r\n\r\nhello";

impl Rig {
    /// `list` holds entries without their port, which is that of the host.
    pub(super) async fn new(list: &[&str], log: NetworkLog) -> Self {
        let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = host.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(String::new()));
        tokio::spawn(host_that_hears(host, Arc::clone(&heard)));
        let entries = list.iter().map(|entry| format!("{entry}:{port}").parse().unwrap()).collect();
        let addresses = [
            ("good.test", vec!["127.0.0.1"]),
            ("inside.test", vec!["10.0.0.1", "169.254.169.254", "fd00::1"]),
            ("mixed.test", vec!["10.0.0.1", "1.1.1.1", "::ffff:127.0.0.1", "::1"]),
        ];
        let table = Arc::new(Table { addresses: addresses.into(), asked: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Gate {
            network: Network::Listed(entries),
            private: false,
            log: log.clone(),
            resolver: Arc::<Table>::clone(&table),
        };
        Self { proxy: Some(Proxy::new(listener, gate)), address, port, heard, log, table }
    }

    /// A list with a host by name, whose address is listed literally, too.
    pub(super) async fn good() -> Self {
        Self::new(&["good.test", "127.0.0.1", "inside.test", "*.below.test"], NetworkLog::default()).await
    }

    /// Sends bytes and returns everything that comes back until the proxy closes, or until `enough`.
    pub(super) async fn says(&self, bytes: &str, enough: impl Fn(&str) -> bool) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.replace("PORT", &self.port.to_string()).as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let reading = async {
            while stream.read_buf(&mut heard).await.is_ok_and(|count| count > 0)
                && !enough(&String::from_utf8_lossy(&heard))
            {}
        };
        tokio::time::timeout(WITHIN, reading).await.expect("an answer in time");
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// Sends one request, and returns the whole answer.
    pub(super) async fn asks(&self, request: &str) -> String {
        self.says(&request.replacen("\r\n", "\r\nConnection: close\r\n", 1), |_| false).await
    }

    pub(super) fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }

    pub(super) fn denied(&self) -> Vec<(String, DeniedReason, u64)> {
        let denied = self.log.report().denied.into_iter();
        denied.map(|Denied { host, reason, times, .. }| (host, reason, times)).collect()
    }
}

async fn host_that_hears(host: TcpListener, heard: Arc<Mutex<String>>) {
    loop {
        let (mut stream, _) = host.accept().await.unwrap();
        let heard = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
                if stream.write_all(ANSWER.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}
