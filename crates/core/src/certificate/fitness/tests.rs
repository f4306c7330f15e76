use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, GeneralSubtree, KeyPair,
    KeyUsagePurpose, NameConstraints, SerialNumber, date_time_ymd,
};

use super::*;
use crate::certificate::{Fingerprint, bundle};
use crate::fixtures::*;
use rotation_test_pki::*;

const NOW: &str = "2026-04-01T00:00:00Z";
const NAMES: &[&str] = &["www.example.com"];
const IN_IAM: Place = Place { store: Store::Iam, stored: false };

/// The arguments of [`check`], valid until something is changed.
#[derive(Clone)]
struct Case {
    source: String,
    old: Edition,
    allow_earlier_expiry: bool,
    place: Place,
    roots: String,
    is_public: bool,
    now: &'static str,
}

impl Case {
    fn new(source: String, root: &str) -> Self {
        let old = Edition {
            fingerprint: Fingerprint::of(b"old"),
            not_before: time("2025-12-31T00:00:00Z"),
            not_after: time("2026-06-30T00:00:00Z"),
        };
        Self {
            source,
            old,
            allow_earlier_expiry: false,
            place: Place { store: Store::Acm, stored: false },
            roots: root.to_string(),
            is_public: false,
            now: NOW,
        }
    }

    fn roots(&self) -> TrustRoots {
        match self.is_public {
            true => TrustRoots::with_public_root(&self.roots),
            false => TrustRoots::mozilla().with_pem(&self.roots).expect("roots"),
        }
    }

    /// Each warning must contain the texts of its line, and there must be as many warnings as lines.
    #[track_caller]
    fn warns(&self, expected: &[&[&str]]) {
        let bundle = bundle::read(self.source.as_bytes()).expect("a bundle");
        let roots = self.roots();
        let said = fit(&bundle, self.place, &roots, time(self.now)).warnings;
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (said, texts) in said.iter().zip(expected) {
            assert!(texts.iter().all(|text| said.contains(text)), "{said} {texts:?}");
            assert!(said.ends_with('.'), "{said}");
        }
    }

