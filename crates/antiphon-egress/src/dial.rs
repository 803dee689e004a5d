//! Names to addresses, and connections to them. An address is dialled only after it was found to
//! be public, and it is that very address which is dialled: no second question is asked whose
//! answer could be another.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use antiphon_fetch::{Lookup, Network, is_public};
use antiphon_wire::Host;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::refusal::Refusal;

/// A name with more addresses is a flood.
const MOST_ADDRESSES: usize = 64;

/// Where a checked address is dialled: tests lead the public internet to loopback here, behind
/// the policy.
pub type Dialed = Arc<dyn Fn(SocketAddr) -> SocketAddr + Send + Sync>;

pub(crate) struct Dialer {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) networks: Vec<Network>,
    pub(crate) rewrites: BTreeMap<(Host, u16), SocketAddr>,
    pub(crate) dialed: Option<Dialed>,
    pub(crate) connect: Duration,
}

/// Where a host is, for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses(Vec<SocketAddr>);

impl Dialer {
    /// # Errors
    /// The name has no address, or one that is not public.
    pub(crate) async fn resolve(&self, host: &Host, port: u16) -> Result<Addresses, Refusal> {
        if let Some(to) = self.rewrites.get(&(host.clone(), port)) {
            return Ok(Addresses(vec![*to]));
        }
        let found = timeout(self.connect, self.lookup.addresses(host.as_str())).await;
        let found = found.ok().and_then(Result::ok).unwrap_or_default();
        // One bad address among good ones is an attempt to be dialled by chance.
        if found.is_empty() || found.len() > MOST_ADDRESSES || !found.iter().all(|address| self.admits(*address)) {
            return Err(Refusal::Address { host: host.clone() });
        }
        let dialled = |address: IpAddr| {
            let address = SocketAddr::new(address, port);
            self.dialed.as_ref().map_or(address, |dialed| dialed(address))
        };
        Ok(Addresses(found.into_iter().map(dialled).collect()))
    }

    fn admits(&self, address: IpAddr) -> bool {
        is_public(address) || self.networks.iter().any(|network| network.contains(address))
    }

    /// A connection to the first of the addresses that takes it.
    pub(crate) async fn connect(&self, addresses: &Addresses) -> io::Result<TcpStream> {
        for address in &addresses.0 {
            if let Ok(Ok(stream)) = timeout(self.connect, TcpStream::connect(*address)).await {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
        }
        Err(io::ErrorKind::HostUnreachable.into())
    }
}
