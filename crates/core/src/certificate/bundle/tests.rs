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
    Place { field: Some(FieldName::new(field)), block }
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

/// DER of a PEM text with one block.
fn der(pem: &str) -> Vec<u8> {
    pem::parse(pem).expect("PEM").into_contents()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a length").to_be_bytes();
    [&[tag, 0x82, length[0], length[1]], content].concat()
}

/// A PKCS#7 file with these certificates, in DER or with indefinite lengths.
fn pkcs7(certificates: &[&str], is_indefinite: bool) -> Vec<u8> {
    let wrap = |tag: u8, content: &[u8]| match is_indefinite {
        true => [&[tag, 0x80], content, &[0, 0]].concat(),
        false => tlv(tag, content),
    };
    let data = [0x30, 11, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    let signed_data = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
    let all: Vec<u8> = certificates.iter().flat_map(|pem| der(pem)).collect();
    let parts = [&[0x02, 1, 1, 0x31, 0][..], &data, &wrap(0xa0, &all), &[0x31, 0]];
    let content = wrap(0xa0, &wrap(0x30, &parts.concat()));
    wrap(0x30, &[&signed_data[..], &content].concat())
}

#[track_caller]
fn check_files(files: &[&[u8]], leaf: &str, chain: &[&str], key: &str) {
    let bundle = read_files(files.iter().copied(), &mut |_| None).expect("a bundle");
    let chain = chain.iter().map(|pem| lf(pem)).collect();
    assert_eq!(parts(&bundle), (lf(leaf), chain, lf(key)));
}

/// With case S20: PEM that was pasted into a console and has lost its line breaks.
#[test]
fn every_form_of_one_meaning_is_read() {
    let Delivery { leaf, key, lower, upper, root, .. } = &*DELIVERY;
    let chain = [lower.as_str(), upper];
    let all = lf(&format!("{leaf}{lower}{upper}{key}"));
    let check = |content: &str| check(content, leaf, &chain, key);
    // Lost line breaks: the console, variables, JSON that was quoted twice.
    check(&all.replace('\n', " "));
    check(&all.replace('\n', "\\n"));
    check(&all.replace('\n', "\\r\\n"));
    check(&all.replace('\n', "\\\\n"));
    check(&all.replace('\n', ""));
    check(&all.replace('\n', "\r"));
    check(&all.replace('\n', "\n\n"));
    check(&all.replace('\n', "\u{200b}\n\u{a0}"));
    check(&format!("CERTIFICATE=\"{}\"", all.replace('\n', "\\n")));
    // Base64 around it, with and without its own line breaks, once and twice, with and without padding.
    let encoded = base64(all.as_bytes());
    check(&encoded);
    check(encoded.trim_end_matches('='));
    check(&base64(encoded.as_bytes()));
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|l| std::str::from_utf8(l).expect("ASCII")).collect();
    check(&lines.join("\r\n"));
    check(&format!("\"{encoded}\""));
    // Headers, as in RFC 1421, and what is harmless beside a certificate.
    check(&all.replacen("-----\n", "-----\nX-Origin: a\n b\n\n", 1));
    for label in [
        "DH PARAMETERS",
        "X9.42 DH PARAMETERS",
        "EC PARAMETERS",
        "X509 CRL",
        "PUBLIC KEY",
        "CERTIFICATE REQUEST",
        "NEW CERTIFICATE REQUEST",
    ] {
        check(&format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n{all}"));
    }
    let encrypted = "-----BEGIN EC PARAMETERS-----\nProc-Type: 4,ENCRYPTED\n\nMAA=\n-----END EC PARAMETERS-----\n";
    check(&format!("{encrypted}{all}"));
    // Wrong and old labels.
    check(&all.replace(" CERTIFICATE-", " X509 CERTIFICATE-"));
    for label in ["RSA PRIVATE KEY", "EC PRIVATE KEY", "ANY PRIVATE KEY", "CERTIFICATE"] {
        check(&all.replace(" PRIVATE KEY-", &format!(" {label}-")));
    }
    // The trust that OpenSSL adds: a sequence after the certificate.
    let trusted =
        |aux: &[u8]| pem::encode(&pem::Pem::new("TRUSTED CERTIFICATE", [&der(leaf), aux].concat()));
    let with_trust = [0x30, 12, 0x30, 10, 0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
    check(&format!("{}{lower}{upper}{key}", trusted(&with_trust)));
    check(&format!("{}{lower}{upper}{key}", trusted(&[])));

    // In several files, each in another form.
    let check = |files: &[&[u8]]| check_files(files, leaf, &chain, key);
    let rest = format!("{lower}{upper}{key}");
    check(&[&der(leaf), rest.as_bytes()]);
    check(&[&der(leaf), &der(lower), &der(upper), &der(key)]);
    check(&[&[der(leaf), der(lower), der(upper)].concat(), &der(key)]);
    check(&[b"A text beside them.", b"", all.as_bytes(), all.as_bytes(), key.as_bytes()]);
    check(&[base64(&der(leaf)).as_bytes(), rest.as_bytes()]);
    for is_indefinite in [false, true] {
        let file = pkcs7(&[root, upper, lower, leaf], is_indefinite);
        check(&[&file, &der(key)]);
        check(&[base64(&file).as_bytes(), key.as_bytes()]);
        for label in ["PKCS7", "CERTIFICATE", "PKCS #7 SIGNED DATA"] {
            let block = pem::encode(&pem::Pem::new(label, file.clone()));
            check(&[block.as_bytes(), key.as_bytes()]);
        }
    }
    // Any code page outside of the blocks, and UTF-16 with its mark.
    check(&[b"# Schl\xfcssel f\xfcr M\xfcller\n", all.as_bytes()]);
    check(&[&[b"# \x97 Schl\xfcssel\x00\n", all.as_bytes(), &[0x1a, 0, 0xff]].concat()]);
    let utf16 = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(all.encode_utf16()).flat_map(unit).collect()
    };
    check(&[&utf16(u16::to_le_bytes)]);
    check(&[&utf16(u16::to_be_bytes)]);
    let without_mark = BundleError::Utf16 { is_little_endian: true };
    refuse(&utf16(u16::to_le_bytes)[2..], without_mark);
    refuse(&utf16(u16::to_be_bytes)[2..], BundleError::Utf16 { is_little_endian: false });
}

#[test]
fn json_is_read_as_programs_write_it() {
    let Delivery { leaf, key, lower, upper, root, .. } = &*DELIVERY;
    let chain = [lower.as_str(), upper];
    let rest = format!("{lower}{upper}");
    let fullchain = format!("{leaf}{rest}");
    let check = |content: Value| check(&content.to_string(), leaf, &chain, key);
    // certbot, acme.sh, lego.
    check(json!({"cert": leaf, "chain": rest, "fullchain": fullchain, "privkey": key}));
    check(
        json!({"Cert": leaf, "CA": rest, "FullChain": fullchain, "Key": key, "Le_Domain": "example.com"}),
    );
    check(json!({"domain": "example.com", "certUrl": "https://x", "certStableUrl": "https://x",
                 "certificate": base64(fullchain.as_bytes()), "private_key": base64(key.as_bytes()),
                 "issuerCertificate": base64(lower.as_bytes())}));
    // Vault, with and without its envelope; Infisical.
    let vault = json!({"certificate": leaf, "issuing_ca": lower, "ca_chain": [lower, upper, root],
                       "private_key": key, "private_key_type": "ec", "serial_number": "05:36",
                       "expiration": 1_800_000_000});
    check(vault.clone());
    check(json!({"request_id": "0a1b", "lease_id": "", "renewable": false, "data": vault,
                 "warnings": null}));
    check(json!({"certificate": leaf, "certificateChain": rest, "issuingCaCertificate": lower,
                 "privateKey": key, "serialNumber": "1234"}));
    // Kubernetes; its history is another certificate.
    let encoded = |text: &str| base64(text.as_bytes());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "www", "annotations": {"kubectl.kubernetes.io/last-applied-configuration":
            json!({"data": {"tls.key": encoded(&p256().serialize_pem())}}).to_string()}},
        "data": {"ca.crt": encoded(root), "tls.crt": encoded(&fullchain), "tls.key": encoded(key)}});
    check(secret.clone());
    check(json!({"apiVersion": "v1", "kind": "List", "items": [secret]}));
    // Terraform: outputs, and the resource of its ACME provider with the key of the account.
    let output = |value: &str| json!({"sensitive": true, "type": "string", "value": value});
    check(json!({"certificate_pem": output(leaf), "issuer_pem": output(&rest),
                 "private_key_pem": output(key)}));
    check(json!({"account_key_pem": p256().serialize_pem(), "certificate_pem": leaf,
                 "issuer_pem": rest, "private_key_pem": key, "min_days_remaining": 30}));
    // ACM: ExportCertificate, and what ImportCertificate takes.
    check(json!({"Certificate": leaf, "CertificateChain": rest, "PrivateKey": key}));
    check(json!({"Certificate": base64(leaf.as_bytes()), "PrivateKey": base64(key.as_bytes()),
                 "CertificateChain": base64(rest.as_bytes()),
                 "Tags": [{"Key": "Name", "Value": "www"}]}));
    // Absent: null, an empty string, an empty array.
    check(json!({"certificate": fullchain, "privateKey": key, "certificateChain": null}));
    check(json!({"certificate": fullchain, "privateKey": key, "certificateChain": ""}));
    check(json!({"certificate": fullchain, "privateKey": key, "certificateChain": []}));
    // JSON in JSON, in an array, in a string, in base64; arrays of certificates and of lines.
    let plain = json!({"tls.crt": fullchain, "tls.key": key});
    check(
        json!({"ARN": "arn:aws:secretsmanager:us-east-1:1:secret:x", "SecretString": plain.to_string()}),
    );
    check(json!([plain]));
    check(json!(plain.to_string()));
    check(json!(base64(plain.to_string().as_bytes())));
    check(json!({"certificate": [leaf, lower, upper], "privateKey": [key]}));
    check(json!([leaf, lower, upper, key]));
    // The values of the console, and values in DER.
    check(
        json!({"certificate": lf(&fullchain).replace('\n', " "), "privateKey": lf(key).replace('\n', "\\n")}),
    );
    check(
        json!({"certificate": base64(&pkcs7(&[leaf, lower, upper], false)), "privateKey": base64(&der(key))}),
    );

    // Two readings.
    let stranger = p256().serialize_pem();
    let other = Authority::root("Other").sign(&leaf_params(&["b.example.com"]), &p256());
    refuse(
        json!([{"certificate": fullchain, "privateKey": key}, {"privateKey": stranger}])
            .to_string(),
        BundleError::SecondKey { place: within("privateKey", 2), first: within("privateKey", 1) },
    );
    refuse(
        format!(
            "{{\"tls.crt\": {}, \"cert\": {}, \"key\": {}}}",
            json!(leaf),
            json!(other),
            json!(stranger)
        ),
        BundleError::SecondLeaf {
            place: within("cert", 1),
            subject: "CN=www.example.com".to_owned(),
            first: within("tls.crt", 1),
        },
    );
}

