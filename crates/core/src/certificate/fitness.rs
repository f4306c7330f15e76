//! Will the new certificate do, in this store, in place of that old one?

use jiff::Timestamp;

use crate::certificate::bundle::Bundle;
use crate::certificate::{Certificate, Fingerprint, KeyAlgorithm};
use crate::certificate::{TrustError, TrustRoots};
use crate::finding::{Ending, Finding};
use crate::ids::Store;

/// CloudFront takes at most this many, the leaf included: Developer Guide, "Troubleshooting
/// distribution issues".
const MAX_CERTIFICATES: usize = 5;

/// What matters about the certificate that is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldCertificate {
    /// The digest of its DER.
    pub fingerprint: Fingerprint,
    /// The last moment it is valid.
    pub not_after: Timestamp,
}

/// Everything that speaks against putting this certificate in the place of the old one, all at once.
/// Empty if nothing does. Which aliases it has to cover is a question per target, and not asked here.
///
/// The rules are those of the CloudFront Developer Guide, "Requirements for using SSL/TLS
/// certificates with CloudFront", and of ACM's `ImportCertificate` and IAM's
/// `UploadServerCertificate`.
pub fn check(
    bundle: &Bundle,
    old: &OldCertificate,
    store: Store,
    roots: &TrustRoots,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_replaces(&bundle.leaf, old, &mut findings);
    findings.extend(fit(bundle, store, roots, now));
    findings
}

/// Everything that speaks against serving this certificate from that store, whatever it may replace; the
/// part of [`check`] that needs no old certificate.
pub fn fit(bundle: &Bundle, store: Store, roots: &TrustRoots, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_key(bundle, store, &mut findings);
    check_leaf(bundle, &mut findings);
    check_sizes(bundle, store, &mut findings);
    check_validity(bundle, now, &mut findings);
    check_signatures(bundle, &mut findings);
    check_trust(bundle, roots, now, &mut findings);
    findings
}

fn check_replaces(leaf: &Certificate, old: &OldCertificate, findings: &mut Vec<Finding>) {
    if leaf.fingerprint() == old.fingerprint {
        findings.push(finding(
            leaf_name(leaf),
            "it is the old certificate",
            "Store the renewed certificate in the source",
        ));
    } else if leaf.not_after() <= old.not_after {
        findings.push(finding(
            leaf_name(leaf),
            format!(
                "it is valid until {}, no longer than the old one, until {}",
                leaf.not_after(),
                old.not_after
            ),
            "Store the renewed certificate in the source, or correct which certificate is the old one",
        ));
    }
}

fn check_key(bundle: &Bundle, store: Store, findings: &mut Vec<Finding>) {
    let algorithm = bundle.leaf.key_algorithm();
    let taken =
        matches!(algorithm, KeyAlgorithm::Rsa { bits: 2048 | 3072 | 4096 } | KeyAlgorithm::P256);
    if !taken {
        let problem = match algorithm {
            // AWS's page still names it.
            KeyAlgorithm::Rsa { bits: 1024 } => {
                "its key is RSA 1024, which no public authority signs any more and viewers refuse"
                    .to_string()
            }
            _ => format!("its key is {algorithm}, which CloudFront does not accept from {store}"),
        };
        let cure = "Have it issued for a new key, RSA of 2048, 3072 or 4096 bits or ECDSA P-256";
        findings.push(finding(leaf_name(&bundle.leaf), problem, cure));
    }

    match bundle.key.matches(&bundle.leaf) {
        Ok(true) => {}
        Ok(false) => findings.push(finding(
            "private key of the new certificate",
            format!(
                "it does not match the certificate {}, whose key is {algorithm}",
                bundle.leaf.name()
            ),
            "Store the private key from which this certificate was requested",
        )),
        // A key that cannot be read here belongs to a certificate that was refused for it above.
        Err(_) if !taken => {}
        Err(error) => findings.push(finding(
            "private key of the new certificate",
            error.to_string(),
            "Rewrite it with `openssl pkey -in key.pem -out rewritten.pem`, or store the one \
             from which this certificate was requested",
        )),
    }
}

