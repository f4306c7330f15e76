//! A throwaway authority and its certificates, created once for all tests.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use jiff::{SignedDuration, Timestamp};
use rcgen::date_time_ymd;
use rotation_core::certificate::Certificate;
use rotation_test_pki::{Authority, Issued, leaf_params, p256, rsa_2048};

const NAMES: &[&str] = &["www.example.com", "*.shop.example.com"];

pub(crate) struct Certificates {
    /// Issues further certificates.
    authority: Authority,
    issued: Mutex<Vec<&'static Issued>>,
    /// The root as PEM.
    pub(crate) root: String,
    /// The file with it, for `SSL_CERT_FILE`.
    pub(crate) root_file: PathBuf,
    /// Expires in three weeks.
    pub(crate) old: Issued,
    /// The same names, valid for another year.
    pub(crate) new: Issued,
    /// The same names, valid until a date between the two.
    pub(crate) other: Issued,
    /// The same names, valid from the spring until after the old one expires.
    pub(crate) early: Issued,
    /// Only one of the names.
    pub(crate) narrow: Issued,
    /// Expired, not trusted, and with the key of another certificate.
    pub(crate) bad: Issued,
}

impl Certificates {
    /// Issues a certificate for these names, valid from this time.
    pub(crate) fn issue(&self, names: &[&str], from: Timestamp, days: i64) -> &'static Issued {
        let until = from + SignedDuration::from_hours(24 * days);
        let issued = Box::leak(Box::new(self.authority.issue(names, from, until)));
        self.issued.lock().unwrap().push(issued);
        issued
    }

    /// The names of `new` in a certificate for an ECDSA key from an RSA authority.
    pub(crate) fn hybrid(&self) -> Issued {
        let rsa = self.authority.intermediate_with_key("RSA Authority", rsa_2048());
        let leaf = rsa.issue(NAMES, midnight("2026-11-01"), midnight("2027-11-01"));
        Issued { chain: format!("{}{}", leaf.chain, self.authority.pem), ..leaf }
    }

    /// `new` with a certificate of its authority by an unknown root, which lives longer than the other,
    /// before it.
    pub(crate) fn crossed(&self) -> Issued {
        let crossed = Authority::root("Unknown Root").cross_sign(&self.authority, 2045);
        Issued { chain: format!("{crossed}{}", self.new.chain), ..self.new.clone() }
    }

    /// The names of `new` in a certificate for an RSA key, for a year from this day.
    pub(crate) fn rsa(&self, (year, month, day): (i32, u8, u8)) -> Issued {
        let mut params = leaf_params(NAMES);
        params.not_before = date_time_ymd(year, month, day);
        params.not_after = date_time_ymd(year + 1, month, day);
        Issued {
            pem: self.authority.sign(&params, &rsa_2048()),
            chain: self.authority.pem.clone(),
            key: rsa_2048().serialize_pem(),
        }
    }

    /// The private key of one of these certificates.
    pub(crate) fn key_of(&self, pem: &str) -> Option<&str> {
        let issued = self.issued.lock().unwrap();
        let all = [&self.old, &self.new, &self.other, &self.early, &self.narrow];
        let all = all.into_iter().chain(issued.iter().copied());
        // Adapters reformat PEM, so certificates are compared and not texts.
        let der = Certificate::from_pem(pem).ok()?;
        let is_it = |one: &&Issued| Certificate::from_pem(&one.pem).is_ok_and(|it| it == der);
        all.into_iter().find(is_it).map(|one| one.key.as_str())
    }
}

pub(crate) fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(|| {
        let root = Authority::root("Throwaway Root");
        let authority = root.intermediate("Throwaway Authority");
        // Each test process creates its own certificates.
        let name = format!("root-{}.pem", std::process::id());
        let root_file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&root_file, &root.pem).unwrap();
        let issue =
            |names: &[&str], from, until| authority.issue(names, midnight(from), midnight(until));
        let stranger = Authority::root("Stranger").issue(
            NAMES,
            midnight("2025-01-01"),
            midnight("2026-06-01"),
        );
        Certificates {
            root: root.pem,
            root_file,
            old: issue(NAMES, "2025-12-15", "2026-12-15"),
            new: issue(NAMES, "2026-11-01", "2027-11-01"),
            other: issue(NAMES, "2026-06-01", "2027-06-01"),
            early: issue(NAMES, "2026-04-01", "2027-04-01"),
            narrow: issue(&["www.example.com"], "2026-11-01", "2027-11-01"),
            bad: Issued { key: p256().serialize_pem(), ..stranger },
            issued: Mutex::default(),
            authority,
        }
    })
}

fn midnight(day: &str) -> Timestamp {
    format!("{day}T00:00:00Z").parse().unwrap()
}

/// Asserts that the text does not contain the private key, not even a line of it: neither in the
/// format of its source, nor as sent to ACM (base64) or IAM (form-encoded).
pub(crate) fn assert_no_key(text: &str) {
    let key = &certificates().new.key;
    let form: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let lines = key.lines().chain(form.split("%0A")).filter(|line| !line.contains("-----"));
    let blob = aws_smithy_types::base64::encode(key);
    for secret in lines.filter(|line| line.len() > 20).chain([&blob[..64], &blob[64..128]]) {
        let before = text.split_once(secret).map(|(before, _)| before);
        assert_eq!(before.map(|text| text.lines().last()), None, "a private key after this");
    }
}