#[test]
fn a_content_in_another_format_is_named() {
    let Delivery { leaf, key, lower, .. } = &*DELIVERY;
    let all = lf(&format!("{leaf}{lower}{key}"));
    for dashes in ["----", "\u{2014}\u{2013}", "\u{2212}".repeat(5).as_str(), "----- "] {
        let spaced = dashes.chars().rev().collect::<String>();
        let changed = all
            .replace("-----BEGIN", &format!("{dashes}BEGIN"))
            .replace("-----\n", &format!("{spaced}\n"));
        refuse(&changed, BundleError::ChangedDashes);
        refuse(all.replacen("-----END", &format!("{dashes}END"), 1), BundleError::ChangedDashes);
    }
    refuse(
        format!("tls.crt: {}\ntls.key: {}\n", base64(leaf.as_bytes()), base64(key.as_bytes())),
        BundleError::Base64Inside,
    );
    // A file that is no text is no reason to refuse what the others hold.
    check_files(&[&[0x89, b'P', b'N', b'G'], all.as_bytes()], leaf, &[lower], key);
    refuse([0x89, b'P', b'N', b'G', 0xff], BundleError::NotText);
    let pfx = [
        0x30, 0x16, 2, 1, 3, 0x30, 0x11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1, 0xa0,
        4, 4, 2, 0x30, 0,
    ];
    refuse(pfx, BundleError::Pkcs12 { place: place(1) });
    refuse(base64(&pfx), BundleError::Pkcs12 { place: place(1) });
    let block = pem::encode(&pem::Pem::new("CERTIFICATE", pfx));
    refuse(block + key, BundleError::Pkcs12 { place: place(1) });
    refuse(
        json!({"pfx": base64(&pfx)}).to_string(),
        BundleError::Pkcs12 { place: within("pfx", 1) },
    );
    // Beside the same in PEM it is not needed.
    check(
        &json!({"certificate": leaf, "chain": lower, "key": key, "certificate_p12": base64(&pfx)})
            .to_string(),
        leaf,
        &[lower],
        key,
    );
    // What opens it may hold any number of certificates, and one key.
    let mut open = |_: &[u8]| Some(vec![der(key).into(), der(leaf).into(), der(lower).into()]);
    let bundle = read_files([&pfx[..]], &mut open).expect("a bundle");
    assert_eq!(parts(&bundle), (lf(leaf), vec![lf(lower)], lf(key)));
    // An encrypted key in DER.
    let encrypted = include_str!("../../../tests/fixtures/rsa2048.encrypted.pkcs8.pem");
    refuse(der(encrypted), BundleError::EncryptedKey { place: place(1) });
    // Nested deeper than any program nests it.
    let mut nested = all;
    for _ in 0..9 {
        nested = base64(nested.as_bytes());
    }
    assert!(nested.len() > MAX_SOURCE_BYTES || read(nested.as_bytes()).is_err());
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
    refuse("PK\u{3}\u{4}...", BundleError::Archive);
    refuse([0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2], BundleError::KeyStore);
}

