use std::sync::LazyLock;

use proptest::prelude::*;
use rcgen::KeyPair;
use serde_json::{Value, json};

use super::*;
use crate::certificate::chain::Chain;
use crate::certificate::{CertificateError, TrustRoots};
use crate::failure::Ending;
use crate::fixtures::*;
use rotation_test_pki::*;

/// A leaf, its key, and two intermediate certificates. The upper one is cross-signed by another
/// root, with a certificate that expires earlier.
struct Delivery {
    leaf: String,
    key: String,
    lower: String,
    upper: String,
    crossed: String,
    root: String,
    other_root: String,
}

static DELIVERY: LazyLock<Delivery> = LazyLock::new(|| {
    let root = Authority::root("Root");
    let other_root = Authority::root("Other root");
    let upper = root.intermediate("Upper");
    let lower = upper.intermediate("Lower");
    let key = p256();
    Delivery {
        leaf: lower.sign(&leaf_params(&["www.example.com"]), &key),
        key: key.serialize_pem(),
        crossed: other_root.cross_sign(&upper, 2030),
        lower: lower.pem,
        upper: upper.pem,
        root: root.pem,
        other_root: other_root.pem,
    }
});

/// A bundle in a form that can be compared.
fn parts(bundle: &Bundle) -> (String, Vec<String>, String) {
    let now = "2026-04-01T00:00:00Z".parse().expect("time");
    let chain = Chain::choose(bundle, &TrustRoots::mozilla(), now).intermediates;
    let chain = chain.iter().map(Certificate::to_pem).collect();
    (bundle.leaf.to_pem(), chain, bundle.key.to_pem().to_string())
}

/// Converts the PEM of `rcgen`, with CRLF, to the format of this crate.
fn lf(pem: &str) -> String {
    pem.replace("\r\n", "\n")
}

#[track_caller]
fn check(content: &str, leaf: &str, chain: &[&str], key: &str) {
    let bundle = read(content.as_bytes()).expect("a bundle");
    let chain = chain.iter().map(|pem| lf(pem)).collect();
    assert_eq!(parts(&bundle), (lf(leaf), chain, lf(key)));
}

#[track_caller]
fn refuse(content: impl AsRef<[u8]>, expected: BundleError) {
    assert_eq!(read(content.as_ref()).map(|bundle| parts(&bundle)), Err(expected));
}

fn place(block: usize) -> Place {
    Place { field: None, block }
}

fn within(field: &'static str, block: usize) -> Place {
    Place { field: Some(field), block }
}

#[test]
fn pem_is_read_in_any_layout() {
    let Delivery { leaf, key, lower, upper, root, .. } = &*DELIVERY;
    let chain = [lower.as_str(), upper];
    check(&format!("{leaf}{lower}{upper}{key}"), leaf, &chain, key);
    check(&format!("{key}{root}{upper}{lower}{leaf}{leaf}{lower}"), leaf, &chain, key);
    check(&format!("\u{feff}\n  {leaf}\n\n{lower}{upper}{key}\n\n"), leaf, &chain, key);
    let lines = format!("{leaf}{lower}{upper}{key}");
    check(&lines.replace("\r\n", "\n"), leaf, &chain, key);
    check(&lf(&lines).replace('\n', "\r\n"), leaf, &chain, key);
    check(&lf(&lines).replace('\n', " "), leaf, &chain, key);
    let annotated = format!(
        "Bag Attributes\n    localKeyID: 01\nsubject=CN = x\n{key}issuer: y\n{leaf}---\n{upper}{lower}end"
    );
    check(&annotated, leaf, &chain, key);
    check(&format!("{leaf}{key}"), leaf, &[], key);
}

#[test]
fn json_is_read_with_and_without_a_chain_field() {
    let Delivery { leaf, key, lower, upper, root, .. } = &*DELIVERY;
    let chain = [lower.as_str(), upper];
    let check = |content: Value, chain: &[&str]| check(&content.to_string(), leaf, chain, key);
    check(
        json!({"certificate": leaf, "privateKey": key,
               "certificateChain": format!("{root}{upper}{lower}")}),
        &chain,
    );
    check(json!({"certificate": format!("{leaf}{lower}{upper}"), "privateKey": key}), &chain);
    check(json!({"certificate": leaf, "privateKey": key, "certificateChain": " "}), &[]);
}

