//! Verifies the chain of a certificate against trusted roots.

mod tolerance;

pub(crate) use tolerance::tolerated;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::certificate::ber::Element;
use crate::certificate::{Certificate, Fingerprint};
use crate::redact;

use tolerance::{Judged, OverOriginals, directory_names_are_permitted};

/// The release of `webpki-roots` that is compiled in, and the day it was published. The crate names
/// neither its version nor the day of Mozilla's list; a test holds the version against `Cargo.lock`.
const BUILT_IN: (&str, &str) = ("1.0.10", "2026-10-19");

/// When the roots of that release end, which it does not tell: a line for each, with the first digits
/// of its key's digest, the time, and its name for readers. A test writes it, from the release of
/// `webpki-root-certs` of the same version: `WRITE_ROOTS=1 cargo test -p rotation-core the_ends`.
const ENDS: &str = include_str!("trust/ends.txt");

/// The root certificates that are trusted.
#[derive(Clone, Debug)]
pub struct TrustRoots {
    /// Mozilla's, and behind them those that were added.
    anchors: Vec<TrustAnchor<'static>>,
    /// How many are Mozilla's.
    public: usize,
    /// The certificates of those that were added.
    added: Vec<Certificate>,
}

/// The trusted root that a chain leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// Its subject, for display.
    pub(crate) name: String,
    /// Its public key.
    pub(crate) key: Fingerprint,
    /// Is it in Mozilla's list? The rules of browsers for public authorities hold only for these.
    pub(crate) is_public: bool,
    /// The end of its validity.
    pub(crate) not_after: Option<Timestamp>,
}

/// Why a text is not a list of root certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// The text contains no PEM block, or a broken one.
    #[error("holds no certificates in PEM")]
    NotPem,
    /// A block is not a certificate.
    #[error("holds a block {0} that is not a certificate")]
    NotACertificate(usize),
    /// A block is a leaf or an intermediate, with which viewers would not trust a chain.
    #[error("holds a block {0} that is not the certificate of a root, which issues itself")]
    NotARoot(usize),
}

/// Why a certificate is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// There is no path from the certificate through the chain to a trusted root.
    #[error("no trusted root, and no certificate that leads to one, issued the last of its chain")]
    UnknownIssuer,
    /// A certificate of the path is expired or not yet valid.
    #[error("a certificate of its chain is not valid at this time")]
    Validity,
    /// A signature is wrong: the issuer has the right name but not the right key.
    #[error("a signature in its chain was not made with the key of the named issuer")]
    Signature,
    /// A signature is of a type that is not accepted, such as SHA-1.
    #[error("a signature in its chain is of a type that viewers do not accept")]
    SignatureAlgorithm,
    /// The extended key usage excludes TLS servers.
    #[error("it is not issued for TLS servers (extended key usage serverAuth)")]
    NotForServers,
    /// A certificate is not of version 3.
    #[error("a certificate of its chain is not of X.509 version 3")]
    UnsupportedVersion,
    /// The certificate is a CA certificate.
    #[error("it is a CA certificate, not a server certificate")]
    Authority,
    /// Another rule of X.509, in words.
    #[error("{0}")]
    Other(&'static str),
}

impl TrustRoots {
    /// The roots in Mozilla's programme, which CloudFront relies on: CloudFront Developer Guide,
    /// "Requirements for using SSL/TLS certificates with CloudFront", trusted CA.
    pub fn mozilla() -> Self {
        let anchors = webpki_roots::TLS_SERVER_ROOTS.to_vec();
        Self { public: anchors.len(), anchors, added: Vec::new() }
    }

    /// When the list that is built in was published.
    pub(crate) fn built_in() -> Timestamp {
        format!("{}T00:00:00Z", BUILT_IN.1).parse().expect("a test reads it")
    }

    /// For tests: as if Mozilla's list had only this root.
    #[cfg(test)]
    pub(crate) fn with_public_root(pem: &str) -> Self {
        let none = Self { anchors: Vec::new(), public: 0, added: Vec::new() };
        Self { public: 1, added: Vec::new(), ..none.with_pem(pem).expect("a root") }
    }