    /// Each finding must contain the texts of its line, and there must be as many findings as
    /// lines.
    #[track_caller]
    fn finds(&self, expected: &[&[&str]]) {
        let bundle = bundle::read(self.source.as_bytes()).expect("a bundle");
        let roots = self.roots();
        let now = time(self.now);
        let earlier = self.allow_earlier_expiry;
        let findings = check(&bundle, &self.old, earlier, self.place, &roots, now).findings;
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

/// A valid leaf, issued by an intermediate of a trusted root, all ECDSA.
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
    Case { place: IN_IAM, ..good() }.finds(&[]);
    // All RSA.
    let root = Authority::root_with_key("Root", rsa_2048());
    let leaf = root.sign(&leaf_params(NAMES), &rsa_2048());
    Case::new(format!("{leaf}{RSA_2048_PKCS1}"), &root.pem).finds(&[]);
}

/// The new one is valid from 2026-01-01 until 2026-07-01.
#[test]
fn s1_it_must_succeed_the_old_one() {
    let old = |not_before: &str, not_after: &str| {
        let mut case = good();
        case.old.not_before = time(not_before);
        case.old.not_after = time(not_after);
        case
    };
    // It ends later, or was issued later.
    old("2025-12-31T00:00:00Z", "2026-06-30T23:59:59Z").finds(&[]);
    old("2026-03-01T00:00:00Z", "2026-06-30T23:59:59Z").finds(&[]);
    old("2025-12-31T00:00:00Z", "2026-12-31T00:00:00Z").finds(&[]);
    let subject = "new certificate (CN=www.example.com)";
    let check = |not_before, said| {
        let case = old(not_before, "2026-07-01T00:00:00Z");
        case.finds(&[&[subject, said, "2026-07-01T00:00:00Z, no longer", "allowEarlierExpiry"]]);
        Case { allow_earlier_expiry: true, ..case }.finds(&[]);
    };
    check("2026-01-01T00:00:00Z", "not clearly issued after");
    check("2026-02-01T00:00:00Z", "issued before");

    let mut the_same = old("2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z");
    let leaf = bundle::read(the_same.source.as_bytes()).expect("a bundle").leaf;
    the_same.old.fingerprint = leaf.fingerprint();
    the_same.allow_earlier_expiry = true;
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
    // The chain is valid from 2020 to 2040.
    at("2041-01-01T00:00:00Z")
        .finds(&[&["expired at 2026"], &["chain certificate 1 (CN=Lower)", "expired at 2040"]]);
    at("2019-01-01T00:00:00Z")
        .finds(&[&["before 2026"], &["chain certificate 1 (CN=Lower)", "before 2020"]]);
    // Expired, and not trusted either: both are reported.
    let mut untrusted = at("2027-01-01T00:00:00Z");
    untrusted.roots = Authority::root("Another").pem;
    untrusted.finds(&[&["expired at 2026"], &["CN=Root", "nor a trusted root"]]);
    // There is no time at which all are valid.
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
    exchanged(RSA_1024_PKCS1).finds(&[&[subject, "does not match"]]);
    exchanged(P521_PKCS8).finds(&[&[subject, "does not match"]]);
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key").serialize_pem();
    exchanged(&ed25519).finds(&[&[subject, "does not match"]]);
    // Of the two halves of a key, one is another key's.
    let (one, two) = (p256(), p256());
    let other_half = one.serialize_der().split_at(73).0.to_vec();
    let der = [&other_half[..], &two.serialize_der()[73..]].concat();
    let damaged = pem::encode(&pem::Pem::new("PRIVATE KEY", der));
    exchanged(&damaged).finds(&[&[subject, "damaged, or of a kind", "openssl pkey"]]);
}

#[test]
fn the_key_must_be_of_a_type_that_cloudfront_accepts() {
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key");
    with_leaf_key(&p384).finds(&[&["ECDSA P-384, which CloudFront does not accept from ACM"]]);
    let iam = Case { place: IN_IAM, ..with_leaf_key(&p384) };
    iam.finds(&[&["ECDSA P-384, which CloudFront does not accept from IAM", "RSA of 2048"]]);
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key");
    with_leaf_key(&ed25519).finds(&[&["its key is Ed25519, which CloudFront"]]);

    // A key that *ring* cannot read is not reported as a mismatch.
    let rsa_root = Authority::root_with_key("Root", rsa_2048());
    let rsa_1024 = include_str!("../../../tests/fixtures/rsa1024.pub.pem");
    let rsa_1024 = rcgen::SubjectPublicKeyInfo::from_pem(rsa_1024).expect("public key");
    let leaf = rsa_root.sign(&leaf_params(NAMES), &rsa_1024);
    Case::new(format!("{leaf}{RSA_1024_PKCS1}"), &rsa_root.pem)
        .finds(&[&["RSA 1024, which no public authority signs"]]);
    let p521 = Case::new(format!("{P521_LEAF}{P521_PKCS8}"), FIXTURE_ROOT);
    Case { now: "2030-01-01T00:00:00Z", ..p521 }.finds(&[&["ECDSA P-521, which CloudFront"]]);
}

/// Case S11: authorities issue ECDSA certificates from RSA chains.
#[test]
fn a_key_of_another_type_than_the_issuers_is_for_acm_to_refuse() {
    const IN_ACM: Place = Place { store: Store::Acm, stored: false };
    let check = |source: String, root: &str, told: Option<&str>| {
        let case = Case::new(source, root);
        for place in [IN_ACM, IN_IAM] {
            for stored in [false, true] {
                let place = Place { stored, ..place };
                let case = Case { place, ..case.clone() };
                case.finds(&[]);
                match told.filter(|_| place == IN_ACM) {
                    Some(told) => case.warns(&[&[told, "AWS's pages disagree", "store iam"]]),
                    None => case.warns(&[]),
                }
            }
        }
    };
    let rsa_issuer = Authority::root_with_key("Root", rsa_2048());
    let key = p256();
    let leaf = rsa_issuer.sign(&leaf_params(NAMES), &key);
    let told = "the key of the certificate is ECDSA and that of its issuer is RSA";
    check(format!("{leaf}{}", key.serialize_pem()), &rsa_issuer.pem, Some(told));
    let ec_issuer = rsa_issuer.intermediate("Issuer");
    let leaf = ec_issuer.sign(&leaf_params(NAMES), &rsa_2048());
    let told = "the key of the certificate is RSA and that of its issuer is ECDSA";
    check(format!("{leaf}{}{RSA_2048_PKCS8}", ec_issuer.pem), &rsa_issuer.pem, Some(told));
    // The key of the issuer's own issuer is irrelevant.
    let leaf = ec_issuer.sign(&leaf_params(NAMES), &key);
    check(format!("{leaf}{}{}", ec_issuer.pem, key.serialize_pem()), &rsa_issuer.pem, None);
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
    // Trust does not make it acceptable to CloudFront.
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
    // 38 bytes per name in DER, 51 in PEM.
    many_names(300).finds(&[]);
    Case { place: IN_IAM, ..many_names(300) }.finds(&[]);
    many_names(500).finds(&[]);
    Case { place: IN_IAM, ..many_names(500) }
        .finds(&[&["new certificate (CN", "bytes in PEM; IAM accepts 16384 at most"]]);
    many_names(700).finds(&[&["new certificate (CN", "bytes in PEM; ACM accepts 32768 at most"]]);

    // No key that CloudFront accepts is this long, so this one is of another kind as well.
    let case = good();
    let at = case.source.find("-----BEGIN PRIVATE").expect("key");
    let padded = |bytes: u16| {
        let long = |tag: u8, content: &[u8]| {
            let length = u16::try_from(content.len()).expect("a length").to_be_bytes();
            [&[tag, 0x82, length[0], length[1]], content].concat()
        };
        let ed25519 = [0x02, 1, 0, 0x30, 5, 0x06, 3, 0x2b, 0x65, 0x70];
        let key = long(0x04, &vec![0; usize::from(bytes) - 14]);
        let der = long(0x30, &[&ed25519[..], &key].concat());
        let key = pem::encode(&pem::Pem::new("PRIVATE KEY", der));
        Case { source: format!("{}{key}", &case.source[..at]), ..case.clone() }
    };
    padded(3_600).finds(&[&["damaged"]]);
    padded(4_000).finds(&[&["damaged"], &["private key", "ACM accepts 5120 at most"]]);
    Case { place: IN_IAM, ..padded(4_000) }.finds(&[&["damaged"]]);
    // The store has accepted it.
    let place = Place { store: Store::Acm, stored: true };
    Case { place, ..padded(4_000) }.finds(&[&["damaged"]]);
    Case { place: IN_IAM, ..padded(13_000) }
        .finds(&[&["damaged"], &["private key", "IAM accepts 16384 at most"]]);
}

#[test]
fn all_findings_are_reported_at_once() {
    let issuer = Authority::root_with_key("Nobody", rsa_2048());
    let mut params = leaf_params(&[]);
    params.not_after = date_time_ymd(2026, 3, 1);
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key");
    let leaf = issuer.sign(&params, &p384);
    let source = format!("{leaf}{}", p256().serialize_pem());
    let mut case = Case::new(source, &Authority::root("Root").pem);
    case.old.not_before = time("2026-01-01T00:00:00Z");
    case.finds(&[
        &["no longer than the old one"],
        &["ECDSA P-384, which CloudFront"],
        &["does not match"],
        &["no DNS name"],
        &["expired at 2026-03-01"],
        &[
            "neither in the source nor a trusted root",
            "Mozilla's list of included roots, as built into this version",
            "the stack's parameter ExtraRoots",
        ],
    ]);
}

/// A leaf with these names, as bytes that `rcgen` may refuse: `~` stands for `ü`, in UTF-8. The
/// signature is wrong then.
fn named_so(names: &[&str]) -> Case {
    let case = changed(|params| {
        params.subject_alt_names = names
            .iter()
            .map(|name| rcgen::SanType::DnsName(name.replace('~', "!!").try_into().expect("name")))
            .collect();
    });
    patched(&case, b"!!", "ü".as_bytes())
}

/// The first certificate with other bytes; they are as many.
fn patched(case: &Case, from: &[u8], to: &[u8]) -> Case {
    assert_eq!(from.len(), to.len());
    let end = case
        .source
        .find("-----BEGIN CERTIFICATE-----")
        .and_then(|begin| case.source[begin + 1..].find("-----BEGIN").map(|next| begin + 1 + next));
    let (leaf, rest) = case.source.split_at(end.expect("two blocks"));
    let mut der = certificate(leaf).der().to_vec();
    while let Some(at) = der.windows(from.len()).position(|part| part == from) {
        der[at..at + to.len()].copy_from_slice(to);
    }
    let leaf = pem::encode(&pem::Pem::new("CERTIFICATE", der));
    Case { source: format!("{leaf}{rest}"), ..case.clone() }
}

fn extension(id: &[u64], content: &[u8], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(id, content.to_vec());
    extension.set_criticality(critical);
    extension
}

#[test]
fn a_certificate_that_no_viewer_accepts_is_refused_in_words() {
    // RFC 6962, 3.1: a critical NULL.
    const POISON: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 3];
    changed(|params| params.custom_extensions = vec![extension(POISON, &[5, 0], true)])
        .finds(&[&["it is a precertificate", "Store the certificate itself"]]);
    let usages = |usages: &'static [KeyUsagePurpose]| {
        changed(move |params| params.key_usages = usages.to_vec())
    };
    let refused: &[&[&str]] = &[&["key usage lacks digitalSignature", "TLS 1.3"]];
    usages(&[KeyUsagePurpose::KeyEncipherment]).finds(refused);
    usages(&[KeyUsagePurpose::KeyAgreement]).finds(refused);
    usages(&[KeyUsagePurpose::DigitalSignature]).finds(&[]);
    usages(&[KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::DigitalSignature]).finds(&[]);
    usages(&[]).finds(&[]);
    changed(|params| params.custom_extensions = vec![extension(&[1, 2, 3], &[5, 0], true)])
        .finds(&[&["no viewer would trust", "a critical extension that viewers do not know"]]);
}

