use rcgen::{CertificateParams, KeyPair, date_time_ymd};

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
            now: NOW,
        }
    }

    /// Each finding must contain the texts of its line, and there must be as many findings as
    /// lines.
    #[track_caller]
    fn finds(&self, expected: &[&[&str]]) {
        let bundle = bundle::read(self.source.as_bytes()).expect("a bundle");
        let roots = TrustRoots::mozilla().with_pem(&self.roots).expect("roots");
        let findings = check(
            &bundle,
            &self.old,
            self.allow_earlier_expiry,
            self.place,
            &roots,
            time(self.now),
        );
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
    with_leaf_key(&ed25519).finds(&[&["algorithm 1.3.101.112, which CloudFront"]]);

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
        let bundle = bundle::read(source.as_bytes()).expect("a bundle");
        let case = Case::new(source, root);
        for place in [IN_ACM, IN_IAM] {
            for stored in [false, true] {
                let place = Place { stored, ..place };
                Case { place, ..case.clone() }.finds(&[]);
                let notes = notes(&bundle, place);
                match told.filter(|_| place == IN_ACM) {
                    Some(told) => assert!(notes[0].contains(told), "{notes:?}"),
                    None => assert_eq!(notes, [""; 0]),
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

/// Case S5: a renewal may come with another kind of key.
#[test]
fn a_change_of_the_key_is_noted() {
    let authority = Authority::root("Root");
    let ec = certificate(&authority.sign(&leaf_params(NAMES), &p256()));
    let rsa = certificate(&authority.sign(&leaf_params(NAMES), &rsa_2048()));
    let check = |old, new, told: Option<&[&str]>| match (key_change(old, new), told) {
        (None, None) => {}
        (Some(note), Some(words)) => {
            assert!(words.iter().all(|word| note.contains(word)), "{note}");
        }
        (note, _) => panic!("{note:?}"),
    };
    check(&ec, &ec, None);
    check(&rsa, &rsa, None);
    check(&rsa, &ec, Some(&["from RSA 2048 to ECDSA P-256", "only RSA"]));
    check(&ec, &rsa, Some(&["from ECDSA P-256 to RSA 2048."]));
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key");
    let p384 = certificate(&authority.sign(&leaf_params(NAMES), &p384));
    check(&ec, &p384, Some(&["from ECDSA P-256 to ECDSA P-384."]));
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
