//! `certrotate check`: checks whether a certificate is fit for CloudFront.

use jiff::Timestamp;
use rotation_core::certificate::Certificate;
use rotation_core::certificate::bundle::Bundle;
use rotation_core::certificate::fitness::{self, Place};
use rotation_core::failure::Ending;
use rotation_core::finding::{Finding, listed};
use rotation_core::ids::Store;
use serde::Serialize;

use crate::account;
use crate::aliases::{self, readable};
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
    /// `fit`, `fitWithWarnings` or `unfit`.
    pub verdict: Verdict,
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
    /// What is good to know, such as a certificate that is left out of the chain.
    pub notes: Vec<String>,
    /// What will or may go wrong although it is fit.
    pub warnings: Vec<String>,
    /// Every problem that was found.
    pub findings: Vec<Finding>,
    /// The exit code of `check`.
    pub exit_code: u8,
}

/// The result in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    /// It can be served.
    Fit,
    /// It can be served, and something will or may go wrong.
    FitWithWarnings,
    /// It cannot be served.
    Unfit,
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
    verdict(&checked, args)
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

/// Fails if there are findings, and with `--strict` if there are warnings.
pub(crate) fn verdict(checked: &Checked, args: &Check) -> Result<(), Failure> {
    Failure::of(checked.findings.len(), "this certificate")?;
    match checked.warnings.len() {
        1 if args.strict => Err(Failure::WillNotDo("1 warning, and --strict was given.".into())),
        2.. if args.strict => Err(Failure::WillNotDo(format!(
            "{} warnings, and --strict was given.",
            checked.warnings.len()
        ))),
        _ => Ok(()),
    }
}

/// Checks a bundle offline.
pub(crate) fn check(bundle: &Bundle, args: &Check, now: Timestamp) -> Result<Checked, Failure> {
    let leaf = &bundle.leaf;
    let roots = account::settings()?.local_roots();
    let roots = roots.map_err(|error| Failure::Usage(format!("{error}.")))?;
    let place = Place { store: store(args.store), stored: false };
    let mut examined = fitness::fit(bundle, place, &roots, now);
    examined
        .findings
        .extend(args.aliases.iter().filter_map(|alias| aliases::uncovered(alias, leaf)));
    let fitness::Verdict { chain, findings, warnings, notes } = examined;
    let verdict = match (&findings[..], &warnings[..]) {
        ([], []) => Verdict::Fit,
        ([], _) => Verdict::FitWithWarnings,
        _ => Verdict::Unfit,
    };
    Ok(Checked {
        fit: findings.is_empty(),
        exit_code: u8::from(!findings.is_empty() || args.strict && !warnings.is_empty()),
        verdict,
        names: leaf.dns_names().to_vec(),
        key: leaf.key_algorithm().to_string(),
        fingerprint: leaf.fingerprint().to_string(),
        not_before: leaf.not_before(),
        not_after: leaf.not_after(),
        days_left: rotation_core::automation::decision::days_left(leaf, now),
        chain: std::iter::once(leaf).chain(&chain.intermediates).map(link).collect(),
        notes,
        warnings,
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
        of("Names", listed(&checked.names.iter().map(|name| readable(name)).collect::<Vec<_>>())),
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
    lines.extend(checked.notes.iter().map(|note| format!("{} {note}", styled(SOFT, "·"))));
    lines.extend(checked.warnings.iter().map(|it| format!("{} {it}", styled(WARN, "!"))));
    lines.extend(checked.findings.iter().map(|it| format!("{} {it}", styled(BAD, "✗"))));
    lines.push(match checked.verdict {
        Verdict::Fit => styled(GOOD, "✓ No problems found."),
        Verdict::FitWithWarnings => styled(WARN, "✓ Fit, with warnings."),
        Verdict::Unfit => styled(BAD, "✗ Unfit."),
    });
    lines.join("\n")
}

fn named(subject: &str) -> &str {
    if subject.is_empty() { "(no subject)" } else { subject }
}
