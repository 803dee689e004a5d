//! The first words of a TLS connection: whom it is for, before anything of it is passed on.
//!
//! `rustls` reads and checks them. It does not tell whether another name is hidden in them
//! (Encrypted Client Hello), so that is looked up here.

use std::io;

use antiphon_wire::Host;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Far above what any client says.
const MOST_BYTES: usize = 32 << 10;

const HANDSHAKE_RECORD: u8 = 22;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

#[derive(Debug)]
pub(crate) struct Hello {
    /// Everything that has been read of the connection.
    pub(crate) bytes: Vec<u8>,
    /// Whom it is for, as far as anybody can see.
    host: Option<Host>,
    /// Whether it may be for somebody else.
    hides: bool,
}

impl Hello {
    /// # Errors
    /// What came is not the beginning of TLS.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut acceptor = Acceptor::default();
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let length = stream.read(&mut piece).await?;
            if length == 0 || bytes.len() + length > MOST_BYTES {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&piece[..length]);
            let mut unread = &piece[..length];
            while !unread.is_empty() {
                acceptor.read_tls(&mut unread)?;
                let accepted =
                    acceptor.accept().map_err(|(error, _)| io::Error::new(io::ErrorKind::InvalidData, error))?;
                if let Some(accepted) = accepted {
                    let host = accepted.client_hello().server_name().and_then(Host::parse);
                    // What cannot be followed may hide something.
                    let hides = extensions(&bytes).is_none_or(|found| found.contains(&ENCRYPTED_CLIENT_HELLO));
                    return Ok(Self { bytes, host, hides });
                }
            }
        }
    }

    /// Whether it is for this host and for no other.
    pub(crate) fn is_for(&self, host: &Host) -> bool {
        !self.hides && self.host.as_ref() == Some(host)
    }
}

/// The kinds of extensions in a whole client hello (RFC 8446, 4.1.2 and 5.1).
fn extensions(mut records: &[u8]) -> Option<Vec<u16>> {
    let mut message = Vec::new();
    while let [HANDSHAKE_RECORD, _, _, high, low, rest @ ..] = records {
        let (fragment, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        message.extend_from_slice(fragment);
        records = rest;
    }
    let mut rest = message.as_slice();
    // Its kind and length, the version, and what is random.
    take(&mut rest, 4 + 2 + 32)?;
    for length_bytes in [1, 2, 1] {
        let length = number(&mut rest, length_bytes)?;
        take(&mut rest, length)?;
    }
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let length = number(&mut rest, 2)?;
    let mut all = take(&mut rest, length)?;
    let mut found = Vec::new();
    while !all.is_empty() {
        found.push(number(&mut all, 2)? as u16);
        let length = number(&mut all, 2)?;
        take(&mut all, length)?;
    }
    Some(found)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8], bytes: usize) -> Option<usize> {
    Some(take(rest, bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// The outer one of an Encrypted Client Hello: its suite, its configuration, a key and what is hidden.
    const HIDDEN: [u8; 12] = [0, 0, 1, 0, 1, 7, 0, 1, 9, 0, 1, 9];

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    /// What a client says first.
    fn hello(name: &str, says_name: bool) -> Vec<u8> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.enable_sni = says_name;
        let mut client = ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same message in records of so many bytes.
    fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
        let record = |part: &[u8]| [&[22, 3, 1], &(part.len() as u16).to_be_bytes()[..], part].concat();
        hello[5..].chunks(size).flat_map(record).collect()
    }

    async fn read(mut bytes: &[u8]) -> io::Result<Hello> {
        Hello::read(&mut bytes).await
    }

    #[tokio::test]
    async fn it_is_for_the_host_that_it_names() {
        let named = read(&hello("A.test", true)).await.unwrap();
        assert!(named.is_for(&host("a.test")));
        assert!(!named.is_for(&host("b.test")));
        assert!(!read(&hello("a.test", false)).await.unwrap().is_for(&host("a.test")));
        // A client says no name to an address.
        assert!(!read(&hello("127.0.0.1", true)).await.unwrap().is_for(&host("a.test")));
    }

    #[tokio::test]
    async fn e07_one_that_may_hide_another_name_is_for_nobody() {
        let plain = hello("a.test", true);
        let hiding = with_extension(&plain, ENCRYPTED_CLIENT_HELLO, &HIDDEN);
        assert!(!read(&hiding).await.unwrap().is_for(&host("a.test")));
        // What only looks like it is refused by whoever reads it.
        assert!(read(&with_extension(&plain, ENCRYPTED_CLIENT_HELLO, &[7; 9])).await.is_err());
        let other = with_extension(&plain, 0x1234, &[0; 40]);
        assert!(read(&other).await.unwrap().is_for(&host("a.test")));
    }

    #[tokio::test]
    async fn what_is_no_tls_has_no_hello() {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"SSH-2.0-x\r\n", b"", &[22, 3, 1, 0, 4, 2, 0, 0, 0]] {
            assert!(read(bytes).await.is_err(), "{bytes:?}");
        }
        let whole = hello("a.test", true);
        assert!(read(&whole[..whole.len() - 1]).await.is_err());
    }

    proptest! {
        #[test]
        fn how_it_is_cut_changes_nothing(size in 1..400_usize, hides: bool) {
            let mut bytes = hello("a.test", true);
            if hides {
                bytes = with_extension(&bytes, ENCRYPTED_CLIENT_HELLO, &HIDDEN);
            }
            let bytes = in_records(&bytes, size);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(read(&bytes)).unwrap();
            prop_assert_eq!(found.is_for(&host("a.test")), !hides);
            prop_assert_eq!(found.bytes, bytes);
        }

        #[test]
        fn hostile_bytes_are_refused_or_read(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            at in 0..200_usize,
            value: u8,
        ) {
            let _ = extensions(&bytes);
            let mut changed = hello("a.test", true);
            let at = at % changed.len();
            changed[at] = value;
            let _ = extensions(&changed);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read(&changed));
        }
    }

    /// A hello with one more extension at its end.
    fn with_extension(hello: &[u8], kind: u16, content: &[u8]) -> Vec<u8> {
        let mut bytes = hello.to_vec();
        let added = [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat();
        let session = usize::from(bytes[43]);
        let suites = 44 + session;
        let methods = suites + 2 + usize::from(u16::from_be_bytes([bytes[suites], bytes[suites + 1]]));
        let list = methods + 1 + usize::from(bytes[methods]);
        // The lengths of the record, of the message (whose first byte is 0) and of the list.
        for at in [3, 7, list] {
            let length = u16::from_be_bytes([bytes[at], bytes[at + 1]]) + added.len() as u16;
            bytes[at..at + 2].copy_from_slice(&length.to_be_bytes());
        }
        bytes.extend(added);
        bytes
    }
}