#[test]
fn the_key_of_an_authority_is_told_apart() {
    let root = Authority::root("Root");
    let own = p256();
    let own_pem = own.serialize_pem();
    let lower = root.intermediate_with_key("Lower", own);
    let leaf = lower.sign(&leaf_params(NAMES), &p256());
    Case::new(format!("{leaf}{}{own_pem}", lower.pem), &root.pem)
        .finds(&[&["private key of the new certificate", "it belongs to CN=Lower, in block 2"]]);
}

#[test]
fn a_private_authority_is_told_that_a_source_adds_no_root() {
    let root = Authority::root("Private root");
    let key = p256();
    let leaf = root.sign(&leaf_params(NAMES), &key);
    let key = key.serialize_pem();
    let other = Authority::root("Trusted").pem;
    Case::new(format!("{leaf}{}{key}", root.pem), &other).finds(&[&[
        "the root CN=Private root, which is in the source and is not a trusted root",
        "Mozilla's list",
        "CloudFront accepts none of a private authority",
    ]]);
    Case::new(format!("{leaf}{key}"), &other)
        .finds(&[&["Add the intermediate certificate CN=Private root first"]]);
}

#[test]
fn a_missing_issuer_is_named_before_anything_is_removed() {
    let root = Authority::root("Root");
    let upper = root.intermediate("Upper");
    let lower = upper.intermediate("Lower");
    let wrong = upper.intermediate("Lower 2");
    let namesake = upper.intermediate("Lower");
    let key = p256();
    let leaf = lower.sign(&leaf_params(NAMES), &key);
    let key = key.serialize_pem();
    let case = |chain: &[&str]| Case::new(format!("{leaf}{}{key}", chain.concat()), &root.pem);
    case(&[&wrong.pem, &upper.pem]).finds(&[&[
        "which is CN=Lower, is neither in the source",
        "not part of the chain: CN=Lower 2 (block 2), CN=Upper (block 3)",
        "Add the intermediate certificate CN=Lower first, and remove nothing before",
    ]]);
    case(&[&namesake.pem, &upper.pem])
        .finds(&[&["what has this name there has not signed it, so it is another issuer"]]);
    case(&[&lower.pem, &upper.pem, &wrong.pem]).finds(&[&[
        "source of the new certificate, block 4: CN=Lower 2 is not part of the chain, which is complete",
        "Remove",
    ]]);
    // Even many are one short finding.
    let strangers: Vec<String> = (0..30)
        .map(|i| Authority::root("Other").intermediate(&format!("Stranger {i}")).pem)
        .collect();
    let many: Vec<&str> = strangers.iter().map(String::as_str).collect();
    let many = case(&[&[lower.pem.as_str(), &upper.pem], &many[..]].concat());
    many.finds(&[&["Stranger 0 (block 4)", "Stranger 9 (block 13) and 20 more"]]);
}

