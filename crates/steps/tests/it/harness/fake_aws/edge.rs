//! The edges: TLS in memory, by SNI, with the certificates of distributions and tenants.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use rotation_viewer::Edges;
use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS12;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_rustls::TlsAcceptor;

use super::FakeAws;
use crate::harness::account::{Account, OddEdge, leaf_of};
use crate::harness::certificates::certificates;

impl FakeAws {
    /// One IPv4 and one IPv6 address, for every edge.
    pub(crate) fn edges(&self) -> Edges {
        let addresses: [SocketAddr; 2] =
            ["192.0.2.1:443", "[2001:db8::1]:443"].map(|one| one.parse().expect("an address"));
        let fake = self.clone();
        let answer = move |host: &str, address: SocketAddr| {
            let group = host.strip_suffix(".cloudfront.net").expect("an edge");
            if fake.with(|world| world.account.disabled_groups.iter().any(|one| one == group)) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            fake.connect(address)
        };
        Edges::in_memory(addresses.into(), Arc::new(answer))
    }

    fn connect(&self, address: SocketAddr) -> io::Result<tokio::io::DuplexStream> {
        let is_refused = self.with(|world| {
            let unreachable =
                world.account.odd_edges.values().any(|one| *one == OddEdge::Unreachable);
            unreachable || address.is_ipv6() && !world.account.has_ipv6
        });
        if is_refused {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (viewer, edge) = tokio::io::duplex(64 * 1024);
        let mutual = self.with(|world| {
            world.account.odd_edges.values().find_map(|one| match one {
                OddEdge::WantsCertificate { tls12, silent } => Some((*tls12, *silent)),
                _ => None,
            })
        });
        let builder = ServerConfig::builder_with_provider(ring::default_provider().into());
        let builder = match mutual {
            Some((true, _)) => builder.with_protocol_versions(&[&TLS12]),
            _ => builder.with_safe_default_protocol_versions(),
        }
        .expect("TLS versions");
        let builder = match mutual {
            Some(_) => builder.with_client_cert_verifier(client_verifier()),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Sni(self.clone())));
        // Tickets need as many random numbers as a handshake, and no viewer resumes a session.
        config.send_tls13_tickets = 0;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        match mutual {
            Some((_, true)) => drop(tokio::spawn(acceptor.accept(Silent { edge, reads: 0 }))),
            _ => drop(tokio::spawn(acceptor.accept(edge))),
        }
        Ok(viewer)
    }
}

/// Accepts clients of the throwaway authority, and no client without a certificate.
fn client_verifier() -> Arc<dyn ClientCertVerifier> {
    let chain = certificates().old.chain.as_bytes();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(chain).expect("a certificate")).expect("a root");
    WebPkiClientVerifier::builder_with_provider(roots.into(), ring::default_provider().into())
        .build()
        .expect("a verifier")
}

/// A connection that is closed instead of answering the second message of the viewer.
struct Silent {
    edge: DuplexStream,
    reads: usize,
}

impl AsyncRead for Silent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.edge).poll_read(context, buffer);
        self.reads += usize::from(read.is_ready());
        read
    }
}

impl AsyncWrite for Silent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.reads > 1 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.edge).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.edge).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.edge).poll_shutdown(context)
    }
}

#[derive(Debug)]
struct Sni(FakeAws);

impl ResolvesServerCert for Sni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or("");
        let (chain, key) = self.0.with(|world| {
            world.handshakes += 1;
            served(&world.account, name)
        })?;
        Some(certified(&chain, &key))
    }
}

/// The PEM chain and the private key for this name.
fn served(account: &Account, name: &str) -> Option<(String, String)> {
    match account.odd_edges.get(name) {
        Some(OddEdge::Serves { chain, key }) => return Some((chain.clone(), key.clone())),
        Some(OddEdge::HangsUp | OddEdge::Unreachable) => return None,
        Some(OddEdge::ServesInsteadOfNew { .. } | OddEdge::WantsCertificate { .. }) | None => {}
    }
    let stored = account.served_under(name)?;
    if let Some(OddEdge::ServesInsteadOfNew { chain, key }) = account.odd_edges.get(name)
        && leaf_of(&stored.pem) == leaf_of(&certificates().new.pem)
    {
        return Some((chain.clone(), key.clone()));
    }
    let key = certificates().key_of(&stored.pem)?;
    Some((format!("{}{}", stored.pem, stored.chain), key.to_owned()))
}

/// Cached, because parsing keys takes longer than a handshake.
fn certified(chain: &str, key: &str) -> Arc<CertifiedKey> {
    static KEYS: OnceLock<Mutex<BTreeMap<String, Arc<CertifiedKey>>>> = OnceLock::new();
    let mut keys = KEYS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let made = keys.entry(format!("{chain}{key}")).or_insert_with(|| {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let key = ring::sign::any_supported_type(&key).expect("a key for signatures");
        Arc::new(CertifiedKey::new(chain.expect("certificates"), key))
    });
    Arc::clone(made)
}