#[test]
fn every_encoding_of_a_key_is_read() {
    let root = Authority::root("Root");
    let rsa = root.sign(&leaf_params(&["www.example.com"]), &rsa_2048());
    check(&format!("{rsa}{RSA_2048_PKCS1}"), &rsa, &[], RSA_2048_PKCS1);
    check(&format!("{rsa}{RSA_2048_PKCS8}"), &rsa, &[], RSA_2048_PKCS8);

    let public_key = include_str!("../../../tests/fixtures/p256.pub.pem");
    let public_key = rcgen::SubjectPublicKeyInfo::from_pem(public_key).expect("public key");
    let ec = root.sign(&leaf_params(&["www.example.com"]), &public_key);
    let parameters = P256_SEC1.find("-----BEGIN EC PRIVATE").expect("key");
    assert!(P256_SEC1.starts_with("-----BEGIN EC PARAMETERS"));
    check(&format!("{ec}{P256_SEC1}"), &ec, &[], &P256_SEC1[parameters..]);
}

#[test]
fn the_leaf_is_found_by_the_key_or_by_elimination() {
    let Delivery { leaf, key, lower, upper, root, .. } = &*DELIVERY;
    // A key of another certificate is accepted here; `fitness::check` reports it.
    let stranger = p256().serialize_pem();
    check(&format!("{upper}{leaf}{lower}{stranger}"), leaf, &[lower, upper], &stranger);
    // `openssl req -x509` creates self-signed CA certificates.
    let own = p256();
    let own_pem = own.serialize_pem();
    let self_signed = Authority::root_with_key("www.example.com", own).pem;
    check(&format!("{self_signed}{own_pem}"), &self_signed, &[], &own_pem);
    // A certificate without basic constraints may still be an issuer.
    let mut old_style = authority_params("Old style");
    old_style.is_ca = rcgen::IsCa::NoCa;
    let authority = Authority::root("Authority");
    let old_style = authority.intermediate_from(old_style, p256());
    let below = old_style.sign(&leaf_params(&["www.example.com"]), &p256());
    check(&format!("{}{below}{stranger}", old_style.pem), &below, &[&old_style.pem], &stranger);

    refuse(format!("{lower}{upper}{root}{key}"), BundleError::NoLeaf);
    let issue = |key: &KeyPair| authority.sign(&leaf_params(&["www.example.com"]), key);
    let (one, two) = (issue(&p256()), issue(&p256()));
    refuse(
        format!("{one}{stranger}{two}"),
        BundleError::SecondLeaf {
            place: place(3),
            subject: "CN=www.example.com".to_string(),
            first: place(1),
        },
    );
    // The previous certificate, for the same key, is still in the content.
    let reused = p256();
    let (one, two) = (issue(&reused), {
        let mut later = leaf_params(&["www.example.com"]);
        later.not_after = rcgen::date_time_ymd(2026, 8, 1);
        authority.sign(&later, &reused)
    });
    refuse(
        format!("{}{one}{two}", reused.serialize_pem()),
        BundleError::SecondLeaf {
            place: place(3),
            subject: "CN=www.example.com".to_string(),
            first: place(2),
        },
    );
}

#[test]
fn content_that_is_neither_json_nor_pem_is_refused() {
    refuse("", BundleError::Empty);
    refuse(" \r\n\u{feff}", BundleError::Empty);
    refuse("\u{feff} \n", BundleError::Empty);
    let large = "a".repeat(MAX_SOURCE_BYTES + 1);
    refuse(&large[..MAX_SOURCE_BYTES], BundleError::NeitherJsonNorPem);
    refuse(&large, BundleError::TooLarge { bytes: MAX_SOURCE_BYTES + 1 });
    refuse(vec![0xff; MAX_SOURCE_BYTES + 1], BundleError::TooLarge { bytes: 65_537 });
    refuse([0x30, 0x82, 0x01, 0x02], BundleError::NotText);
    refuse("hello", BundleError::NeitherJsonNorPem);
    refuse("[\"a\"]", BundleError::NeitherJsonNorPem);
    refuse("-----END CERTIFICATE-----", BundleError::NeitherJsonNorPem);
}