fn check_leaf(bundle: &Bundle, findings: &mut Vec<Finding>) {
    let leaf = &bundle.leaf;
    if !leaf.is_version_3() {
        findings.push(finding(
            leaf_name(leaf),
            "it is not an X.509 certificate of version 3",
            "Have it issued by a public authority",
        ));
    }
    if leaf.dns_names().is_empty() {
        findings.push(finding(
            leaf_name(leaf),
            "it has no DNS name among its subject alternative names, and its common name does not \
             count",
            "Have it issued with every alias, or a wildcard for it, as subject alternative name",
        ));
    }
    // ACM: "The key algorithm of the certificate must match that of the signing CA".
    if let (Some(own), Some(issuer)) = (leaf.key_algorithm().family(), leaf.signed_with())
        && own != issuer
    {
        findings.push(finding(
            leaf_name(leaf),
            format!(
                "its key is {own}, but the key of its issuer is {issuer}; ACM accepts only the same type"
            ),
            format!("Have it issued for an {issuer} key, or from an {own} chain of the authority"),
        ));
    }
}

/// The chain's own limit, 2,097,152 bytes in both stores, cannot be reached by a source of at most
/// [`crate::certificate::bundle::MAX_SOURCE_BYTES`].
fn check_sizes(bundle: &Bundle, store: Store, findings: &mut Vec<Finding>) {
    let count = 1 + bundle.intermediates.len();
    if count > MAX_CERTIFICATES {
        findings.push(finding(
            "chain of the new certificate",
            format!("it has {count} certificates; CloudFront accepts {MAX_CERTIFICATES} at most"),
            "Ask the authority for a shorter chain, without cross-signed certificates",
        ));
    }

    // `CertificateBodyBlob` and `PrivateKeyBlob` of ACM, `certificateBodyType` and `privateKeyType`
    // of IAM.
    let (max_body, max_key) = match store {
        Store::Acm => (32_768, 5_120),
        Store::Iam => (16_384, 16_384),
    };
    let parts = [
        (leaf_name(&bundle.leaf), bundle.leaf.to_pem().len(), max_body),
        ("private key of the new certificate".to_string(), bundle.key.pem_len(), max_key),
    ];
    for (subject, bytes, max) in parts {
        if bytes > max {
            findings.push(finding(
                subject,
                format!("it has {bytes} bytes in PEM; {store} accepts {max} at most"),
                "Have a certificate issued with fewer names or a smaller key",
            ));
        }
    }
}

fn check_validity(bundle: &Bundle, now: Timestamp, findings: &mut Vec<Finding>) {
    for (subject, certificate) in named(bundle) {
        if now < certificate.not_before() {
            findings.push(finding(
                subject,
                format!("it is not valid before {}", certificate.not_before()),
                "Start the rotation again after that, or have a certificate issued that is valid now",
            ));
        } else if now > certificate.not_after() {
            findings.push(finding(
                subject,
                format!("it expired at {}", certificate.not_after()),
                "Store a certificate, and the chain delivered with it, that is valid now",
            ));
        }
    }
}

fn check_signatures(bundle: &Bundle, findings: &mut Vec<Finding>) {
    for (subject, certificate) in named(bundle) {
        if let Some(hash) = certificate.broken_hash() {
            findings.push(finding(
                subject,
                format!("it is signed with {hash}, which viewers refuse"),
                "Have it reissued by a public authority, and store the chain delivered with it",
            ));
        }
    }
}