#[test]
fn what_is_left_out_of_the_chain_is_noted() {
    let (old, root) = (Authority::root("Old root"), Authority::root("Root"));
    let key = p256();
    let leaf = root.sign(&leaf_params(NAMES), &key);
    let notes = |until: i32, roots: &str| {
        let source = format!("{leaf}{}{}", old.cross_sign(&root, until), key.serialize_pem());
        let bundle = bundle::read(source.as_bytes()).expect("a bundle");
        let roots = TrustRoots::mozilla().with_pem(roots).expect("roots");
        fit(&bundle, good().place, &roots, time(NOW)).notes
    };
    let left_out = "Left out of the chain, which leads to a trusted root without: CN=Root (issued by CN=Old root";
    assert_eq!(notes(2025, &root.pem), [format!("{left_out}, not valid now).")]);
    assert_eq!(notes(2035, &root.pem), [format!("{left_out}).")]);
    assert_eq!(notes(2035, &old.pem), [""; 0]);
}

/// A constrained authority, as [`Case`]; names of directories are by RFC 5280, 4.2.1.10.
fn constrained(permitted: &[(DnType, &str)], dns: &[&str], excluded: bool) -> Case {
    let mut name = DistinguishedName::new();
    permitted.iter().for_each(|(kind, value)| name.push(kind.clone(), *value));
    let mut subtrees: Vec<_> =
        dns.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned())).collect();
    if !permitted.is_empty() {
        subtrees.push(GeneralSubtree::DirectoryName(name));
    }
    let mut params = authority_params("Constrained");
    params.name_constraints = Some(match excluded {
        false => NameConstraints { permitted_subtrees: subtrees, excluded_subtrees: vec![] },
        true => NameConstraints { permitted_subtrees: vec![], excluded_subtrees: subtrees },
    });
    let root = Authority::root("Root");
    let authority = root.intermediate_from(params, p256());
    let mut params = leaf_params(NAMES);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "GB");
    params.distinguished_name.push(DnType::OrganizationName, "Example Ltd");
    params.distinguished_name.push(DnType::CommonName, "www.example.com");
    let key = p256();
    let leaf = authority.sign(&params, &key);
    Case::new(format!("{leaf}{}{}", authority.pem, key.serialize_pem()), &root.pem)
}

