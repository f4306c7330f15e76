//! What is mutated: the corpus of the fuzzer, the fixtures of the tests, and certificates and keys in every
//! form that OpenSSL writes, made anew in each run and the same in each.

use std::ffi::{CString, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use foreign_types::ForeignType;
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs7::{Pkcs7, Pkcs7Flags};
use openssl::pkey::{PKey, Private};
use openssl::provider::Provider;
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Name, X509Req};

use rotation_core::certificate::TrustRoots;

use crate::der::{parts, tlv};
use crate::differences::roots;
use crate::random::Random;

/// Files that together are one certificate.
pub(crate) struct Seed {
    pub(crate) name: String,
    pub(crate) files: Vec<Vec<u8>>,
}

/// The password of every file that has one.
pub(crate) const PASSWORD: &str = "secret";

/// The seeds made here, the seeds from files, and the authority that issued the certificates of the former.
pub(crate) struct Seeds {
    pub(crate) made: Vec<Seed>,
    pub(crate) files: Vec<Seed>,
    pub(crate) authority: Authority,
    pub(crate) roots: TrustRoots,
}

pub(crate) struct Authority {
    pub(crate) certificate: X509,
    key: PKey<Private>,
}

impl Authority {
    /// The certificate with a signature that covers what it says; `None` if it has not three parts.
    pub(crate) fn sign_again(&self, der: &[u8]) -> Option<Vec<u8>> {
        let parts = parts(der)?;
        let [signed, algorithm, _] = &parts[..] else { return None };
        let mut signer = openssl::sign::Signer::new(MessageDigest::sha256(), &self.key).ok()?;
        let signature = signer.sign_oneshot_to_vec(signed).ok()?;
        Some(tlv(0x30, &[signed, algorithm, &tlv(3, &[&[0], &signature])]))
    }
}

pub(crate) fn all() -> Seeds {
    openssl::init();
    // For RC2 and RC4 in PKCS#12. Once one is loaded, the default one is no longer loaded by itself.
    for provider in ["default", "legacy"] {
        std::mem::forget(Provider::load(None, provider).unwrap());
    }
    repeat_randomness();
    let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let key = rsa(2048);
    let certificate = certificate("Root", &key, None, true);
    let authority = Authority { certificate, key };
    let issuer = rsa(2048);
    let issuer = self::certificate("Issuer", &issuer, Some(&authority), true);
    let three = BigNum::from_u32(3).unwrap();
    let keys = [
        ("RSA 1024", rsa(1024)),
        ("RSA 2048", rsa(2048)),
        ("RSA 3072", rsa(3072)),
        ("RSA 4096", rsa(4096)),
        (
            "RSA 2048 with exponent 3",
            PKey::from_rsa(Rsa::generate_with_e(2048, &three).unwrap()).unwrap(),
        ),
        ("P-256", on_curve(Nid::X9_62_PRIME256V1)),
        ("P-384", on_curve(Nid::SECP384R1)),
        ("P-521", on_curve(Nid::SECP521R1)),
        ("Ed25519", PKey::generate_ed25519().unwrap()),
    ];
    let mut made = Vec::new();
    for (name, key) in &keys {
        let leaf = self::certificate(name, key, Some(&authority), false);
        of(name, key, &leaf, [&issuer, &authority.certificate], &mut made);
    }
    let roots = roots(&authority.certificate);
    Seeds { made, files: from_files(), authority, roots }
}

