//! `certrotate check`: checks whether a certificate is fit for CloudFront.

use jiff::Timestamp;
use rotation_core::certificate::Certificate;
use rotation_core::certificate::bundle::Bundle;
use rotation_core::certificate::fitness::{self, Place};
use rotation_core::failure::Ending;
use rotation_core::finding::Finding;
use rotation_core::ids::Store;
use serde::Serialize;

use crate::account;
use crate::args::{self, Check, Global};
use crate::bundle::{self, Content};
use crate::failure::Failure;
use crate::output::{self, BAD, GOOD, SOFT, STRONG, WARN, day, moment, of_days, styled};

/// The output of `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checked {
    /// True if there are no findings.
    pub fit: bool,
    /// The DNS names of the certificate.
    pub names: Vec<String>,
    /// Its key, such as `RSA 2048` or `ECDSA P-256`.
    pub key: String,
    /// `sha256:` and the digest of its DER.
    pub fingerprint: String,
    /// The start of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Whole days until `not_after`.
    pub days_left: i64,
    /// From the leaf upwards.
    pub chain: Vec<Link>,
    /// What the store may refuse.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Every problem that was found.
    pub findings: Vec<Finding>,
    /// The exit code of `check`.
    pub exit_code: u8,
}

/// A certificate of the chain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Link {
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// The end of its validity.
    pub not_after: Timestamp,
}

/// Checks, prints, and fails if there are findings.
pub(crate) fn run(global: &Global, args: &Check) -> Result<(), Failure> {
    let content = match bundle::read(&args.bundle, args.password_file.as_deref()) {
        Ok(content) => content,
        Err(unreadable) => {
            let finding = unreadable.finding.clone();
            return unfit(global, finding, Failure::from(*unreadable));
        }
    };
    let Content { bundle, .. } = content;
    let checked = match check(&bundle, args, account::now()) {
        Ok(checked) => checked,
        Err(failure) => {
            let finding = Finding::new(
                Ending::SourceUnreadable,
                "trusted roots",
                failure.to_string(),
                "correct SSL_CERT_FILE, or unset it",
            );
            return unfit(global, finding, failure);
        }
    };
    output::result(global, &checked, || text(&checked))?;
    verdict(&checked)
}

/// The output of `--output json` if there is no certificate to describe.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Unfit {
    /// False.
    fit: bool,
    /// What is wrong.
    findings: [Finding; 1],
    /// The exit code of the command.
    exit_code: u8,
}

/// Prints the finding for a program, and fails.
fn unfit(global: &Global, finding: Finding, failure: Failure) -> Result<(), Failure> {
    if global.output == args::Output::Json {
        let exit_code = failure.code();
        output::result(global, &Unfit { fit: false, findings: [finding], exit_code }, String::new)?;
    }
    Err(failure)
}

/// Fails if there are findings.
pub(crate) fn verdict(checked: &Checked) -> Result<(), Failure> {
    Failure::of(checked.findings.len(), "this certificate")
}

/// Checks a bundle offline.
pub(crate) fn check(bundle: &Bundle, args: &Check, now: Timestamp) -> Result<Checked, Failure> {
    let leaf = &bundle.leaf;
    let roots = account::settings()?.local_roots();
    let roots = roots.map_err(|error| Failure::Usage(format!("{error}.")))?;
    let place = Place { store: store(args.store), stored: false };
    let mut findings = fitness::fit(bundle, place, &roots, now);
    findings.extend(args.aliases.iter().filter(|alias| !leaf.covers(alias)).map(|alias| {
        Finding::new(
            Ending::AliasNotCovered,
            format!("alias {alias}"),
            format!(
                "the certificate has no name that covers it, but {}",
                leaf.dns_names().join(", ")
            ),
            "have it issued with this name, or with a wildcard for its last label",
        )
    }));
    Ok(Checked {
        fit: findings.is_empty(),
        exit_code: u8::from(!findings.is_empty()),
        names: leaf.dns_names().to_vec(),
        key: leaf.key_algorithm().to_string(),
        fingerprint: leaf.fingerprint().to_string(),
        not_before: leaf.not_before(),
        not_after: leaf.not_after(),
        days_left: rotation_core::automation::decision::days_left(leaf, now),
        chain: std::iter::once(leaf).chain(&bundle.intermediates).map(link).collect(),
        notes: fitness::notes(bundle, place),
        findings,
    })
}

/// Converts the argument.
pub(crate) fn store(store: args::Store) -> Store {
    match store {
        args::Store::Acm => Store::Acm,
        args::Store::Iam => Store::Iam,
    }
}

fn link(certificate: &Certificate) -> Link {
    Link {
        subject: certificate.subject().to_owned(),
        issuer: certificate.issuer().to_owned(),
        not_after: certificate.not_after(),
    }
}

/// The result as text.
pub(crate) fn text(checked: &Checked) -> String {
    let of =
        |label: &str, value: String| format!("{}{value}", styled(STRONG, format!("{label:<13}")));
    let left = match checked.days_left {
        ..0 => format!("expired {} days ago", -checked.days_left),
        days => format!("{days} days left"),
    };
    let mut lines = vec![
        of("Names", checked.names.join(", ")),
        of("Key", checked.key.clone()),
        of(
            "Valid",
            format!(
                "{} until {}, {}",
                moment(checked.not_before),
                moment(checked.not_after),
                styled(of_days(checked.days_left), left)
            ),
        ),
        of("Fingerprint", checked.fingerprint.clone()),
        String::new(),
        styled(STRONG, "Chain"),
    ];
    for (depth, link) in checked.chain.iter().enumerate() {
        let branch =
            if depth == 0 { String::new() } else { format!("{}└─ ", "   ".repeat(depth - 1)) };
        let until = styled(SOFT, format!("until {}", day(link.not_after)));
        lines.push(format!("  {branch}{}  {until}", named(&link.subject)));
    }
    if let Some(last) = checked.chain.last() {
        let branch = format!("{}└─ ", "   ".repeat(checked.chain.len() - 1));
        lines.push(format!(
            "  {branch}{}",
            styled(SOFT, format!("{}, not part of it", last.issuer))
        ));
    }
    lines.push(String::new());
    if checked.findings.is_empty() {
        lines.push(styled(GOOD, "✓ No problems found."));
    }
    lines.extend(checked.notes.iter().map(|note| format!("{} {note}", styled(WARN, "!"))));
    for finding in &checked.findings {
        lines.push(format!("{} {finding}", styled(BAD, "✗")));
    }
    lines.join("\n")
}

fn named(subject: &str) -> &str {
    if subject.is_empty() { "(no subject)" } else { subject }
}