/// A text beside the files is no error, but a chain that is damaged must not go unnoticed.
#[test]
fn a_file_in_der_is_read_or_refused() {
    let Delivery { leaf, key, lower, .. } = &*DELIVERY;
    let both = format!("{leaf}{key}");
    let lower = der(lower);
    for damaged in [&lower[..lower.len() - 1], &[&lower[..], b"junk"].concat()] {
        let read = read_files([both.as_bytes(), damaged], &mut |_| None);
        assert_eq!(read.map(|bundle| parts(&bundle)), Err(BundleError::NotText));
    }
    check_files(&[both.as_bytes(), b"0 errors"], leaf, &[], key);
}

#[test]
fn json_of_another_shape_is_refused_by_name() {
    let Delivery { leaf, key, .. } = &*DELIVERY;
    let refuse_json = |content: Value, expected| refuse(content.to_string(), expected);
    let missing = |lack, fields: &[&str]| {
        let fields = fields.iter().copied().map(FieldName::new).collect();
        BundleError::Missing { lack, beside: None, fields: Some(fields) }
    };
    let empty = |fields: &[&str]| BundleError::EmptyFields {
        fields: fields.iter().copied().map(FieldName::new).collect(),
    };
    refuse("{\n \"certificate\": \"a\nb\"}", BundleError::BrokenJson { line: 3, column: 0 });
    refuse("{} x", BundleError::BrokenJson { line: 1, column: 4 });
    refuse_json(json!({}), missing(Lack::Both, &[]));
    refuse_json(json!({"certificate": leaf}), missing(Lack::Key, &[]));
    refuse_json(json!({"privateKey": key}), missing(Lack::Certificate, &[]));
    // All at once: what is missing, and where it is not.
    let typing_errors =
        r#"{"zertifikat": "x", "schluessel": "y", "domain": "example.com", "n": 1}"#;
    refuse(typing_errors, missing(Lack::Both, &["zertifikat", "schluessel", "domain"]));
    refuse_json(
        json!({"certificate": 1, "privateKey": key, "certificateChain": "a"}),
        empty(&["certificate", "certificateChain"]),
    );
    refuse_json(json!({"certificate": leaf, "privateKey": {"a": 1}}), missing(Lack::Key, &[]));
    let not_shown = missing(Lack::Both, &["with two words"]);
    assert!(not_shown.to_string().contains("a name that is not shown"), "{not_shown}");
    for name in [key.as_str(), "a b", &"a".repeat(33)] {
        refuse_json(json!({name: "x"}), not_shown.clone());
    }
    let stranger = p256().serialize_pem();
    refuse_json(
        json!({"certificate": format!("{leaf}{stranger}"), "privateKey": key}),
        BundleError::SecondKey { place: within("privateKey", 1), first: within("certificate", 2) },
    );
    // Two fields of one name: both readings are named.
    refuse(
        format!(
            "{{\"certificate\": {}, \"privateKey\": {}, \"privateKey\": {}}}",
            json!(leaf),
            json!(key),
            json!(stranger)
        ),
        BundleError::SecondKey { place: within("privateKey", 2), first: within("privateKey", 1) },
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
    refuse_after_leaf("-----BEGIN CERTIFICATE-----\\AAAA\n-----END CERTIFICATE-----\n", base64);
    refuse(format!("{leaf}-----BEGIN PRIVATE KEY-----\nAAAA"), armour(place(2)));
    refuse(format!("{leaf}{}", key.replace("BEGIN", "EGIN")), armour(place(1)));
    refuse(format!("{}{key}", leaf.replace("BEGIN", "EGIN")), armour(place(1)));

    let other = |tag: &str| format!("{leaf}-----BEGIN {tag}-----\nMAA=\n-----END {tag}-----\n");
    for tag in ["OPENSSH PRIVATE KEY", "PGP PUBLIC KEY BLOCK", "SSH2 KEY"] {
        let expected = BundleError::OtherBlock { place: place(2), tag: tag.to_string() };
        refuse(other(tag) + key, expected);
    }
    let error = CertificateError::NotX509;
    refuse(other("CERTIFICATE") + key, BundleError::BrokenCertificate { place: place(2), error });
    let broken_key = BundleError::BrokenKey { place: place(2) };
    refuse(other("PRIVATE KEY").replace("MAA=", "AAAA"), broken_key);
    let missing = |lack, beside| BundleError::Missing { lack, beside, fields: None };
    refuse(&leaf, missing(Lack::Key, None));
    refuse(key, missing(Lack::Certificate, None));
    // What may lie beside a certificate says more than that something is missing.
    refuse(other("PUBLIC KEY"), missing(Lack::Key, Some((place(2), "PUBLIC KEY"))));
    let request = other("CERTIFICATE REQUEST").replace(&leaf, key);
    refuse(request, missing(Lack::Certificate, Some((place(2), "CERTIFICATE REQUEST"))));
    let stranger = p256().serialize_pem();
    refuse(
        format!("{key}{leaf}{lower}{stranger}"),
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
    check(BundleError::NotText, Ending::SourceUnreadable, source, "neither text nor a certificate");
    check(
        BundleError::Pkcs12 { place: place(1) },
        Ending::SourceUnreadable,
        "source of the new certificate, block 1",
        "openssl pkcs12 -in FILE",
    );
    check(
        BundleError::BrokenJson { line: 2, column: 5 },
        Ending::SourceUnreadable,
        source,
        "line 2, column 5",
    );
    check(
        BundleError::EmptyFields { fields: vec![FieldName::new("certificate")] },
        Ending::SourceUnreadable,
        source,
        "in the field certificate",
    );
    check(
        BundleError::EncryptedKey { place: place(2) },
        Ending::CertificateInvalid,
        "source of the new certificate, block 2",
        "openssl pkey -in FILE -out key.pem",
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
