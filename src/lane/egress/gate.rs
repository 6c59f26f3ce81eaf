//! The one way out: a host and a port are judged, and what is reached is the address that was judged.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::address::{Kind, kind};
use super::meter::{Activity, Metered};
use crate::config::Network;
use crate::run::network::{DeniedReason, NetworkLog};

/// How long a name's look-up and each try to connect may take.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// Bounds the addresses of a name that are tried.
const MOST_ADDRESSES: usize = 4;

/// Finds the addresses of a name.
pub(super) trait Resolve: Send + Sync {
    /// Looks a name up.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;
}

/// Asks the system, as every program of the machine does.
pub(super) struct System;

impl Resolve for System {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// What a lane lets out, and where that is noted.
pub(super) struct Gate {
    pub(super) network: Network,
    /// Tells whether names may lead to addresses that are not public.
    pub(super) private: bool,
    pub(super) log: NetworkLog,
    pub(super) resolver: Arc<dyn Resolve>,
}

/// Why a connection was not made.
#[derive(Debug)]
pub(super) enum Refused {
    /// It must not be.
    Denied(DeniedReason),
    /// It could not be.
    Unreachable(String),
}

impl Gate {
    /// Connects to a host, if it may be reached; `host` is as the step wrote it, an IPv6 address in
    /// brackets or not.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
        activity: &Arc<Activity>,
    ) -> Result<Metered, Refused> {
        // The name itself goes out, too: to whoever answers for it.
        if self.log.stream().is_some_and(|mut look| !look(host.as_bytes())) {
            return Err(Refused::Unreachable("its name must not go out".to_owned()));
        }
        let addresses = match self.judge(host, port).await {
            Ok(addresses) => addresses,
            Err(refused) => {
                if let Refused::Denied(reason) = refused {
                    self.log.denied(host, port, reason);
                }
                return Err(refused);
            }
        };
        let mut last = "it has no address".to_owned();
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Waiting to fill packets is for who writes little; here whole pieces pass.
                    let _slower_at_worst = stream.set_nodelay(true);
                    let traffic = self.log.reached(host, port);
                    return Ok(Metered::new(stream, traffic, Arc::clone(activity), self.log.stream()));
                }
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = "it does not answer".to_owned(),
            }
        }
        Err(Refused::Unreachable(last))
    }

    /// Returns the addresses that may be connected to. A name is looked up only if it is listed: a
    /// look-up tells the name to strangers.
    pub(super) async fn judge(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            let listed = self.network.has_address(address, port);
            return if listed {
                Ok(vec![SocketAddr::new(address, port)])
            } else {
                Err(Refused::Denied(DeniedReason::NotListed))
            };
        }
        if !self.network.names(host, port) {
            return Err(Refused::Denied(DeniedReason::NotListed));
        }
        let found = tokio::time::timeout(LOOK_UP_WITHIN, self.resolver.resolve(host, port)).await;
        let found = found.map_err(|_| Refused::Unreachable("its name is not answered for".to_owned()))?;
        let found = found.map_err(|error| Refused::Unreachable(error.to_string()))?;
        if found.is_empty() {
            return Err(Refused::Unreachable("its name has no address".to_owned()));
        }
        let allowed: Vec<SocketAddr> =
            found.into_iter().filter(|found| self.may_reach(found.ip(), port)).collect();
        if allowed.is_empty() { Err(Refused::Denied(DeniedReason::Address)) } else { Ok(allowed) }
    }

    fn may_reach(&self, address: IpAddr, port: u16) -> bool {
        match kind(address) {
            Kind::Public => true,
            Kind::Private if self.private => true,
            Kind::Private | Kind::Never => self.network.has_address(address, port),
        }
    }
}
