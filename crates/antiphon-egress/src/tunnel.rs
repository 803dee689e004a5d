//! What follows an allowed `CONNECT`: TLS for the host that was named, and nothing else.

use std::io;

use antiphon_wire::Host;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::dial::Addresses;
use crate::egress::Passage;
use crate::forward;
use crate::hello::Hello;
use crate::proxy::{exchange, preceded};
use crate::refusal::Refusal;

pub(crate) enum Tunnel {
    /// To the host, which alone reads it.
    Passes(TcpStream),
    /// Here, where a request is changed before it goes on to these.
    Ends(Addresses),
}

pub(crate) async fn run(passage: &Passage, host: &Host, tunnel: Tunnel, upgrade: OnUpgrade) -> io::Result<()> {
    let limits = &passage.inner.shared.limits;
    let mut stream = TokioIo::new(upgrade.await.map_err(io::Error::other)?);
    let hello = timeout(limits.head, Hello::read(&mut stream)).await??;
    if !hello.is_for(host) {
        passage.note(&Refusal::Hidden { host: host.clone() });
        return Ok(());
    }
    let mut stream = preceded(hello.bytes, stream);
    match tunnel {
        Tunnel::Passes(mut upstream) => {
            copy_bidirectional(&mut stream, &mut upstream).await?;
        }
        Tunnel::Ends(addresses) => {
            let server = passage.inner.authority.server(host).map_err(io::Error::other)?;
            let stream = timeout(limits.head, TlsAcceptor::from(server).accept(stream)).await??;
            exchange(passage, stream, |request| forward::changed(passage, host, &addresses, request)).await;
        }
    }
    Ok(())
}