fn check_trust(bundle: &Bundle, roots: &TrustRoots, now: Timestamp, findings: &mut Vec<Finding>) {
    let leaf = &bundle.leaf;
    if leaf.is_self_signed() {
        findings.push(finding(
            leaf_name(leaf),
            "it is self-signed, and CloudFront accepts only certificates of public authorities",
            "Have it issued by an authority in Mozilla's list of included roots",
        ));
        return;
    }
    let Err(error) = roots.verify(leaf, &bundle.intermediates, common_moment(bundle, now)) else {
        return;
    };
    let last = bundle.intermediates.last().unwrap_or(leaf);
    match error {
        // Said above, by certificate.
        TrustError::Validity if named(bundle).any(|(_, it)| !is_valid_at(it, now)) => {}
        TrustError::SignatureAlgorithm
            if named(bundle).any(|(_, it)| it.broken_hash().is_some()) => {}
        TrustError::UnsupportedVersion if named(bundle).any(|(_, it)| !it.is_version_3()) => {}
        TrustError::UnknownIssuer => findings.push(finding(
            "chain of the new certificate",
            format!(
                "the issuer of its last certificate {}, which is {}, is neither in the source nor a \
                 trusted root",
                last.name(),
                last.issuer()
            ),
            format!(
                "Add the intermediate certificate {}; if that is a root, have the certificate \
                 issued by an authority in Mozilla's list of included roots",
                last.issuer()
            ),
        )),
        error => findings.push(finding(
            "chain of the new certificate",
            format!("no viewer would trust {}: {error}", leaf.name()),
            "Store the certificate and the chain that the authority delivered with it",
        )),
    }
}

/// The moment nearest to `now` at which all certificates are valid, if there is one, so that a chain
/// that is expired and untrusted gets both findings.
fn common_moment(bundle: &Bundle, now: Timestamp) -> Timestamp {
    let all = || std::iter::once(&bundle.leaf).chain(&bundle.intermediates);
    let not_too_late = all().map(Certificate::not_after).fold(now, Timestamp::min);
    all().map(Certificate::not_before).fold(not_too_late, Timestamp::max)
}

fn is_valid_at(certificate: &Certificate, now: Timestamp) -> bool {
    (certificate.not_before()..=certificate.not_after()).contains(&now)
}

/// All certificates that are to be imported, each with what to call it.
fn named(bundle: &Bundle) -> impl Iterator<Item = (String, &Certificate)> {
    let leaf = (leaf_name(&bundle.leaf), &bundle.leaf);
    let chain = bundle.intermediates.iter().enumerate().map(|(i, certificate)| {
        (format!("chain certificate {} ({})", i + 1, certificate.name()), certificate)
    });
    std::iter::once(leaf).chain(chain)
}

fn leaf_name(leaf: &Certificate) -> String {
    format!("new certificate ({})", leaf.name())
}