#[test]
fn json_of_another_shape_is_refused_by_name() {
    let Delivery { leaf, key, lower, .. } = &*DELIVERY;
    let refuse_json = |content: Value, expected| refuse(content.to_string(), expected);
    refuse("{\n \"certificate\": \"a\nb\"}", BundleError::BrokenJson { line: 3, column: 0 });
    refuse("{} x", BundleError::BrokenJson { line: 1, column: 4 });
    refuse_json(json!({}), BundleError::MissingField { field: "certificate" });
    refuse_json(json!({"certificate": leaf}), BundleError::MissingField { field: "privateKey" });
    refuse_json(
        json!({"certificate": leaf, "privateKey": [key]}),
        BundleError::NotAString { field: "privateKey" },
    );
    refuse_json(
        json!({"certificate": 1, "privateKey": key}),
        BundleError::NotAString { field: "certificate" },
    );
    refuse_json(
        json!({"certificate": leaf, "privateKey": key, "certificateChain": null}),
        BundleError::NotAString { field: "certificateChain" },
    );
    refuse_json(
        json!({"certificate": leaf, "privateKey": key, "chain": lower}),
        BundleError::UnknownField { field: "chain".to_string() },
    );
    let not_shown = "with a name that is not shown".to_string();
    for name in [key.as_str(), "a b", &"a".repeat(33)] {
        refuse_json(
            json!({"certificate": leaf, "privateKey": key, name: 1}),
            BundleError::UnknownField { field: not_shown.clone() },
        );
    }
    refuse_json(
        json!({"certificate": "a", "privateKey": key}),
        BundleError::NoBlock { field: "certificate" },
    );
    refuse_json(
        json!({"certificate": leaf, "privateKey": ""}),
        BundleError::NoBlock { field: "privateKey" },
    );
    refuse_json(
        json!({"certificate": leaf, "privateKey": key, "certificateChain": "a"}),
        BundleError::NoBlock { field: "certificateChain" },
    );
    refuse_json(
        json!({"certificate": format!("{leaf}{key}"), "privateKey": key}),
        BundleError::SecondKey { place: within("privateKey", 1), first: within("certificate", 2) },
    );
}

#[test]
fn a_block_that_is_broken_or_out_of_place_is_named() {
    let Delivery { leaf, key, lower, .. } = &*DELIVERY;
    let leaf = lf(leaf);
    let refuse_after_leaf = |second: &str, expected: fn(Place) -> BundleError| {
        refuse(format!("{leaf}{second}{key}"), expected(place(2)));
    };
    let armour = |place| BundleError::BrokenArmour { place };
    let base64 = |place| BundleError::BrokenBase64 { place };
    refuse_after_leaf("-----BEGIN CERTIFICATE-----\nAAAA\n", armour);
    refuse_after_leaf("-----BEGIN CERTIFICATE-----\nAAAA\n-----END X-----\n", armour);
    refuse_after_leaf("-----BEGIN CERTIFICATE\nAAAA\n-----END CERTIFICATE-----\n", armour);
    refuse_after_leaf("-----BEGIN MIGHag-----\nAAAA\n-----END MIGHag-----\n", armour);
    let long = "A".repeat(33);
    let long = format!("-----BEGIN {long}-----\nAAAA\n-----END {long}-----\n");
    refuse_after_leaf(&long, armour);
    refuse_after_leaf("-----BEGIN -----\nAAAA\n-----END -----\n", armour);
    refuse_after_leaf("-----BEGIN CERTIFICATE-----\nA?\n-----END CERTIFICATE-----\n", base64);
    refuse_after_leaf("-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n", base64);
    refuse_after_leaf(
        "-----BEGIN CERTIFICATE-----\nAAAA\n\nAAAA\n-----END CERTIFICATE-----\n",
        base64,
    );
    refuse(format!("{leaf}-----BEGIN PRIVATE KEY-----\nAAAA"), armour(place(2)));
    refuse(format!("{leaf}{}", key.replace("BEGIN", "EGIN")), armour(place(1)));
    refuse(format!("{}{key}", leaf.replace("BEGIN", "EGIN")), armour(place(1)));

    let other = |tag: &str| format!("{leaf}-----BEGIN {tag}-----\nMAA=\n-----END {tag}-----\n");
    for tag in ["CERTIFICATE REQUEST", "PUBLIC KEY", "OPENSSH PRIVATE KEY", "DH PARAMETERS"] {
        let expected = BundleError::OtherBlock { place: place(2), tag: tag.to_string() };
        refuse(other(tag) + key, expected);
    }
    let error = CertificateError::NotX509;
    refuse(other("CERTIFICATE") + key, BundleError::BrokenCertificate { place: place(2), error });
    let broken_key = BundleError::BrokenKey { place: place(2) };
    refuse(other("PRIVATE KEY").replace("MAA=", "AAAA"), broken_key);
    refuse(&leaf, BundleError::NoKey);
    refuse(key, BundleError::NoCertificate);
    refuse(
        format!("{key}{leaf}{lower}{key}"),
        BundleError::SecondKey { place: place(4), first: place(1) },
    );
    let encrypted = BundleError::EncryptedKey { place: place(2) };
    for key in [
        include_str!("../../../tests/fixtures/rsa2048.encrypted.pkcs1.pem").to_string(),
        include_str!("../../../tests/fixtures/rsa2048.encrypted.pkcs1.pem").replace('\n', "\r\n"),
        include_str!("../../../tests/fixtures/rsa2048.encrypted.pkcs8.pem").to_string(),
    ] {
        refuse(format!("{leaf}{key}"), encrypted.clone());
    }
    // Text between two blocks belongs to neither of them.
    let remark = format!("{key}Proc-Type: 4,ENCRYPTED\n");
    check(&format!("{leaf}{remark}"), &leaf, &[], key);
}