/// OpenSSL and browsers take these; so do they here, and `webpki` alone would not.
#[test]
fn constraints_of_directory_names_and_critical_policies_are_judged_as_browsers_judge_them() {
    use DnType::{CountryName, OrganizationName};
    let warned: &[&[&str]] = &[&["Some viewers refuse it", "directory names of CN=Constrained"]];
    let violated: &[&[&str]] = &[&["a name in it violates a name constraint"]];
    for (permitted, dns, excluded, fits) in [
        (&[(CountryName, "GB")][..], &[][..], false, true),
        (&[(CountryName, "gb"), (OrganizationName, "EXAMPLE Ltd")], &[], false, true),
        (&[(CountryName, "FR")], &[], false, false),
        (&[(OrganizationName, "Example Ltd")], &[], false, false),
        (&[(CountryName, "GB")], &["example.com"], false, true),
        // The constraint of DNS names still holds.
        (&[(CountryName, "GB")], &["example.org"], false, false),
        (&[(CountryName, "FR")], &[], true, true),
        (&[(CountryName, "GB")], &[], true, false),
        (&[(CountryName, "FR")], &["example.com"], true, false),
    ] {
        let case = constrained(permitted, dns, excluded);
        case.finds(if fits { &[] } else { violated });
        case.warns(warned);
    }
    constrained(&[], &["example.com"], false).warns(&[]);
    constrained(&[], &["example.org"], false).finds(violated);

    // RFC 5280, 4.2.1.4: one policy; 4.2.1.11: no explicit policy is required after 0 certificates.
    const POLICIES: &[u64] = &[2, 5, 29, 32];
    const POLICY_CONSTRAINTS: &[u64] = &[2, 5, 29, 36];
    let one_policy = [0x30, 6, 0x30, 4, 0x06, 2, 0x2a, 0x03];
    let critical = changed(|params| {
        params.custom_extensions = vec![
            extension(POLICIES, &one_policy, true),
            extension(POLICY_CONSTRAINTS, &[0x30, 3, 0x80, 1, 0], true),
        ];
    });
    critical.finds(&[]);
    critical.warns(&[&["critical extension certificate policies of CN=www", "policy constraints"]]);
    let usual = |params: &mut CertificateParams| {
        params.custom_extensions = vec![extension(POLICIES, &one_policy, false)];
    };
    changed(usual).warns(&[]);
    // The signature is verified over the original.
    let forged = patched(&critical, b"www.example.com", b"www.example.org");
    forged.finds(&[&["what has this name there has not signed it"]]);
}