fn finding(
    subject: impl Into<String>,
    problem: impl Into<String>,
    cure: impl Into<String>,
) -> Finding {
    Finding::new(Ending::CertificateInvalid, subject, problem, cure)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::certificate::bundle;
    use crate::test_authority::*;

    const NOW: &str = "2026-04-01T00:00:00Z";
    const NAMES: &[&str] = &["www.example.com"];

    /// One case: all that [`check`] is given, good in every way until something is changed.
    #[derive(Clone)]
    struct Case {
        source: String,
        old: OldCertificate,
        store: Store,
        roots: String,
        now: &'static str,
    }

    impl Case {
        fn new(source: String, root: &str) -> Self {
            let old = OldCertificate {
                fingerprint: Fingerprint::of(b"old"),
                not_after: time("2026-06-30T00:00:00Z"),
            };
            Self { source, old, store: Store::Acm, roots: root.to_string(), now: NOW }
        }

        /// Each finding must hold the texts of its line, and there must be as many as lines.
        #[track_caller]
        fn finds(&self, expected: &[&[&str]]) {
            let bundle = bundle::read(self.source.as_bytes()).expect("a bundle");
            let roots = TrustRoots::mozilla().with_pem(&self.roots).expect("roots");
            let findings = check(&bundle, &self.old, self.store, &roots, time(self.now));
            let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
            assert_eq!(said.len(), expected.len(), "{said:#?}");
            for (said, texts) in said.iter().zip(expected) {
                assert!(texts.iter().all(|text| said.contains(text)), "{said} {texts:?}");
            }
            for finding in findings {
                assert_eq!(finding.ending, Ending::CertificateInvalid);
                assert!(!finding.problem.ends_with('.') && !finding.cure.ends_with('.'));
            }
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().expect("time")
    }

    /// A leaf of an intermediate authority of a trusted root, of ECDSA throughout.
    fn good() -> Case {
        changed(|_| {})
    }

    fn changed(change: impl Fn(&mut CertificateParams)) -> Case {
        let mut params = leaf_params(NAMES);
        change(&mut params);
        let root = Authority::root("Root");
        let lower = root.intermediate("Lower");
        let key = p256();
        let leaf = lower.sign(&params, &key);
        Case::new(format!("{leaf}{}{}", lower.pem, key.serialize_pem()), &root.pem)
    }

    fn with_leaf_key(key: &KeyPair) -> Case {
        let root = Authority::root("Root");
        let leaf = root.sign(&leaf_params(NAMES), key);
        Case::new(format!("{leaf}{}", key.serialize_pem()), &root.pem)
    }

    #[test]
    fn a_good_certificate_has_no_findings() {
        good().finds(&[]);
        Case { store: Store::Iam, ..good() }.finds(&[]);
        // RSA throughout.
        let root = Authority::root_with_key("Root", rsa_2048());
        let leaf = root.sign(&leaf_params(NAMES), &rsa_2048());
        Case::new(format!("{leaf}{RSA_2048_PKCS1}"), &root.pem).finds(&[]);
    }

    #[test]
    fn it_must_outlive_the_old_one() {
        let old_until = |not_after: &str| {
            let mut case = good();
            case.old.not_after = time(not_after);
            case
        };
        let no_longer: &[&str] =
            &["new certificate (CN=www.example.com)", "2026-07-01T00:00:00Z, no longer"];
        old_until("2026-06-30T23:59:59Z").finds(&[]);
        old_until("2026-07-01T00:00:00Z").finds(&[no_longer]);
        old_until("2026-12-31T00:00:00Z").finds(&[no_longer]);

        let mut the_same = old_until("2026-07-01T00:00:00Z");
        let leaf = bundle::read(the_same.source.as_bytes()).expect("a bundle").leaf;
        the_same.old.fingerprint = leaf.fingerprint();
        the_same.finds(&[&["it is the old certificate", "renewed"]]);
    }

    #[test]
    fn it_must_be_valid_now() {
        let at = |now| Case { now, ..good() };
        at("2026-01-01T00:00:00Z").finds(&[]);
        at("2026-07-01T00:00:00Z").finds(&[]);
        at("2025-12-31T23:59:59Z")
            .finds(&[&["new certificate (CN=www.example.com)", "not valid before 2026-01-01"]]);
        at("2026-07-01T00:00:01Z")
            .finds(&[&["new certificate (CN=www.example.com)", "expired at 2026-07-01"]]);
        // The chain lives from 2020 to 2040.
        at("2041-01-01T00:00:00Z")
            .finds(&[&["expired at 2026"], &["chain certificate 1 (CN=Lower)", "expired at 2040"]]);
        at("2019-01-01T00:00:00Z")
            .finds(&[&["before 2026"], &["chain certificate 1 (CN=Lower)", "before 2020"]]);
        // Expired, and not trusted either: both are said.
        let mut untrusted = at("2027-01-01T00:00:00Z");
        untrusted.roots = Authority::root("Another").pem;
        untrusted.finds(&[&["expired at 2026"], &["CN=Root", "nor a trusted root"]]);
        // No moment at which all are valid.
        let mut late = authority_params("Late");
        late.not_before = date_time_ymd(2027, 1, 1);
        let root = Authority::root("Root");
        let late = root.intermediate_from(late, p256());
        let key = p256();
        let leaf = late.sign(&leaf_params(NAMES), &key);
        let source = format!("{leaf}{}{}", late.pem, key.serialize_pem());
        Case::new(source, &root.pem).finds(&[&["chain certificate 1 (CN=Late)", "before 2027"]]);
    }

    #[test]
    fn the_key_must_be_the_leaf_s() {
        let exchanged = |key: &str| {
            let case = good();
            let at = case.source.find("-----BEGIN PRIVATE").expect("key");
            Case { source: format!("{}{key}", &case.source[..at]), ..case }
        };
        let subject = "private key of the new certificate";
        let stranger = p256().serialize_pem();
        exchanged(&stranger).finds(&[&[subject, "CN=www.example.com, whose key is ECDSA P-256"]]);
        exchanged(RSA_2048_PKCS1).finds(&[&[subject, "does not match"]]);
        exchanged(RSA_1024_PKCS1).finds(&[&[subject, "damaged, or neither", "openssl pkey"]]);
        exchanged(P521_PKCS8).finds(&[&[subject, "damaged, or neither", "openssl pkey"]]);
    }

    #[test]
    fn the_key_must_be_of_a_kind_cloudfront_takes() {
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key");
        with_leaf_key(&p384).finds(&[&["ECDSA P-384, which CloudFront does not accept from ACM"]]);
        let iam = Case { store: Store::Iam, ..with_leaf_key(&p384) };
        iam.finds(&[&["ECDSA P-384, which CloudFront does not accept from IAM", "RSA of 2048"]]);
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key");
        with_leaf_key(&ed25519).finds(&[&["algorithm 1.3.101.112, which CloudFront"]]);

        // A key that *ring* does not read is no mismatch.
        let rsa_root = Authority::root_with_key("Root", rsa_2048());
        let rsa_1024 = include_str!("../../tests/fixtures/rsa1024.pub.pem");
        let rsa_1024 = rcgen::SubjectPublicKeyInfo::from_pem(rsa_1024).expect("public key");
        let leaf = rsa_root.sign(&leaf_params(NAMES), &rsa_1024);
        Case::new(format!("{leaf}{RSA_1024_PKCS1}"), &rsa_root.pem)
            .finds(&[&["RSA 1024, which no public authority signs"]]);
        let p521 = Case::new(format!("{P521_LEAF}{P521_PKCS8}"), FIXTURE_ROOT);
        Case { now: "2030-01-01T00:00:00Z", ..p521 }
            .finds(&[&["ECDSA P-521, which CloudFront"], &["issuer is RSA"]]);
    }

    #[test]
    fn leaf_and_issuer_must_have_keys_of_one_kind() {
        let rsa_issuer = Authority::root_with_key("Root", rsa_2048());
        let key = p256();
        let leaf = rsa_issuer.sign(&leaf_params(NAMES), &key);
        Case::new(format!("{leaf}{}", key.serialize_pem()), &rsa_issuer.pem)
            .finds(&[&["its key is ECDSA, but the key of its issuer is RSA"]]);
        let ec_issuer = rsa_issuer.intermediate("Issuer");
        let leaf = ec_issuer.sign(&leaf_params(NAMES), &rsa_2048());
        Case::new(format!("{leaf}{}{RSA_2048_PKCS8}", ec_issuer.pem), &rsa_issuer.pem)
            .finds(&[&["its key is RSA, but the key of its issuer is ECDSA"]]);
        // What the issuer's own issuer has does not matter.
        let leaf = ec_issuer.sign(&leaf_params(NAMES), &key);
        Case::new(format!("{leaf}{}{}", ec_issuer.pem, key.serialize_pem()), &rsa_issuer.pem)
            .finds(&[]);
    }

    #[test]
    fn it_must_lead_to_a_trusted_root() {
        let root = Authority::root("Root");
        let upper = root.intermediate("Upper");
        let lower = upper.intermediate("Lower");
        let key = p256();
        let leaf = lower.sign(&leaf_params(NAMES), &key);
        let key = key.serialize_pem();
        let case = |chain: &str| Case::new(format!("{leaf}{chain}{key}"), &root.pem);
        case(&format!("{}{}", upper.pem, lower.pem)).finds(&[]);
        case(&lower.pem).finds(&[&[
            "last certificate CN=Lower, which is CN=Upper,",
            "Add the intermediate certificate CN=Upper",
        ]]);
        case("").finds(&[&["last certificate CN=www.example.com, which is CN=Lower,"]]);

        let own = p256();
        let self_signed = leaf_params(NAMES).self_signed(&own).expect("certificate").pem();
        // Trusting it does not make it acceptable to CloudFront.
        Case::new(format!("{self_signed}{}", own.serialize_pem()), &self_signed)
            .finds(&[&["it is self-signed"]]);
        changed(|params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        })
        .finds(&[&["no viewer would trust CN=www.example.com", "serverAuth"]]);
    }

    #[test]
    fn broken_hashes_and_old_versions_are_named_once() {
        let case = |leaf: &str| {
            let case = Case::new(format!("{leaf}{RSA_2048_PKCS1}"), FIXTURE_ROOT);
            Case { now: "2030-01-01T00:00:00Z", ..case }
        };
        case(SHA1_LEAF).finds(&[&["new certificate (CN=www.example.com)", "signed with SHA-1"]]);
        case(V1_LEAF).finds(&[&["version 3"], &["no DNS name among"]]);
    }

    #[test]
    fn it_must_have_dns_names() {
        changed(|params| params.subject_alt_names.clear())
            .finds(&[&["no DNS name", "common name does not count"]]);
        changed(|params| {
            params.subject_alt_names =
                vec![rcgen::SanType::IpAddress("192.0.2.1".parse().expect("address"))];
        })
        .finds(&[&["no DNS name"]]);
    }

    #[test]
    fn five_certificates_are_enough() {
        let case = |intermediates: usize| {
            let root = Authority::root("Root");
            let mut lowest = root.intermediate("1");
            let mut chain = lowest.pem.clone();
            for i in 2..=intermediates {
                lowest = lowest.intermediate(&i.to_string());
                chain += &lowest.pem;
            }
            let key = p256();
            let leaf = lowest.sign(&leaf_params(NAMES), &key);
            Case::new(format!("{leaf}{chain}{}", key.serialize_pem()), &root.pem)
        };
        case(4).finds(&[]);
        case(5).finds(&[&["chain of the new certificate", "6 certificates; CloudFront accepts 5"]]);
    }

    #[test]
    fn it_must_fit_the_store() {
        let many_names = |count: usize| {
            changed(|params| {
                params.subject_alt_names = (0..count)
                    .map(|i| format!("{i:05}.a-rather-long-name.example.com"))
                    .map(|name| rcgen::SanType::DnsName(name.try_into().expect("name")))
                    .collect();
            })
        };
        // 38 bytes a name in DER, 51 in PEM.
        many_names(300).finds(&[]);
        Case { store: Store::Iam, ..many_names(300) }.finds(&[]);
        many_names(500).finds(&[]);
        Case { store: Store::Iam, ..many_names(500) }
            .finds(&[&["new certificate (CN", "bytes in PEM; IAM accepts 16384 at most"]]);
        many_names(700)
            .finds(&[&["new certificate (CN", "bytes in PEM; ACM accepts 32768 at most"]]);

        // No key CloudFront takes is that long; one that is, is damaged as well.
        let case = good();
        let at = case.source.find("-----BEGIN PRIVATE").expect("key");
        let padded = |bytes: u16| {
            let [high, low] = bytes.to_be_bytes();
            let der = [&[0x30, 0x82, high, low][..], &vec![0; bytes.into()]].concat();
            let key = pem::encode(&pem::Pem::new("PRIVATE KEY", der));
            Case { source: format!("{}{key}", &case.source[..at]), ..case.clone() }
        };
        padded(3_600).finds(&[&["damaged"]]);
        padded(4_000).finds(&[&["damaged"], &["private key", "ACM accepts 5120 at most"]]);
        Case { store: Store::Iam, ..padded(4_000) }.finds(&[&["damaged"]]);
        Case { store: Store::Iam, ..padded(13_000) }
            .finds(&[&["damaged"], &["private key", "IAM accepts 16384 at most"]]);
    }

    #[test]
    fn everything_is_said_at_once() {
        let issuer = Authority::root_with_key("Nobody", rsa_2048());
        let mut params = leaf_params(&[]);
        params.not_after = date_time_ymd(2026, 3, 1);
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key");
        let leaf = issuer.sign(&params, &p384);
        let source = format!("{leaf}{}", p256().serialize_pem());
        Case::new(source, &Authority::root("Root").pem).finds(&[
            &["no longer than the old one"],
            &["ECDSA P-384, which CloudFront"],
            &["does not match"],
            &["no DNS name"],
            &["its key is ECDSA, but"],
            &["expired at 2026-03-01"],
            &["neither in the source nor a trusted root"],
        ]);
    }
}