    /// Adds the roots in a PEM text, and refuses other certificates: a chain that ends with an
    /// intermediate would be trusted here and not by viewers.
    ///
    /// # Errors
    /// [`RootsError`] if there is no block, or one is not a root.
    pub fn with_roots(self, text: &str) -> Result<Self, RootsError> {
        let blocks = pem::parse_many(text).map_err(|_| RootsError::NotPem)?;
        let not_a_root = blocks.into_iter().position(|block| {
            Certificate::from_der(block.into_contents())
                .is_ok_and(|read| !read.is_ca() || !read.is_self_signed())
        });
        not_a_root.map_or_else(|| self.with_pem(text), |at| Err(RootsError::NotARoot(at + 1)))
    }

    /// Adds the certificates in a PEM text: the content of the file that `SSL_CERT_FILE` names.
    ///
    /// # Errors
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
            self.added.extend(Certificate::from_der(der.to_vec()));
        }
        Ok(self)
    }

    /// Whether a TLS client would find a path from the leaf through the intermediates to a root,
    /// with all certificates valid at that time. Names are not compared; that is done per alias.
    ///
    /// # Errors
    /// [`TrustError`]: why there is no such path.
    pub fn verify(
        &self,
        leaf: &Certificate,
        intermediates: &[Certificate],
        now: Timestamp,
    ) -> Result<(), TrustError> {
        self.find(&self.anchors, leaf, &intermediates.iter().collect::<Vec<_>>(), now).map(drop)
    }

    /// The root that the whole path leads to: one that issued its last certificate.
    ///
    /// # Errors
    /// [`TrustError`]: why viewers would not follow this path.
    pub(crate) fn root_of(
        &self,
        leaf: &Certificate,
        path: &[&Certificate],
        now: Timestamp,
    ) -> Result<Root, TrustError> {
        let issuer = issuer(path.last().copied().unwrap_or(leaf));
        let anchors = self.anchors.iter().filter(|anchor| issuer == anchor.subject.as_ref());
        let anchors: Vec<_> = anchors.cloned().collect();
        self.find(&anchors, leaf, path, now)
    }

    /// Whether a root has the name of the issuer of this certificate.
    pub(crate) fn names_issuer_of(&self, last: &Certificate) -> bool {
        let issuer = issuer(last);
        self.anchors.iter().any(|anchor| issuer == anchor.subject.as_ref())
    }

    fn find(
        &self,
        anchors: &[TrustAnchor<'_>],
        leaf: &Certificate,
        path: &[&Certificate],
        now: Timestamp,
    ) -> Result<Root, TrustError> {
        let all: Vec<&Certificate> = std::iter::once(leaf).chain(path.iter().copied()).collect();
        let judged: Vec<Judged> = all.iter().map(|one| Judged::new(one)).collect();
        let ders: Vec<_> = judged.iter().map(|one| CertificateDer::from(&*one.der)).collect();
        let algorithms: Vec<OverOriginals<'_>> = webpki::ALL_VERIFICATION_ALGS
            .iter()
            .map(|algorithm| OverOriginals { algorithm: *algorithm, judged: &judged })
            .collect();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            algorithms.iter().map(|one| one as _).collect();
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let leaf = EndEntityCert::try_from(&ders[0])?;
        let path = leaf.verify_for_usage(
            &algorithms,
            anchors,
            &ders[1..],
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::server_auth(),
            None,
            None,
        )?;
        if !directory_names_are_permitted(&all) {
            return Err(webpki::Error::NameConstraintViolation.into());
        }
        Ok(self.root(path.anchor()))
    }

    fn root(&self, anchor: &TrustAnchor<'_>) -> Root {
        let key = sequence(&anchor.subject_public_key_info);
        let added = self.added.iter().find(|root| root.public_key_der() == key);
        let name = sequence(&anchor.subject);
        let name = X509Name::from_der(&name).map(|(_, name)| name.to_string()).unwrap_or_default();
        let key = Fingerprint::of(&key);
        Root {
            name: redact::name(&name),
            key,
            is_public: self.anchors[..self.public].contains(anchor),
            not_after: added.map(Certificate::not_after).or_else(|| end_of(key)),
        }
    }
}

