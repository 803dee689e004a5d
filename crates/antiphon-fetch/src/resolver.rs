//! Names to addresses. A connection goes to the very addresses that were checked: there is no
//! second question whose answer could be another.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::error::Refusal;
use crate::gate::Gate;
use crate::options::Purpose;

/// A name with more addresses is a flood.
const MOST_ADDRESSES: usize = 64;

pub type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Asks for the addresses of a name.
pub trait Lookup: Send + Sync {
    fn addresses(&self, name: &str) -> Answer;

    /// Where a checked address is dialled; the port is the URL's. Tests lead the public
    /// internet to loopback here, behind the policy.
    fn dialled(&self, checked: IpAddr) -> IpAddr {
        checked
    }
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, name: &str) -> Answer {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// The resolver of the connections for one purpose.
pub(crate) struct GuardedResolver {
    pub(crate) purpose: Purpose,
    pub(crate) gate: Arc<Gate>,
    pub(crate) lookup: Arc<dyn Lookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (purpose, gate, lookup) = (self.purpose, Arc::clone(&self.gate), Arc::clone(&self.lookup));
        Box::pin(async move {
            let addresses = lookup.addresses(name.as_str()).await?;
            if addresses.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            if addresses.len() > MOST_ADDRESSES {
                return Err(Refusal::Address.into());
            }
            // One bad address among good ones is an attempt to be dialled by chance.
            for address in &addresses {
                gate.admits(*address, purpose)?;
            }
            let dialled: Vec<_> =
                addresses.into_iter().map(|address| SocketAddr::new(lookup.dialled(address), 0)).collect();
            Ok(Box::new(dialled.into_iter()) as Addrs)
        })
    }
}