#[test]
fn a_finding_names_the_place_and_the_cure() {
    let check = |error: BundleError, ending, subject: &str, text: &str| {
        let finding = error.finding();
        assert_eq!((finding.ending, finding.subject.as_str()), (ending, subject));
        assert!(finding.to_string().contains(text), "{finding}");
        assert!(!finding.problem.ends_with('.') && !finding.cure.ends_with('.'), "{finding}");
    };
    let source = "source of the new certificate";
    check(BundleError::NotText, Ending::SourceUnreadable, source, "openssl pkcs12 -in FILE");
    check(
        BundleError::BrokenJson { line: 2, column: 5 },
        Ending::SourceUnreadable,
        source,
        "line 2, column 5",
    );
    check(
        BundleError::MissingField { field: "privateKey" },
        Ending::SourceUnreadable,
        source,
        "the field privateKey is missing",
    );
    check(BundleError::NoKey, Ending::CertificateInvalid, source, "private key");
    check(
        BundleError::NoBlock { field: "certificate" },
        Ending::CertificateInvalid,
        "source of the new certificate, field certificate",
        "no PEM block",
    );
    check(
        BundleError::EncryptedKey { place: place(2) },
        Ending::CertificateInvalid,
        "source of the new certificate, block 2",
        "openssl pkey -in encrypted.pem -out key.pem",
    );
}

/// No twelve consecutive characters of the key's base64 may appear in an error or its finding.
fn says_nothing_of_the_key(error: &BundleError) -> bool {
    let said = format!("{error:?} {error} {}", error.finding());
    let key: String = DELIVERY.key.lines().filter(|line| !line.starts_with('-')).collect();
    !key.as_bytes().windows(12).any(|part| said.as_bytes().windows(12).any(|other| other == part))
}

proptest! {
    #[test]
    fn the_order_of_the_blocks_does_not_matter(
        blocks in Just({
            let Delivery { leaf, key, lower, upper, crossed, root, other_root } = &*DELIVERY;
            vec![leaf, key, lower, upper, crossed, root, other_root, lower, leaf]
        })
        .prop_shuffle(),
        between in "[a-z \n]{0,20}",
    ) {
        let Delivery { leaf, key, lower, upper, .. } = &*DELIVERY;
        let content = blocks.into_iter().map(String::as_str).collect::<Vec<_>>().join(&between);
        check(&content, leaf, &[lower, upper], key);
    }

    #[test]
    fn any_bytes_are_read_or_refused(content in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = read(&content) {
            error.finding();
        }
    }

    #[test]
    fn errors_of_a_damaged_bundle_reveal_nothing_of_the_key(
        as_json in any::<bool>(),
        edits in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0..40_usize, "[-A-Z\"{}:,\n ]{0,3}"),
            1..4,
        ),
    ) {
        let Delivery { leaf, key, lower, .. } = &*DELIVERY;
        let mut content = if as_json {
            json!({"certificate": leaf, "privateKey": key, "certificateChain": lower}).to_string()
        } else {
            format!("{key}{leaf}{lower}")
        };
        for (at, length, replacement) in edits {
            let at = at.index(content.len());
            let end = (at + length).min(content.len());
            content.replace_range(at..end, &replacement);
        }
        if let Err(error) = read(content.as_bytes()) {
            prop_assert!(says_nothing_of_the_key(&error), "{error:?}");
        }
    }

    #[test]
    fn damaged_der_is_read_or_refused(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut der = certificate(&DELIVERY.leaf).der().to_vec();
        for (at, byte) in damage {
            let at = at.index(der.len());
            der[at] = byte;
        }
        let damaged = pem::encode(&pem::Pem::new("CERTIFICATE", der));
        if let Err(error) = read(format!("{damaged}{}{}", DELIVERY.lower, DELIVERY.key).as_bytes()) {
            error.finding();
        }
    }
}