#[test]
fn what_may_go_wrong_is_a_warning() {
    let at = |now| Case { now, ..good() };
    at("2026-06-24T00:00:00Z").warns(&[]);
    at("2026-06-24T00:00:01Z").warns(&[&["It ends in 6 days, at 2026-07-01T00:00:00Z"]]);
    at("2026-06-29T23:00:00Z").warns(&[&["It ends in 25 hours"]]);
    at("2026-06-30T23:00:00Z").warns(&[&["It ends in 1 hour,"]]);
    at("2026-07-01T00:00:01Z").warns(&[]);
    // Short-lived ones may be used for two thirds of their time.
    let days = |first: (i32, u8, u8), last: (i32, u8, u8)| {
        changed(move |params| {
            params.not_before = date_time_ymd(first.0, first.1, first.2);
            params.not_after = date_time_ymd(last.0, last.1, last.2);
        })
    };
    days((2026, 3, 29), (2026, 4, 4)).warns(&[]);
    days((2026, 3, 27), (2026, 4, 2)).warns(&[&["It ends in 24 hours"]]);

    // The first second counts as well as the last.
    let public = |case: Case, now| Case { is_public: true, now, ..case };
    public(days((2026, 3, 15), (2026, 10, 1)), NOW)
        .warns(&[&["valid for 201 days", "200 at most since 2026-03-15"]]);
    public(days((2026, 3, 15), (2026, 9, 30)), NOW).warns(&[]);
    public(days((2026, 3, 14), (2027, 4, 15)), NOW).warns(&[]);
    public(days((2026, 3, 14), (2027, 4, 16)), NOW)
        .warns(&[&["valid for 399 days", "398 at most"]]);
    public(days((2027, 3, 15), (2027, 6, 24)), "2027-03-20T00:00:00Z")
        .warns(&[&["valid for 102 days", "100 at most since 2027-03-15"]]);
    public(days((2029, 3, 15), (2029, 5, 1)), "2029-03-20T00:00:00Z")
        .warns(&[&["valid for 48 days", "47 at most since 2029-03-15"]]);
    // Other authorities have no such rule, only Apple's viewers.
    days((2026, 3, 15), (2028, 6, 16)).warns(&[]);
    days((2026, 3, 15), (2028, 6, 17)).warns(&[&["valid for 826 days", "Apple's viewers"]]);

    // RFC 7633: status_request is 5, and 17 its older list.
    const TLS_FEATURE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 24];
    let feature = |content: &'static [u8]| {
        changed(|params| params.custom_extensions = vec![extension(TLS_FEATURE, content, false)])
    };
    feature(&[0x30, 3, 2, 1, 5]).warns(&[&["must-staple"]]);
    feature(&[0x30, 3, 2, 1, 17]).warns(&[]);

    let serial = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        changed(move |params| params.serial_number = Some(SerialNumber::from_slice(&bytes)))
    };
    serial(&[0x7f; 20]).warns(&[]);
    serial(&[0]).warns(&[]);
    serial(&[0x7f; 21]).warns(&[&["serial number has more than 20 bytes"]]);
    let negative = patched(&serial(&[0x7e; 9]), &[0x7e; 9], &[0x8e; 9]);
    negative.warns(&[&["serial number is negative", "Go 1.23"]]);
}

#[test]
fn names_that_no_viewer_matches_are_warned_of() {
    named_so(&["www.example.com", "*.example.com", "my_app.example.com", "xn--mller-kva.example"])
        .warns(&[]);
    named_so(&["www.example.com."]).warns(&[&["www.example.com.: a name with a dot at its end"]]);
    let unmatched = "no viewer matches such a name";
    named_so(&["www.m~ller.example"]).warns(&[&["www.müller.example", unmatched]]);
    named_so(&["www.*.example.com", "*.*.example.com", "f*.example.com", "a..example.com", ""])
        .warns(&[&[
            "www.*.example.com, *.*.example.com, f*.example.com, a..example.com",
            unmatched,
        ]]);
    named_so(&["localhost", "host.local", "10.0.0.1", "a.internal", "www.example.com"])
        .warns(&[&["localhost, host.local, 10.0.0.1, a.internal: an internal name"]]);
}

