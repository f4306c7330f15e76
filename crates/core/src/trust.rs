//! Whom a certificate is trusted by.

use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::certificate::Certificate;

/// The root certificates that are trusted.
#[derive(Clone, Debug)]
pub struct TrustRoots {
    anchors: Vec<TrustAnchor<'static>>,
}

/// Why text is not a list of root certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// The text holds no PEM block, or a broken one.
    #[error("the trusted roots are not PEM")]
    NotPem,
    /// A block is not a certificate.
    #[error("block {0} of the trusted roots is not a certificate")]
    NotACertificate(usize),
}

/// Why a certificate is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No path leads from the certificate through the chain to a trusted root.
    #[error("no trusted root, and no certificate that leads to one, issued the last of its chain")]
    UnknownIssuer,
    /// A certificate of the path is expired or not yet valid.
    #[error("a certificate of its chain is not valid at this time")]
    Validity,
    /// A signature is wrong: the issuer has the right name but not the right key.
    #[error("a signature in its chain was not made with the key of the named issuer")]
    Signature,
    /// A signature is of a kind that is not accepted, such as SHA-1.
    #[error("a signature in its chain is of a kind that viewers do not accept")]
    SignatureAlgorithm,
    /// The extended key usage says it is not for TLS servers.
    #[error("it is not issued for TLS servers (extended key usage serverAuth)")]
    NotForServers,
    /// The certificate is one of an authority.
    #[error("it is the certificate of an authority, not of a server")]
    Authority,
    /// Anything else that `webpki` finds, such as a constraint on names or the path's length.
    #[error("its chain breaks a rule of X.509 ({0})")]
    Other(String),
}

impl TrustRoots {
    /// The roots in Mozilla's programme, which CloudFront goes by: CloudFront Developer Guide,
    /// "Requirements for using SSL/TLS certificates with CloudFront", trusted CA.
    pub fn mozilla() -> Self {
        Self { anchors: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
    }

    /// These and the ones in a PEM text: the content of the file `SSL_CERT_FILE` names.
    ///
    /// # Errors
    ///
    /// [`RootsError`] if there is no block, or one is not a certificate.
    pub fn with_pem(mut self, text: &str) -> Result<Self, RootsError> {
        let blocks = pem::parse_many(text).map_err(|_| RootsError::NotPem)?;
        if blocks.is_empty() {
            return Err(RootsError::NotPem);
        }
        for (i, block) in blocks.into_iter().enumerate() {
            if block.tag() != "CERTIFICATE" {
                return Err(RootsError::NotACertificate(i + 1));
            }
            let der = CertificateDer::from(block.into_contents());
            let anchor = webpki::anchor_from_trusted_cert(&der)
                .map_err(|_| RootsError::NotACertificate(i + 1))?;
            self.anchors.push(anchor.to_owned());
        }
        Ok(self)
    }

    /// Whether a TLS client would find a path from the leaf through the intermediates to a root, all
    /// valid at that time. Names are not compared; that is per alias.
    ///
    /// # Errors
    ///
    /// [`TrustError`]: why there is no such path.
    pub fn verify(
        &self,
        leaf: &Certificate,
        intermediates: &[Certificate],
        now: Timestamp,
    ) -> Result<(), TrustError> {
        let leaf = CertificateDer::from(leaf.der());
        let intermediates: Vec<_> =
            intermediates.iter().map(|certificate| CertificateDer::from(certificate.der())).collect();
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        EndEntityCert::try_from(&leaf)
            .and_then(|leaf| {
                leaf.verify_for_usage(
                    webpki::ALL_VERIFICATION_ALGS,
                    &self.anchors,
                    &intermediates,
                    UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                    KeyUsage::server_auth(),
                    None,
                    None,
                )
                .map(drop)
            })
            .map_err(TrustError::from)
    }
}

impl From<webpki::Error> for TrustError {
    fn from(error: webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::UnknownIssuer => Self::UnknownIssuer,
            E::CertExpired { .. } | E::CertNotValidYet { .. } => Self::Validity,
            E::InvalidSignatureForPublicKey => Self::Signature,
            E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::SignatureAlgorithm,
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Self::NotForServers,
            E::CaUsedAsEndEntity => Self::Authority,
            other => Self::Other(format!("{other:?}")),
        }
    }
}