/// Every form of one certificate with its key.
fn of(name: &str, key: &PKey<Private>, leaf: &X509, chain: [&X509; 2], seeds: &mut Vec<Seed>) {
    let mut add = |form: &str, files: Vec<Vec<u8>>| {
        seeds.push(Seed { name: format!("{name}, {form}"), files });
    };
    let chain_pem = chain.map(|one| one.to_pem().unwrap()).concat();
    let certificates = [leaf.to_pem().unwrap(), chain_pem.clone()].concat();
    for (form, label, der) in forms(key) {
        let pem = pem(label, &der);
        add(form, vec![[&certificates[..], &pem].concat()]);
        add(&format!("{form}, key first"), vec![[&pem[..], &certificates].concat()]);
        add(&format!("{form}, in two files"), vec![certificates.clone(), pem]);
        add(&format!("{form}, DER"), vec![der, certificates.clone()]);
    }
    let key_pem = key.private_key_to_pem_pkcs8().unwrap();
    let all = [&certificates[..], &key_pem].concat();
    add("base64", vec![openssl::base64::encode_block(&all).into()]);
    let lines = openssl::base64::encode_block(&all);
    let lines: Vec<&[u8]> = lines.as_bytes().chunks(64).collect();
    add("base64 in lines", vec![lines.join(&b'\n')]);
    let text = String::from_utf8(leaf.to_text().unwrap()).unwrap();
    add("text", vec![[text.as_bytes(), &all].concat()]);
    let attributes =
        "Bag Attributes\n    localKeyID: 01 02\nsubject=CN = www.example.com\n\nissuer=CN = Root\n";
    add(
        "attributes",
        vec![[attributes.as_bytes(), &certificates, attributes.as_bytes(), &key_pem].concat()],
    );
    add(
        "with others",
        vec![
            [
                &all[..],
                &pem("EC PARAMETERS", &tlv(6, &[b"\x2a\x86\x48\xce\x3d\x03\x01\x07"])),
                &key.public_key_to_pem().unwrap(),
                &request(key).unwrap_or_default(),
            ]
            .concat(),
        ],
    );

    let leaf_der = leaf.to_der().unwrap();
    let chain_der = chain.map(|one| one.to_der().unwrap());
    add("certificate in DER", vec![leaf_der.clone(), key_pem.clone(), chain_pem.clone()]);
    add(
        "all in DER",
        vec![leaf_der.clone(), key.private_key_to_der().unwrap(), chain_der[0].clone()],
    );
    // The trust that `openssl x509 -addtrust serverAuth -setalias www` adds.
    let trust = tlv(
        0x30,
        &[&tlv(0x30, &[&tlv(6, &[b"\x2b\x06\x01\x05\x05\x07\x03\x01"])]), &tlv(0x0c, &[b"www"])],
    );
    let trusted = [&leaf_der[..], &trust].concat();
    add(
        "trusted",
        vec![[&pem("TRUSTED CERTIFICATE", &trusted)[..], &chain_pem, &key_pem].concat()],
    );
    add(
        "trusted without trust",
        vec![[&pem("TRUSTED CERTIFICATE", &leaf_der)[..], &chain_pem, &key_pem].concat()],
    );
    add("trusted, DER", vec![trusted, key_pem.clone()]);
    add(
        "old label",
        vec![[&pem("X509 CERTIFICATE", &leaf_der)[..], &chain_pem, &key_pem].concat()],
    );

    // `openssl crl2pkcs7 -nocrl -certfile`.
    let set = tlv(0xa0, &[&leaf_der, &chain_der[0], &chain_der[1]]);
    let data = tlv(0x30, &[&tlv(6, &[b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"])]);
    let signed = tlv(0x30, &[&[2, 1, 1, 0x31, 0], &data, &set, &[0x31, 0]]);
    let id = tlv(6, &[b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"]);
    let pkcs7 = tlv(0x30, &[&id, &tlv(0xa0, &[&signed])]);
    for label in ["PKCS7", "PKCS #7 SIGNED DATA", "CERTIFICATE"] {
        add(label, vec![[&pem(label, &pkcs7)[..], &key_pem].concat()]);
    }
    add("PKCS#7 in DER", vec![pkcs7, key_pem.clone()]);
    let mut others = Stack::new().unwrap();
    chain.iter().for_each(|one| others.push((*one).clone()).unwrap());
    if let Ok(signed) = Pkcs7::sign(leaf, key, &others, b"data", Pkcs7Flags::BINARY) {
        add("PKCS#7 with a signature", vec![signed.to_pem().unwrap(), key_pem.clone()]);
    }

    let none = -1;
    let des3 = Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC.as_raw();
    let aes = Nid::AES_256_CBC.as_raw();
    let rc2 = Nid::PBE_WITHSHA1AND40BITRC2_CBC.as_raw();
    for (form, key_by, certificates_by, mac, password) in [
        ("bare", none, none, None, ""),
        ("bare with its MAC", none, none, Some(MessageDigest::sha256()), PASSWORD),
        ("AES", aes, aes, Some(MessageDigest::sha256()), PASSWORD),
        ("AES without a MAC", aes, aes, None, PASSWORD),
        ("triple DES", des3, des3, Some(MessageDigest::sha1()), PASSWORD),
        ("RC2", des3, rc2, Some(MessageDigest::sha1()), PASSWORD),
        ("an empty password", aes, aes, Some(MessageDigest::sha512()), ""),
        ("only the key encrypted", des3, none, None, PASSWORD),
    ] {
        let pfx = pkcs12(key, leaf, &others, (key_by, certificates_by), mac, password);
        add(&format!("PKCS#12, {form}"), vec![pfx]);
    }
}

/// Every form of a key that OpenSSL writes without encryption.
fn forms(key: &PKey<Private>) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let pkcs8 = |key: &PKey<Private>| key.private_key_to_pkcs8().unwrap();
    let mut forms = vec![("PKCS#8", "PRIVATE KEY", pkcs8(key))];
    if let Ok(rsa) = key.rsa() {
        forms.push(("PKCS#1", "RSA PRIVATE KEY", rsa.private_key_to_der().unwrap()));
    }
    let Ok(ec) = key.ec_key() else { return forms };
    forms.push(("SEC1", "EC PRIVATE KEY", ec.private_key_to_der().unwrap()));
    let nid = ec.group().curve_name().unwrap();
    // The first byte of the point tells its form: SEC 1, section 2.3.3.
    for (sec1, in_pkcs8, flag, form, without_public) in [
        ("SEC1 without public", "PKCS#8 without public", Asn1Flag::NAMED_CURVE, 4, true),
        ("SEC1 compressed", "PKCS#8 compressed", Asn1Flag::NAMED_CURVE, 2, false),
        ("SEC1 hybrid", "PKCS#8 hybrid", Asn1Flag::NAMED_CURVE, 6, false),
        ("SEC1 explicit", "PKCS#8 explicit", Asn1Flag::EXPLICIT_CURVE, 4, false),
    ] {
        let mut group = EcGroup::from_curve_name(nid).unwrap();
        group.set_asn1_flag(flag);
        let odd =
            EcKey::from_private_components(&group, ec.private_key(), ec.public_key()).unwrap();
        // SAFETY: the key is alive, and both calls set a number in it.
        unsafe {
            EC_KEY_set_conv_form(odd.as_ptr().cast(), form);
            EC_KEY_set_enc_flags(odd.as_ptr().cast(), if without_public { 2 } else { 0 });
        }
        forms.push((sec1, "EC PRIVATE KEY", odd.private_key_to_der().unwrap()));
        forms.push((in_pkcs8, "PRIVATE KEY", pkcs8(&PKey::from_ec_key(odd).unwrap())));
    }
    forms
}

fn on_curve(nid: Nid) -> PKey<Private> {
    let mut group = EcGroup::from_curve_name(nid).unwrap();
    group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn certificate(name: &str, key: &PKey<Private>, issuer: Option<&Authority>, is_ca: bool) -> X509 {
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, openssl::bn::MsbOption::ONE, false).unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    let issuer_name = issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name());
    builder.set_issuer_name(issuer_name).unwrap();
    builder.set_not_before(&Asn1Time::from_str("20260101000000Z").unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_str("20360101000000Z").unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    let mut basic = BasicConstraints::new();
    basic.critical();
    if is_ca {
        basic.ca();
        builder
            .append_extension(KeyUsage::new().critical().key_cert_sign().build().unwrap())
            .unwrap();
    } else {
        builder
            .append_extension(KeyUsage::new().critical().digital_signature().build().unwrap())
            .unwrap();
        let mut names = SubjectAlternativeName::new();
        names.dns("www.example.com").dns("example.com");
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
    }
    builder.append_extension(basic.build().unwrap()).unwrap();
    builder.sign(issuer.map_or(key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
    builder.build()
}

fn request(key: &PKey<Private>) -> Option<Vec<u8>> {
    let mut builder = X509Req::builder().ok()?;
    builder.set_pubkey(key).ok()?;
    builder.sign(key, MessageDigest::sha256()).ok()?;
    builder.build().to_pem().ok()
}

/// A file as `PKCS12_create` writes it, with few iterations. The crate's own builder always adds a MAC.
fn pkcs12(
    key: &PKey<Private>,
    leaf: &X509,
    others: &Stack<X509>,
    (key_by, certificates_by): (c_int, c_int),
    mac: Option<MessageDigest>,
    password: &str,
) -> Vec<u8> {
    let text = CString::new(password).unwrap();
    // SAFETY: all arguments are alive; the result is a new object, which becomes the owner of its memory.
    unsafe {
        let pfx = openssl_sys::PKCS12_create(
            text.as_ptr().cast_mut(),
            c"www".as_ptr().cast_mut(),
            key.as_ptr(),
            leaf.as_ptr(),
            others.as_ptr(),
            key_by,
            certificates_by,
            10,
            -1,
            0,
        );
        assert!(!pfx.is_null(), "{}", openssl::error::ErrorStack::get());
        if let Some(digest) = mac {
            let length = password.len() as c_int;
            openssl_sys::PKCS12_set_mac(
                pfx,
                text.as_ptr(),
                length,
                ptr::null_mut(),
                0,
                10,
                digest.as_ptr(),
            );
        }
        openssl::pkcs12::Pkcs12::from_ptr(pfx).to_der().unwrap()
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let base64 = openssl::base64::encode_block(der);
    let lines: Vec<&str> =
        (0..base64.len()).step_by(64).map(|at| &base64[at..base64.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into()
}

/// The corpus, and the fixtures: each alone, and those that belong together.
fn from_files() -> Vec<Seed> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = here.join("../crates/core/tests/fixtures");
    let beside = std::fs::read(fixtures.join("beside.pem")).unwrap();
    let mut seeds = Vec::new();
    for folder in ["corpus/bundle", "corpus/pkcs12", "corpus/der"] {
        for path in files_in(&here.join(folder)) {
            let content = std::fs::read(&path).unwrap();
            let name = format!("{folder}/{}", path.file_name().unwrap().to_string_lossy());
            if folder == "corpus/der" {
                // As the target itself does it.
                let content = [&[0x30], &content[..]].concat();
                seeds.push(Seed {
                    name: name.clone(),
                    files: vec![content.clone(), beside.clone()],
                });
                seeds.push(Seed { name, files: vec![content] });
            } else {
                seeds.push(Seed { name, files: vec![content] });
            }
        }
    }
    let mut names = vec![
        "root.pem rsa2048.pkcs1.pem".to_owned(),
        "root.pem rsa2048.pkcs8.pem".to_owned(),
        "root.pem rsa2048.encrypted.pkcs1.pem".to_owned(),
        "root.pem rsa2048.encrypted.pkcs8.pem".to_owned(),
        "p521-leaf.pem root.pem p521.pkcs8.pem".to_owned(),
        "v1-leaf.pem root.pem rsa2048.pkcs1.pem".to_owned(),
        "sha1-leaf.pem root.pem rsa2048.pkcs8.pem".to_owned(),
        "p256-sha1.pem p256.sec1.pem".to_owned(),
    ];
    for folder in [fixtures.clone(), fixtures.join("keys")] {
        let inside = files_in(&folder);
        names.extend(
            inside.iter().map(|path| path.strip_prefix(&fixtures).unwrap().display().to_string()),
        );
    }
    for name in names {
        let read = |file| std::fs::read(fixtures.join(file)).unwrap();
        let content = name.split(' ').map(read).collect::<Vec<_>>().concat();
        seeds.push(Seed { name: format!("fixtures: {name}"), files: vec![content] });
    }
    seeds
}

/// Sorted, so that every run has the same seeds.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
}

#[repr(C)]
struct RandMethod {
    seed: Option<unsafe extern "C" fn(*const c_void, c_int) -> c_int>,
    bytes: Option<unsafe extern "C" fn(*mut u8, c_int) -> c_int>,
    cleanup: Option<unsafe extern "C" fn()>,
    add: Option<unsafe extern "C" fn(*const c_void, c_int, f64) -> c_int>,
    pseudorand: Option<unsafe extern "C" fn(*mut u8, c_int) -> c_int>,
    status: Option<unsafe extern "C" fn() -> c_int>,
}

unsafe extern "C" {
    fn RAND_set_rand_method(method: *const RandMethod) -> c_int;
    fn EC_KEY_set_conv_form(key: *mut c_void, form: c_int);
    fn EC_KEY_set_enc_flags(key: *mut c_void, flags: c_int);
}

/// Gives OpenSSL the same random numbers in every run, so that keys, salts and signatures are the same.
fn repeat_randomness() {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    unsafe extern "C" fn bytes(at: *mut u8, length: c_int) -> c_int {
        let mut random = Random::new(0, COUNT.fetch_add(1, Ordering::Relaxed));
        for i in 0..length as usize {
            // SAFETY: OpenSSL asks for this many bytes there.
            unsafe { *at.add(i) = random.byte() };
        }
        1
    }
    unsafe extern "C" fn status() -> c_int {
        1
    }
    static METHOD: RandMethod = RandMethod {
        seed: None,
        bytes: Some(bytes),
        cleanup: None,
        add: None,
        pseudorand: Some(bytes),
        status: Some(status),
    };
    // SAFETY: the method lives as long as the program.
    assert_eq!(unsafe { RAND_set_rand_method(&METHOD) }, 1);
}
