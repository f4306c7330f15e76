//! The edges: TLS in memory, by SNI, with the certificates of distributions and tenants.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rotation_viewer::Edges;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::FakeAws;
use crate::harness::account::{Account, OddEdge};
use crate::harness::certificates::certificates;

impl FakeAws {
    /// One IPv4 and one IPv6 address, for every edge.
    pub(crate) fn edges(&self) -> Edges {
        let addresses: [SocketAddr; 2] =
            ["192.0.2.1:443", "[2001:db8::1]:443"].map(|one| one.parse().expect("an address"));
        let fake = self.clone();
        let answer = move |host: &str, address: SocketAddr| {
            assert!(host.ends_with(".cloudfront.net"), "{host} is no edge");
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
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Sni(self.clone())));
        // Tickets need as many random numbers as a handshake, and no viewer resumes a session.
        config.send_tls13_tickets = 0;
        tokio::spawn(TlsAcceptor::from(Arc::new(config)).accept(edge));
        Ok(viewer)
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
        None => {}
    }
    let stored = account.served_under(name)?;
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
