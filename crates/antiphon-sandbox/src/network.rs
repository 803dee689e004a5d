//! A program's way to other machines: one port of its own loopback, and nothing else.
//!
//! The helper makes the listening socket inside the run's network namespace and hands it out, so that whoever started
//! the run takes the connections. A socket stays in the namespace it was made in: there is no process between the two
//! that a program could end or speak for, and the connections of one run come by a socket of its own.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::MemfdFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use tokio::sync::mpsc;

/// Of the loopback inside.
const PORT: u16 = 3128;

/// Where programs find the authorities that they may trust.
pub(crate) const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What a program may be given for a network: see [`Program::network`](crate::Program::network).
#[derive(Debug, Clone)]
pub struct Network {
    listeners: mpsc::Sender<TcpListener>,
    certificates: Arc<Vec<u8>>,
}

impl Network {
    /// A network, and where its listening sockets come out: one for each run, before its program starts. A run whose
    /// socket nobody takes has connections that nobody answers.
    ///
    /// `certificates` are those of the authorities that programs are to trust, as PEM.
    pub fn new(certificates: Vec<u8>) -> (Self, mpsc::Receiver<TcpListener>) {
        let (listeners, taken) = mpsc::channel(1);
        (Self { listeners, certificates: Arc::new(certificates) }, taken)
    }

    /// What tells programs of the proxy and of the authorities, by the names that their libraries know.
    pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
        let proxy = format!("http://127.0.0.1:{PORT}");
        let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        let direct = ["NO_PROXY", "no_proxy"];
        let authorities = [
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
            "GIT_SSL_CAINFO",
            "PIP_CERT",
        ];
        let proxies = proxies.map(|name| (name, proxy.clone())).into_iter();
        // What a program serves to itself.
        let direct = direct.map(|name| (name, "localhost,127.0.0.1,::1".to_owned()));
        let authorities = authorities.map(|name| (name, CERTIFICATES.to_owned()));
        let node = ("NODE_USE_ENV_PROXY", "1".to_owned());
        proxies.chain(direct).chain(authorities).chain([node]).map(|(name, value)| (name.to_owned(), value))
    }

    /// The certificates as a file that `bwrap` reads.
    pub(crate) fn certificates(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(rustix::fs::memfd_create("certificates", MemfdFlags::CLOEXEC)?);
        file.write_all(&self.certificates)?;
        file.rewind()?;
        Ok(file.into())
    }

    /// The warden's end of the way that the socket takes, and the helper's.
    pub(crate) fn door(&self) -> io::Result<(Door, OwnedFd)> {
        let (socket, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Door { socket, listeners: self.listeners.clone() }, theirs))
    }
}

/// What the warden has until the socket has come.
#[derive(Debug)]
pub(crate) struct Door {
    socket: OwnedFd,
    listeners: mpsc::Sender<TcpListener>,
}

impl Door {
    /// Readable once something has come.
    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Passes on what has come. Nothing comes twice.
    pub(crate) fn pass_on(self) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut buffer = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(&mut byte)], &mut buffer, RecvFlags::CMSG_CLOEXEC)?;
        let sockets = buffer.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        // The helper has ended if there is none, and says why.
        let Some(socket) = sockets.flatten().next() else { return Ok(()) };
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        // Whoever wanted it may be gone.
        let _ = self.listeners.try_send(listener);
        Ok(())
    }
}

/// Inside, before there is a program: makes the socket and hands it out.
pub(crate) fn open(door: &OwnedFd) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut buffer = SendAncillaryBuffer::new(&mut space);
    let descriptors = [listener.as_fd()];
    if !buffer.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    rustix::net::sendmsg(door, &[IoSlice::new(&[0])], &mut buffer, SendFlags::empty())?;
    Ok(())
}
