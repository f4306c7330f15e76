//! A throwaway authority and what it issued, made once for all tests.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use rotation_core::certificate::Certificate;

/// A certificate with its chain and its key, as PEM.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) pem: String,
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Material {
    /// What lies in a source.
    pub(crate) fn source(&self) -> String {
        format!("{}{}{}", self.pem, self.chain, self.key)
    }
}

pub(crate) struct Certificates {
    /// What issues more of them.
    issuer: Issuer<'static, KeyPair>,
    chain: String,
    issued: Mutex<Vec<&'static Material>>,
    /// PEM of the root, for `SSL_CERT_FILE`.
    pub(crate) root_file: PathBuf,
    /// Expires in three weeks.
    pub(crate) old: Material,
    /// Has the same names and another year.
    pub(crate) new: Material,
    /// Another one for the same names, between the two.
    pub(crate) other: Material,
    /// Another one, valid from the spring on and until after the old one.
    pub(crate) early: Material,
    /// Has one of the names only.
    pub(crate) narrow: Material,
    /// Expired, untrusted, and the key is somebody else's.
    pub(crate) bad: Material,
}

impl Certificates {
    /// One more, for these names, from this moment on.
    pub(crate) fn issue(&self, names: &[&str], from: Timestamp, days: i64) -> &'static Material {
        let until = from + SignedDuration::from_hours(24 * days);
        let (pem, key) = leaf(&self.issuer, names, from, until);
        let material = Box::leak(Box::new(Material { pem, chain: self.chain.clone(), key }));
        self.issued.lock().unwrap().push(material);
        material
    }

    /// The key of one of these.
    pub(crate) fn key_of(&self, pem: &str) -> Option<&str> {
        let issued = self.issued.lock().unwrap();
        let all = [&self.old, &self.new, &self.other, &self.early, &self.narrow];
        let all = all.into_iter().chain(issued.iter().copied());
        // Adapters write PEM in their own way, so certificates are compared and not texts.
        let der = Certificate::from_pem(pem).ok()?;
        let is_it = |one: &&Material| Certificate::from_pem(&one.pem).is_ok_and(|it| it == der);
        all.into_iter().find(is_it).map(|one| one.key.as_str())
    }
}

pub(crate) fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(|| {
        let (root, root_pem) = authority("Throwaway Root", None);
        let (issuer, chain) = authority("Throwaway Authority", Some(&root));
        // Another process makes other certificates.
        let name = format!("root-{}.pem", std::process::id());
        let root_file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&root_file, root_pem).unwrap();
        let names = &["www.example.com", "*.shop.example.com"];
        let made = |names: &[&str], from, until| {
            let (pem, key) = leaf(&issuer, names, midnight(from), midnight(until));
            Material { pem, chain: chain.clone(), key }
        };
        let (stranger, stranger_chain) = authority("Stranger", None);
        let (pem, _) = leaf(&stranger, names, midnight((2025, 1, 1)), midnight((2026, 6, 1)));
        Certificates {
            root_file,
            old: made(names, (2025, 12, 15), (2026, 12, 15)),
            new: made(names, (2026, 11, 1), (2027, 11, 1)),
            other: made(names, (2026, 6, 1), (2027, 6, 1)),
            early: made(names, (2026, 4, 1), (2027, 4, 1)),
            narrow: made(&["www.example.com"], (2026, 11, 1), (2027, 11, 1)),
            issued: Mutex::default(),
            bad: Material { pem, chain: stranger_chain, key: key().serialize_pem() },
            chain: chain.clone(),
            issuer,
        }
    })
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn authority(
    name: &str,
    parent: Option<&Issuer<'static, KeyPair>>,
) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.use_authority_key_identifier_extension = true;
    let key = key();
    let certificate = match parent {
        Some(parent) => params.signed_by(&key, parent).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (Issuer::new(params, key), certificate.pem())
}

fn midnight((year, month, day): (i32, u8, u8)) -> Timestamp {
    format!("{year}-{month:02}-{day:02}T00:00:00Z").parse().unwrap()
}

fn leaf(
    issuer: &Issuer<'static, KeyPair>,
    names: &[&str],
    from: Timestamp,
    until: Timestamp,
) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "www.example.com");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from.as_second() as u64);
    params.not_after = epoch + Duration::from_secs(until.as_second() as u64);
    params.use_authority_key_identifier_extension = true;
    let key = key();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}
