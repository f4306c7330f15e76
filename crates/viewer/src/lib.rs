//! Makes a TLS handshake with an edge, as a viewer does, and returns the certificates that were
//! served.
//!
//! It does not decide whether these are the right ones: `rotation_core::target::verification` does.
//! So the handshake continues whatever the certificates are, as long as the edge proves that it has
//! the private key.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Timeout of a connection; edges are near.
const CONNECT: Duration = Duration::from_secs(5);
/// Timeout of the handshake that follows.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The HTTPS port of the edges.
const PORT: u16 = 443;

/// The network that edges are reached through.
#[derive(Clone)]
pub struct Edges(Network);

#[derive(Clone)]
enum Network {
    /// The internet, or one host and port that stands in for all edges.
    System { everywhere: Option<String> },
    /// Edges in the memory of a test; `answer` accepts the connections.
    Memory { addresses: Vec<SocketAddr>, answer: Answer },
}

/// Connects to an edge in memory.
pub type Answer = Arc<dyn Fn(&str, SocketAddr) -> io::Result<DuplexStream> + Send + Sync>;

/// Why an edge served nothing.
#[derive(Debug, thiserror::Error)]
pub enum ViewerError {
    /// The name has no address, or its lookup failed.
    #[error("{host} could not be resolved: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// The error of the resolver.
        source: io::Error,
    },
    /// No TCP connection.
    #[error("connecting to {address} failed: {source}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// The error of the network.
        source: io::Error,
    },
    /// The connection was closed before a certificate was served.
    #[error("{address} ended the handshake before it served a certificate: {source}")]
    Handshake {
        /// The address.
        address: SocketAddr,
        /// The error.
        source: io::Error,
    },
    /// The edge does not prove that it has the private key of the certificate, or breaks the
    /// protocol afterwards.
    #[error("{address} served a certificate and then broke the handshake: {source}")]
    Broken {
        /// The address.
        address: SocketAddr,
        /// The error.
        source: io::Error,
    },
}

/// The certificates that an edge served: the leaf first, each as DER.
pub type Served = Vec<Vec<u8>>;

impl Edges {
    /// The edges of the internet; or `everywhere`, a `host:port` that is used for every edge
    /// (`VIEWER_EDGE`).
    pub fn system(everywhere: Option<String>) -> Self {
        Self(Network::System { everywhere })
    }

    /// Edges in memory, for tests without sockets. `answer` receives the requested host and one of
    /// `addresses`.
    pub fn in_memory(addresses: Vec<SocketAddr>, answer: Answer) -> Self {
        Self(Network::Memory { addresses, answer })
    }

    /// Does one endpoint stand in for all edges? Then neither the name of an edge nor its address
    /// identifies the target; only the SNI does.
    pub fn are_one(&self) -> bool {
        matches!(self.0, Network::System { everywhere: Some(_) })
    }

    /// Resolves the IPv4 and IPv6 addresses of an edge's name.
    ///
    /// # Errors
    /// `Resolve`.
    pub async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, ViewerError> {
        let found = match &self.0 {
            Network::System { everywhere: Some(edge) } => {
                lookup_host(edge).await.map(Vec::from_iter)
            }
            Network::System { everywhere: None } => {
                lookup_host((host, PORT)).await.map(Vec::from_iter)
            }
            Network::Memory { addresses, .. } => Ok(addresses.clone()),
        };
        match found {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(io::Error::from(io::ErrorKind::NotFound)),
            Err(error) => Err(error),
        }
        .map_err(|source| ViewerError::Resolve { host: host.to_owned(), source })
    }

    /// Makes one handshake at an address of the edge `host`: with this name as SNI, or without SNI,
    /// as very old viewers do. Only distributions with dedicated IP addresses (`vip`) serve those.
    ///
    /// # Errors
    /// `Connect`, `Handshake`, `Broken`.
    pub async fn shake_hands(
        &self,
        host: &str,
        address: SocketAddr,
        sni: Option<&str>,
    ) -> Result<Served, ViewerError> {
        match &self.0 {
            Network::System { .. } => {
                let stream = within(CONNECT, TcpStream::connect(address))
                    .await
                    .map_err(|source| ViewerError::Connect { address, source })?;
                handshake(stream, address, sni).await
            }
            Network::Memory { answer, .. } => {
                let stream = answer(host, address)
                    .map_err(|source| ViewerError::Connect { address, source })?;
                handshake(stream, address, sni).await
            }
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
    sni: Option<&str>,
) -> Result<Served, ViewerError> {
    let broken_off = |source| ViewerError::Handshake { address, source };
    let seen = Arc::new(Witness {
        provider: rustls::crypto::ring::default_provider(),
        seen: Mutex::default(),
    });
    let mut config = ClientConfig::builder_with_provider(Arc::new(seen.provider.clone()))
        .with_safe_default_protocol_versions()
        .map_err(|error| broken_off(io::Error::other(error)))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_client_cert_resolver(Arc::clone(&seen) as Arc<dyn ResolvesClientCert>);
    config.enable_sni = sni.is_some();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = match sni {
        Some(name) => ServerName::try_from(name.to_owned())
            .map_err(|error| broken_off(io::Error::other(error)))?,
        None => ServerName::IpAddress(address.ip().into()),
    };
    let shaken =
        within(HANDSHAKE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    let Seen { served, proven, wants_certificate } = seen.with(std::mem::take);
    match shaken {
        Ok(_) => Ok(served),
        Err(source) if served.is_empty() => Err(broken_off(source)),
        // A distribution with viewer mTLS refuses a viewer without a certificate, by an alert of its
        // choice or by closing, but only after it has proven its own.
        Err(_) if proven && wants_certificate => Ok(served),
        Err(source) => Err(ViewerError::Broken { address, source }),
    }
}

/// Accepts and keeps any certificates, and checks that the edge has the leaf's private key.
#[derive(Debug)]
struct Witness {
    provider: CryptoProvider,
    seen: Mutex<Seen>,
}

/// What an edge has sent.
#[derive(Debug, Default)]
struct Seen {
    served: Served,
    /// It has the private key of the leaf.
    proven: bool,
    /// It requested a client certificate.
    wants_certificate: bool,
}

impl Witness {
    fn with<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.with(|seen| seen.wants_certificate = true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let served = chain.map(|certificate| certificate.to_vec()).collect();
        self.with(|seen| seen.served = served);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
            .inspect(|_| self.with(|seen| seen.proven = true))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
            .inspect(|_| self.with(|seen| seen.proven = true))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