/// The end of a root of Mozilla's list.
fn end_of(key: Fingerprint) -> Option<Timestamp> {
    let key = key.short();
    let line = ENDS.lines().find_map(|line| line.strip_prefix(&key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The issuer as a [`TrustAnchor`] has its subject: without the header of the sequence.
fn issuer(certificate: &Certificate) -> &[u8] {
    Element::whole(certificate.issuer_der()).map(|name| name.content()).unwrap_or_default()
}

/// A DER sequence with this content.
pub(super) fn sequence(content: &[u8]) -> Vec<u8> {
    let len = content.len().to_be_bytes();
    let len: Vec<u8> = len.into_iter().skip_while(|byte| *byte == 0).collect();
    let header = match content.len() {
        0..0x80 => vec![0x30, content.len() as u8],
        _ => [&[0x30, 0x80 | len.len() as u8], &len[..]].concat(),
    };
    [&header[..], content].concat()
}

/// For a message: which roots these are.
impl fmt::Display for TrustRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, published) = BUILT_IN;
        write!(
            f,
            "Mozilla's list of included roots, as built into this version (webpki-roots {version} of {published})"
        )?;
        match self.anchors.len() - self.public {
            0 => Ok(()),
            more => write!(f, ", and {more} added to it"),
        }
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
            E::UnsupportedCertVersion => Self::UnsupportedVersion,
            E::CaUsedAsEndEntity => Self::Authority,
            E::NameConstraintViolation => Self::Other(
                "a name in it violates a name constraint of an authority in its chain, which may issue for other names only",
            ),
            E::PathLenConstraintViolated => Self::Other(
                "an authority in its chain may not issue certificates of authorities (path length)",
            ),
            E::EndEntityUsedAsCa => Self::Other(
                "a certificate of its chain is not that of an authority (basic constraints)",
            ),
            E::UnsupportedCriticalExtension => Self::Other(
                "a certificate of its chain has a critical extension that viewers do not know",
            ),
            E::SignatureAlgorithmMismatch => {
                Self::Other("a certificate of its chain names two different signature algorithms")
            }
            E::CertDistrusted => Self::Other("an authority in its chain is distrusted"),
            E::InvalidCertValidity => {
                Self::Other("the validity of a certificate of its chain ends before it begins")
            }
            // What is left are errors of encoding, and limits that only constructed chains exceed.
            _ => Self::Other(
                "a certificate of its chain is encoded in a way that viewers do not accept",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::*;
    use rotation_test_pki::*;

    const NOW: &str = "2026-04-01T00:00:00Z";

    fn verify(roots: &TrustRoots, leaf: &str, chain: &[&str], now: &str) -> Result<(), TrustError> {
        let chain: Vec<_> = chain.iter().map(|pem| certificate(pem)).collect();
        roots.verify(&certificate(leaf), &chain, now.parse().expect("time"))
    }

    #[test]
    fn a_path_leads_from_the_leaf_to_a_root() {
        let root = Authority::root("Root");
        let upper = root.intermediate("Upper");
        let lower = upper.intermediate("Lower");
        let leaf = lower.sign(&leaf_params(&["a.example"]), &p256());
        let direct = root.sign(&leaf_params(&["a.example"]), &p256());
        let roots = TrustRoots::mozilla().with_pem(&root.pem).expect("root");
        let check = |leaf: &str, chain: &[&str], now, expected| {
            assert_eq!(verify(&roots, leaf, chain, now), expected);
        };
        check(&leaf, &[&lower.pem, &upper.pem], NOW, Ok(()));
        check(&direct, &[], NOW, Ok(()));
        check(&leaf, &[&lower.pem], NOW, Err(TrustError::UnknownIssuer));
        check(&leaf, &[], NOW, Err(TrustError::UnknownIssuer));
        check(&leaf, &[&lower.pem, &upper.pem], "2026-07-01T00:00:01Z", Err(TrustError::Validity));
        check(&leaf, &[&lower.pem, &upper.pem], "2025-12-31T00:00:00Z", Err(TrustError::Validity));
        check(&leaf, &[&lower.pem, &upper.pem], "1960-01-01T00:00:00Z", Err(TrustError::Validity));
        check(&lower.pem, &[&upper.pem], NOW, Err(TrustError::Authority));

        // Mozilla's roots do not include the test's own root.
        let mozilla = TrustRoots::mozilla();
        let untrusted = verify(&mozilla, &leaf, &[&lower.pem, &upper.pem], NOW);
        assert_eq!(untrusted, Err(TrustError::UnknownIssuer));
    }

    #[test]
    fn what_a_browser_refuses_is_refused() {
        let root = Authority::root("Root");
        let namesake = Authority::root("Root");
        let roots = TrustRoots::mozilla().with_pem(&root.pem).expect("root");
        let check = |leaf: &str, expected: TrustError| {
            assert_eq!(verify(&roots, leaf, &[], NOW), Err(expected));
        };
        let forged = namesake.sign(&leaf_params(&["a.example"]), &p256());
        check(&forged, TrustError::Signature);

        let mut for_clients = leaf_params(&["a.example"]);
        for_clients.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        check(&root.sign(&for_clients, &p256()), TrustError::NotForServers);

        let mut constrained = authority_params("Constrained");
        constrained.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.org".to_string())],
            excluded_subtrees: vec![],
        });
        let constrained = root.intermediate_from(constrained, p256());
        let leaf = constrained.sign(&leaf_params(&["a.example.com"]), &p256());
        assert_eq!(
            verify(&roots, &leaf, &[&constrained.pem], NOW),
            Err(webpki::Error::NameConstraintViolation.into())
        );

        let roots = roots.with_pem(FIXTURE_ROOT).expect("root");
        let check = |leaf: &str, expected: TrustError| {
            assert_eq!(verify(&roots, leaf, &[], "2030-01-01T00:00:00Z"), Err(expected));
        };
        check(SHA1_LEAF, TrustError::SignatureAlgorithm);
        check(V1_LEAF, TrustError::UnsupportedVersion);
    }

    /// Case S15: the message names the list, and cannot name an older one than is built in.
    #[test]
    fn s15_a_message_names_the_list_of_roots() {
        let (version, published) = BUILT_IN;
        let locked = format!("name = \"webpki-roots\"\nversion = \"{version}\"\n");
        assert!(
            include_str!("../../../../Cargo.lock").contains(&locked),
            "webpki-roots has changed: BUILT_IN needs its version and the day it was published"
        );
        let list = format!(
            "Mozilla's list of included roots, as built into this version (webpki-roots {version} of {published})"
        );
        assert_eq!(TrustRoots::mozilla().to_string(), list);
        let more = TrustRoots::mozilla().with_roots(FIXTURE_ROOT).expect("a root");
        assert_eq!(more.to_string(), format!("{list}, and 1 added to it"));
    }

    /// `WRITE_ROOTS=1` writes the file anew.
    #[test]
    fn the_ends_of_the_roots_are_those_of_mozilla_s_list() {
        let certificates = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        assert_eq!(certificates.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        let mut lines: Vec<String> = certificates
            .iter()
            .map(|der| {
                let root = Certificate::from_der(der.to_vec()).expect("a root");
                let key = Fingerprint::of(root.public_key_der());
                format!("{} {} {}\n", key.short(), root.not_after(), root.name())
            })
            .collect();
        lines.sort();
        if std::env::var_os("WRITE_ROOTS").is_some() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/certificate/trust/ends.txt");
            return std::fs::write(file, lines.concat()).expect("the file is written");
        }
        assert!(ENDS == lines.concat(), "the list of roots has changed: WRITE_ROOTS=1");
        let roots = TrustRoots::mozilla();
        assert!(roots.anchors.iter().all(|anchor| roots.root(anchor).not_after.is_some()));
    }

    /// Case S15: only roots are added to the list.
    #[test]
    fn s15_an_added_root_is_a_root() {
        let root = Authority::root("Root");
        let intermediate = root.intermediate("Intermediate");
        let leaf = intermediate.sign(&leaf_params(&["a.example"]), &p256());
        let check = |text: &str, expected: Result<(), RootsError>| {
            assert_eq!(TrustRoots::mozilla().with_roots(text).map(drop), expected, "{text}");
        };
        check(&format!("Our root\n{}{FIXTURE_ROOT}", root.pem), Ok(()));
        check(&format!("{}{}", root.pem, intermediate.pem), Err(RootsError::NotARoot(2)));
        check(&leaf, Err(RootsError::NotARoot(1)));
        check("", Err(RootsError::NotPem));
        check(RSA_2048_PKCS8, Err(RootsError::NotACertificate(1)));
    }

    #[test]
    fn roots_are_certificates_in_pem() {
        let root = Authority::root("Root").pem;
        let check = |text: &str, expected: Result<usize, RootsError>| {
            let mozilla = TrustRoots::mozilla().anchors.len();
            let read = TrustRoots::mozilla().with_pem(text).map(|all| all.anchors.len() - mozilla);
            assert_eq!(read, expected);
        };
        check(&root, Ok(1));
        check(&format!("# ours\n{root}\n{FIXTURE_ROOT}"), Ok(2));
        check("", Err(RootsError::NotPem));
        check("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----", Err(RootsError::NotPem));
        check(&format!("{root}{RSA_2048_PKCS8}"), Err(RootsError::NotACertificate(2)));
        check(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            Err(RootsError::NotACertificate(1)),
        );
        assert!(TrustRoots::mozilla().anchors.len() > 100);
    }
}