#[test]
fn an_end_before_that_of_the_certificate_is_warned_of() {
    let until = |year: i32| {
        let mut params = authority_params("Lower");
        params.not_after = date_time_ymd(year, 3, 1);
        let root = Authority::root("Root");
        let lower = root.intermediate_from(params, p256());
        let mut params = leaf_params(NAMES);
        params.not_after = date_time_ymd(2027, 1, 1);
        let key = p256();
        let leaf = lower.sign(&params, &key);
        let source = format!("{leaf}{}{}", lower.pem, key.serialize_pem());
        Case { now: "2026-02-01T00:00:00Z", ..Case::new(source, &root.pem) }
    };
    until(2027).warns(&[]);
    until(2026).warns(&[&["until 2027-01-01", "CN=Lower above it only until 2026-03-01"]]);
    // So is that of the root, if it is known.
    let mut late = leaf_params(NAMES);
    late.not_before = date_time_ymd(2039, 10, 1);
    late.not_after = date_time_ymd(2040, 1, 2);
    let root = Authority::root("Root");
    let key = p256();
    let leaf = root.sign(&late, &key);
    let case = Case::new(format!("{leaf}{}", key.serialize_pem()), &root.pem);
    Case { now: "2039-11-01T00:00:00Z", ..case }
        .warns(&[&["CN=Root above it only until 2040-01-01"]]);
}

#[test]
fn a_key_that_was_not_changed_is_noted() {
    let root = Authority::root("Root");
    let (one, two) = (p256(), p256());
    let of = |key: &KeyPair| certificate(&root.sign(&leaf_params(NAMES), key));
    let old = of(&one);
    assert_eq!(reused_key(&old, &of(&two)), None);
    assert_eq!(reused_key(&old, &old), None);
    assert!(
        reused_key(&old, &of(&one)).is_some_and(|note| note.contains("the key of the old one"))
    );
}

/// An extension with timestamps of these logs: RFC 6962, 3.2 and 3.3.
fn timestamps(logs: &[(u8, &str)]) -> CustomExtension {
    let mut list = Vec::new();
    for (log, issued) in logs {
        let milliseconds = time(issued).as_millisecond() as u64;
        let mut one = vec![0];
        one.extend([*log; 32]);
        one.extend(milliseconds.to_be_bytes());
        // No extensions; SHA-256 with ECDSA, and a signature of four bytes.
        one.extend([0, 0, 4, 3, 0, 4, 1, 2, 3, 4]);
        list.extend((one.len() as u16).to_be_bytes());
        list.extend(one);
    }
    let list = [&(list.len() as u16).to_be_bytes()[..], &list].concat();
    let content = match u8::try_from(list.len()) {
        Ok(len @ ..0x80) => [&[4, len], &list[..]].concat(),
        Ok(len) => [&[4, 0x81, len], &list[..]].concat(),
        Err(_) => [&[4, 0x82], &(list.len() as u16).to_be_bytes()[..], &list].concat(),
    };
    extension(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], &content, false)
}

#[test]
fn browsers_ask_for_timestamps_under_public_roots() {
    const ISSUED: &str = "2026-03-01T00:00:00Z";
    let case = |days: i64, logs: &'static [(u8, &str)], is_public: bool| {
        let case = changed(move |params| {
            params.not_before = date_time_ymd(2026, 3, 1);
            params.not_after =
                params.not_before + std::time::Duration::from_secs(86_400 * days as u64 - 1);
            if !logs.is_empty() {
                params.custom_extensions = vec![timestamps(logs)];
            }
        });
        let old = Edition { not_after: time("2026-03-15T00:00:00Z"), ..case.old };
        Case { is_public, old, ..case }
    };
    const THREE: &[(u8, &str)] = &[(1, ISSUED), (2, ISSUED), (3, ISSUED)];
    let refused = |found: &str, needed: &str| [found.to_owned(), needed.to_owned()];
    for (days, logs, expected) in [
        (180, &THREE[..2], None),
        (181, THREE, None),
        (180, &THREE[..1], Some(refused("timestamps of 1 logs", "fewer than 2"))),
        (181, &THREE[..2], Some(refused("timestamps of 2 logs", "fewer than 3"))),
        (180, &[], Some(refused("timestamps of 0 logs", "for 180 days with fewer than 2"))),
        // One log counts once.
        (90, &[(1, ISSUED), (1, ISSUED)], Some(refused("timestamps of 1 logs", "Apple"))),
    ] {
        let texts: Vec<&str> = expected.iter().flatten().map(String::as_str).collect();
        let expected: Vec<&[&str]> = expected.iter().map(|_| texts.as_slice()).collect();
        case(days, logs, true).finds(&expected);
        // A root that was added is not asked.
        case(days, logs, false).finds(&[]);
    }
    // The logs of this test are not in Chrome's list.
    let notes = |is_public: bool| {
        let case = case(180, &THREE[..2], is_public);
        let bundle = bundle::read(case.source.as_bytes()).expect("a bundle");
        fit(&bundle, case.place, &case.roots(), time(NOW)).notes
    };
    let said = "It has timestamps of 2 logs, 2 of which are not in Chrome's list of ";
    assert!(notes(true)[0].starts_with(said));
    assert_eq!(notes(false), [""; 0]);
    let early = changed(|params| params.not_before = date_time_ymd(2018, 4, 30));
    let old = Edition { not_before: time("2018-01-01T00:00:00Z"), ..early.old };
    let early = Case { is_public: true, old, ..early };
    // The chain of this test begins in 2020; before there was no such rule.
    early.finds(&[]);
}

#[test]
fn what_a_browser_distrusts_by_date_is_refused() {
    let case = |name: &[(DnType, &str)], issued: &str, is_public: bool| {
        let mut params = authority_params("");
        params.distinguished_name = DistinguishedName::new();
        name.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), *value));
        let key = p256();
        let root = Authority::root_from(params, key);
        let mut params = leaf_params(NAMES);
        params.custom_extensions = vec![timestamps(&[(1, issued), (2, NOW), (3, NOW)])];
        let key = p256();
        let source = format!("{}{}", root.sign(&params, &key), key.serialize_pem());
        Case { is_public, ..Case::new(source, &root.pem) }
    };
    use DnType::{CommonName, OrganizationName, OrganizationalUnitName};
    let entrust = &[(OrganizationName, "Entrust, Inc."), (CommonName, "Entrust Root")][..];
    for (name, browser, last) in [
        (
            &[(OrganizationalUnitName, "ePKI Root Certification Authority")][..],
            "Chrome",
            "2025-07-31",
        ),
        (&[(CommonName, "HiPKI Root CA - G1")], "Chrome", "2025-07-31"),
        (&[(CommonName, "NetLock Arany (Class Gold) Főtanúsítvány")], "Chrome", "2025-07-31"),
        (&[(CommonName, "GLOBALTRUST 2020")], "Chrome", "2024-06-30"),
        (
            &[(OrganizationName, "AffirmTrust"), (CommonName, "AffirmTrust Premium")],
            "Chrome",
            "2024-11-11",
        ),
        (entrust, "Chrome", "2024-11-11"),
    ] {
        let said =
            format!("{browser} trusts no certificate of that root issued after {last} (https");
        case(name, &format!("{last}T23:59:59Z"), true).finds(&[]);
        let late = case(name, &format!("{last}T23:59:59.001Z"), true);
        late.finds(&[&["its root is", &said]]);
        Case { is_public: false, ..late }.finds(&[]);
    }
    case(&[(CommonName, "Another root")], NOW, true).finds(&[]);
    // Mozilla has removed it since: the name says why it is not trusted.
    let removed = Case { roots: Authority::root("Another").pem, ..case(entrust, NOW, false) };
    removed.finds(&[&["neither in the source nor a trusted root"], &["Chrome trusts no"]]);
}

#[test]
fn old_data_is_a_note_and_never_a_refusal() {
    let bundle = bundle::read(good().source.as_bytes()).expect("a bundle");
    let notes = |now| fit(&bundle, good().place, &good().roots(), now).notes;
    assert_eq!(notes(time(NOW)), [""; 0]);
    for (what, of) in
        [("rules of browsers", browsers::as_of()), ("list of roots", TrustRoots::built_in())]
    {
        let said = |days: i64| {
            let notes = notes(of + jiff::SignedDuration::from_hours(days * 24));
            notes.into_iter().filter(|note| note.contains(what)).collect::<Vec<_>>()
        };
        assert_eq!(said(365), [""; 0]);
        assert!(
            said(366)[0].contains("in this version is of 2")
                && said(366)[0].contains("366 days ago")
        );
    }
}
