//! Notices: a text for people, who may read it on a phone, and an event for machines.
//!
//! A notice is sent once per name. The name contains the certificate, the kind of notice, and the
//! notice day.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::SCHEMA_VERSION;
use crate::automation::decision::{Decision, days_left};
use crate::certificate::{Certificate, Fingerprint};
use crate::failure::Failure;
use crate::finding::{Finding, listed};
use crate::ids::{CertificateId, TargetId, segment};

/// The kind of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// A certificate is due, and there is no replacement yet.
    ReplacementMissing,
    /// A certificate was put that is not clearly newer than the served one.
    ReplacementNotNewer,
    /// The content of the source cannot replace the certificate.
    ReplacementUnusable,
    /// A rotation was started, and viewers may notice the difference.
    ReplacementDiffers,
    /// A certificate that no target serves is due, and another service uses it.
    UsedElsewhere,
    /// The tags of a certificate are invalid.
    SettingsInvalid,
    /// A rotation has failed.
    RotationFailed,
}

impl Kind {
    /// The public name, written out so that renaming a variant cannot change it silently.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReplacementMissing => "ReplacementMissing",
            Self::ReplacementNotNewer => "ReplacementNotNewer",
            Self::ReplacementUnusable => "ReplacementUnusable",
            Self::ReplacementDiffers => "ReplacementDiffers",
            Self::UsedElsewhere => "UsedElsewhere",
            Self::SettingsInvalid => "SettingsInvalid",
            Self::RotationFailed => "RotationFailed",
        }
    }
}

/// A notice to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Its kind.
    pub kind: Kind,
    /// It is sent once under this name, which can be part of an S3 key.
    pub name: String,
    /// One line of at most 100 ASCII characters, as SNS requires (`Publish`, parameter `Subject`).
    pub subject: String,
    /// The text for people.
    pub text: String,
    /// The same content for machines.
    pub detail: Value,
}

/// The certificate that a notice is about, and its targets.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Its id in CloudFront.
    pub id: &'a CertificateId,
    /// The leaf.
    pub certificate: &'a Certificate,
    /// Its tag `cert-rotation:source`.
    pub source: &'a str,
    /// The targets that serve it.
    pub targets: &'a [TargetId],
    /// The ARNs of what uses it, as its store reports them.
    pub in_use_by: &'a [String],
    /// The notice day that was reached, in days left; `None` before the first one.
    pub moment: Option<u16>,
    /// The current time.
    pub now: Timestamp,
}

/// Why a decision was made.
#[derive(Clone, Copy, Debug)]
pub struct Because<'a> {
    /// The certificate in the source.
    pub found: Option<&'a Certificate>,
    /// Why no rotation was started.
    pub findings: &'a [Finding],
    /// The warnings about the certificate in the source.
    pub warnings: &'a [String],
    /// What viewers may notice of it.
    pub changes: &'a [String],
    /// The name of the rotation that was started; empty if none was.
    pub rotation: &'a str,
}

impl About<'_> {
    /// The notice that this decision calls for. Most call for none, and a missing replacement only
    /// on the notice days.
    pub fn notice_of(&self, decision: Decision, because: Because<'_>) -> Option<Notice> {
        let Because { found, findings, warnings, changes, rotation } = because;
        match decision {
            Decision::SettingsInvalid => Some(self.settings(findings)),
            Decision::ReplacementUnusable => Some(self.unusable(found, findings, warnings)),
            Decision::UsedElsewhere if self.moment.is_some() => Some(self.used_elsewhere()),
            Decision::ReplacementNotNewer => Some(self.not_newer(found, findings)),
            Decision::ReplacementMissing if self.moment.is_some() => {
                let other = found.filter(|leaf| *leaf != self.certificate);
                Some(self.missing(other.map(Certificate::not_after)))
            }
            Decision::Start if !changes.is_empty() => Some(self.differs(found, changes, rotation)),
            _ => None,
        }
    }

    /// No replacement: the source holds the served certificate itself, or one that is valid until
    /// `found` and is not clearly newer.
    fn missing(&self, found: Option<Timestamp>) -> Notice {
        let found = match found {
            None => "The source contains the certificate that is served now.".to_owned(),
            Some(until) => format!(
                "The certificate in the source is valid until {}, and is not clearly newer than the one that is served.",
                day(until)
            ),
        };
        let text = format!(
            "The certificate of {} {}, and its source has no replacement yet.\n\n\
             Put the new certificate, its chain and its key into\n{}\n\
             and the rotation starts automatically.\n\n{found}\n{}",
            name(self.certificate),
            self.end(),
            self.source,
            self.serves()
        );
        let subject = format!("{}: no replacement yet", self.subject());
        self.notice(Kind::ReplacementMissing, None, subject, text, &[])
    }

    /// A certificate with these findings, which say why it is not clearly newer.
    fn not_newer(&self, found: Option<&Certificate>, findings: &[Finding]) -> Notice {
        let text = format!(
            "A certificate was put into\n{}\nthat is not clearly newer than the certificate of {}, which {}. No rotation was started.\n\n{}\n{}",
            self.source,
            name(self.certificate),
            self.end(),
            bullets(findings),
            self.serves()
        );
        let subject = format!("{}: what was put is not newer", self.subject());
        let about: Vec<String> = found.iter().map(|leaf| leaf.fingerprint().to_string()).collect();
        self.notice(Kind::ReplacementNotNewer, Some(&about), subject, text, findings)
    }

    /// A replacement with these findings.
    fn unusable(
        &self,
        replacement: Option<&Certificate>,
        findings: &[Finding],
        warnings: &[String],
    ) -> Notice {
        let warned = match warnings {
            [] => String::new(),
            warnings => format!("\n\nIt has warnings, too:\n{}", bullets(warnings)),
        };
        let text = format!(
            "The content of\n{}\ncannot replace the certificate of {}, which {}. Nothing was changed.\n\n{}{}\n\n\
             When this is fixed, the rotation starts automatically.\n{}",
            self.source,
            name(self.certificate),
            self.end(),
            bullets(findings),
            warned,
            self.serves()
        );
        let subject = format!("{}: its replacement is unusable", self.subject());
        // The texts of findings may change from day to day; their names and subjects do not.
        let mut about: Vec<String> = findings
            .iter()
            .map(|finding| format!("{} {}", finding.ending.name(), finding.subject))
            .collect();
        about.sort();
        about.extend(replacement.map(|leaf| leaf.fingerprint().to_string()));
        self.notice(Kind::ReplacementUnusable, Some(&about), subject, text, findings)
    }

    /// A replacement that differs from the certificate in a way that viewers may notice.
    fn differs(
        &self,
        replacement: Option<&Certificate>,
        changes: &[String],
        rotation: &str,
    ) -> Notice {
        let text = format!(
            "The rotation {rotation} was started. It replaces the certificate of {}, which {}, with the one in\n{}\n\n\
             Viewers may notice a difference:\n{}\n\n\
             If this is not intended, stop the rotation: see docs/runbook.md under ReplacementDiffers.\n{}",
            name(self.certificate),
            self.end(),
            self.source,
            bullets(changes),
            self.serves()
        );
        let subject = format!("{}: its replacement differs", self.subject());
        let about: Vec<String> =
            replacement.iter().map(|leaf| leaf.fingerprint().to_string()).collect();
        let mut notice = self.notice(Kind::ReplacementDiffers, Some(&about), subject, text, &[]);
        notice.detail["notes"] = json!(changes);
        notice
    }

    /// A certificate that only other services use.
    fn used_elsewhere(&self) -> Notice {
        let text = format!(
            "The certificate of {} {}. No distribution serves it, but other services use it:\n{}\n\n\
             This system replaces certificates on CloudFront only. Replace it there, then delete it.\n{}",
            name(self.certificate),
            self.end(),
            listed(self.in_use_by),
            self.serves()
        );
        let subject = format!("{}: used outside of CloudFront", self.subject());
        self.notice(Kind::UsedElsewhere, None, subject, text, &[])
    }

    /// Tags with these findings.
    fn settings(&self, findings: &[Finding]) -> Notice {
        let text = format!(
            "The tags of the certificate of {}, which {}, are invalid. Until they are corrected, the certificate is not rotated.\n\n{}\n{}",
            name(self.certificate),
            self.end(),
            bullets(findings),
            self.serves()
        );
        let subject = format!("{}: its tags are invalid", self.subject());
        let about: Vec<String> = findings.iter().map(ToString::to_string).collect();
        self.notice(Kind::SettingsInvalid, Some(&about), subject, text, findings)
    }

    fn notice(
        &self,
        kind: Kind,
        about: Option<&[String]>,
        subject: String,
        text: String,
        findings: &[Finding],
    ) -> Notice {
        let moment = self.moment.map_or_else(|| "early".to_owned(), |days| days.to_string());
        let digest =
            about.map(|about| format!("-{}", digest(&about.join("\n")))).unwrap_or_default();
        let name = format!("{}/{}-{moment}{digest}", segment(self.id.id()), kind.name());
        let detail = json!({
            "schemaVersion": SCHEMA_VERSION,
            "kind": kind,
            "name": name,
            "certificate": {
                "id": self.id.id(),
                "arn": self.id.arn(),
                "fingerprint": self.certificate.fingerprint(),
                "notAfter": self.certificate.not_after(),
                "daysLeft": days_left(self.certificate, self.now),
                "names": first(self.certificate.dns_names()),
            },
            "source": self.source,
            "targets": {"total": self.targets.len(), "first": first(self.targets)},
            "findings": first(findings),
            "text": text,
        });
        Notice { kind, name, subject: line(&subject), text, detail }
    }

    fn subject(&self) -> String {
        let name = name(self.certificate);
        match days_left(self.certificate, self.now) {
            ..0 => format!("{name} has EXPIRED"),
            0 => format!("{name} expires TODAY"),
            1 => format!("{name} expires in 1 day"),
            days => format!("{name} expires in {days} days"),
        }
    }

    fn end(&self) -> String {
        let on = day(self.certificate.not_after());
        match days_left(self.certificate, self.now) {
            ..0 => format!("EXPIRED on {on}"),
            0 => format!("expires in less than a day, on {on}"),
            1 => format!("expires in 1 day, on {on}"),
            days => format!("expires in {days} days, on {on}"),
        }
    }

    fn serves(&self) -> String {
        let targets = match self.targets {
            [] => "nothing".to_owned(),
            targets => format!("{}: {}", targets.len(), listed(targets)),
        };
        format!(
            "\nNames: {}\nServed by {targets}\nCertificate: {}",
            listed(self.certificate.dns_names()),
            self.id.arn()
        )
    }
}

/// A failed rotation: its ARN, the error it ended with, and the cause.
pub fn failed(execution: &str, stopped: &str, failure: &Failure, input: &Value) -> Notice {
    let (error, cause) = (&failure.error, failure.message());
    let rotation = execution.rsplit(':').next().unwrap_or(execution);
    let of = |field: &str| input[field].as_str().unwrap_or("not named in its input");
    let text = format!(
        "The rotation {rotation} failed: {error}.\n\n{cause}\n\n\
         What to do: see docs/runbook.md under {error}.\n\n\
         Old certificate: {}\nNew certificate: {}\nExecution: {execution}",
        of("oldCertificate"),
        of("newCertificate")
    );
    let name = format!("executions/{}", digest(&format!("{execution} {stopped}")));
    let detail = json!({
        "schemaVersion": SCHEMA_VERSION,
        "kind": Kind::RotationFailed,
        "name": name,
        "execution": execution,
        "rotation": rotation,
        "error": error,
        "cause": cause,
        "text": text,
    });
    let subject = line(&format!("Rotation failed ({error}): {rotation}"));
    Notice { kind: Kind::RotationFailed, name, subject, text, detail }
}

/// Events hold at most 256 KB, and a certificate may have a thousand names.
fn first<T>(items: &[T]) -> &[T] {
    &items[..items.len().min(100)]
}

fn bullets<T: std::fmt::Display>(findings: &[T]) -> String {
    const SHOWN: usize = 10;
    let mut lines: Vec<String> =
        findings.iter().take(SHOWN).map(|finding| format!("- {finding}")).collect();
    if findings.len() > SHOWN {
        lines.push(format!("- and {} more", findings.len() - SHOWN));
    }
    lines.join("\n")
}

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d at %H:%M UTC").to_string()
}

fn name(certificate: &Certificate) -> &str {
    certificate.dns_names().first().map_or(certificate.subject(), String::as_str)
}

/// Replaces everything but printable ASCII: the issuer of a certificate chooses its names.
fn line(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let line: String = text.chars().map(printable).collect();
    match line.char_indices().nth(97) {
        Some((at, _)) if line.len() > 100 => format!("{}...", &line[..at]),
        _ => line,
    }
}

/// A short digest that tells notices apart.
fn digest(text: &str) -> String {
    Fingerprint::of(text.as_bytes()).short()
}

#[cfg(test)]
mod tests {
    use rotation_test_pki::*;

    use super::*;
    use crate::failure::Ending;
    use crate::fixtures::certificate;

    #[test]
    fn decisions_that_call_for_a_notice() {
        let leaf =
            certificate(&Authority::root("Root").sign(&leaf_params(&["a.example"]), &p256()));
        let id = CertificateId::Iam { id: "ASCAEXAMPLE".into(), arn: "arn".into() };
        let now = "2026-06-20T00:00:00Z".parse().expect("a time");
        let findings = [Finding::new(Ending::CertificateInvalid, "it", "is bad", "mend it")];
        let check = |decision, moment, expected: Option<Kind>| {
            let about = About {
                id: &id,
                certificate: &leaf,
                source: "s",
                targets: &[],
                in_use_by: &[],
                moment,
                now,
            };
            let because = Because {
                found: None,
                findings: &findings,
                warnings: &["It is a warning.".to_owned()],
                changes: &[],
                rotation: "",
            };
            let notice = about.notice_of(decision, because);
            let warned =
                notice.as_ref().is_some_and(|notice| notice.text.contains("- It is a warning."));
            assert_eq!(warned, expected == Some(Kind::ReplacementUnusable), "{decision:?}");
            assert_eq!(notice.map(|notice| notice.kind), expected, "{decision:?} {moment:?}");
            let changes = ["The key changes.".to_owned()];
            let notice = about.notice_of(decision, Because { changes: &changes, ..because });
            let expected = match decision {
                Decision::Start => Some(Kind::ReplacementDiffers),
                _ => expected,
            };
            assert_eq!(notice.map(|notice| notice.kind), expected, "{decision:?} {moment:?}");
        };
        for moment in [None, Some(14)] {
            check(Decision::SettingsInvalid, moment, Some(Kind::SettingsInvalid));
            check(Decision::ReplacementUnusable, moment, Some(Kind::ReplacementUnusable));
            check(Decision::ReplacementNotNewer, moment, Some(Kind::ReplacementNotNewer));
            for quiet in [
                Decision::NotManaged,
                Decision::NotServed,
                Decision::InTime,
                Decision::NotYet,
                Decision::UnderWay,
                Decision::Rehearsed,
                Decision::Later,
                Decision::Start,
            ] {
                check(quiet, moment, None);
            }
        }
        check(Decision::ReplacementMissing, None, None);
        check(Decision::UsedElsewhere, None, None);
        check(Decision::UsedElsewhere, Some(14), Some(Kind::UsedElsewhere));
        check(Decision::ReplacementMissing, Some(14), Some(Kind::ReplacementMissing));
    }

    /// Every kind of notice as its reader gets it: `tests/fixtures/notices.txt`, which
    /// `WRITE_NOTICES=1` writes anew.
    #[test]
    fn the_texts_are_those_of_the_fixture() {
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let root = Authority::root("Root");
        let from = time("2026-01-01T00:00:00Z");
        let names = &["www.example.com", "*.shop.example.com"];
        let served = certificate(&root.issue(names, from, time("2026-07-01T00:00:00Z")).pem);
        let found = certificate(&root.issue(names, from, time("2026-07-20T00:00:00Z")).pem);
        let arn =
            "arn:aws:acm:us-east-1:111122223333:certificate/0a1b2c3d-0000-4000-8000-000000000000";
        let id = CertificateId::Acm { arn: arn.into() };
        let targets =
            [TargetId::distribution("E1A2B3C4D5E6F7"), TargetId::tenant("dt_2abcdefghijklmnop")];
        let elb = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/www/50dc6c495c0c9188";
        let about = About {
            id: &id,
            certificate: &served,
            source: "tls/www",
            targets: &targets,
            in_use_by: &[],
            moment: Some(14),
            now: time("2026-06-17T12:00:00Z"),
        };
        let findings = [
            Finding::new(
                Ending::AliasNotCovered,
                "distribution E1A2B3C4D5E6F7",
                "alias a.shop.example.com is not covered by the new certificate, whose names are www.example.com",
                "order a certificate that has these names too, or exclude the target with excludeTargets",
            ),
            Finding::new(
                Ending::TargetNotRotatable,
                "distribution tenant dt_2abcdefghijklmnop",
                "is multi-tenant, and multi-tenant distributions accept certificates from ACM only",
                "rotate it with \"store\": \"acm\"",
            ),
        ];
        let changes = [
            "The key changes from RSA 2048 to ECDSA P-256: viewers that support only RSA, such as old devices, will fail to connect. To be able to go back, keep the old certificate for some days (retainOldDays).".to_owned(),
            "The chain leads to another root: CN=Root R2, before CN=Root R1. Viewers with an old list of roots may not have it.".to_owned(),
        ];
        let same = certificate(&root.issue(names, from, served.not_after()).pem);
        let not_newer = [crate::certificate::fitness::not_newer(&same, &served, false)];
        let tags = [Finding::new(
            Ending::RequestInvalid,
            "tag cert-rotation:delete-old",
            "is \"yes\"",
            "give true or false",
        )];
        let because = |findings, changes| Because {
            found: Some(&found),
            findings,
            warnings: &[],
            changes,
            rotation: "auto-www-example-com-6f1c2d3e4f50-0a9b8c7d6e5f-1",
        };
        let used = About { targets: &[], in_use_by: &[elb.to_owned()], ..about };
        let failure = Failure {
            error: "RolledBack".into(),
            cause: "distribution E1A2B3C4D5E6F7: an edge served another certificate than the one configured. Every target serves the old certificate again".into(),
        };
        let input = json!({"oldCertificate": arn, "newCertificate": "tls/www"});
        let execution = "arn:aws:states:us-east-1:111122223333:execution:rotation:www-2026-06";
        let all = [
            about.notice_of(Decision::ReplacementMissing, because(&[], &[])),
            about.notice_of(Decision::ReplacementNotNewer, because(&not_newer, &[])),
            about.notice_of(Decision::ReplacementUnusable, because(&findings, &[])),
            about.notice_of(Decision::Start, because(&[], &changes)),
            used.notice_of(Decision::UsedElsewhere, because(&[], &[])),
            about.notice_of(Decision::SettingsInvalid, because(&tags, &[])),
            Some(failed(execution, "2026-06-17T12:00:00Z", &failure, &input)),
        ];
        let shown: Vec<String> = all
            .into_iter()
            .map(|notice| notice.expect("a notice"))
            .map(|it| format!("=== {}\nSubject: {}\n\n{}\n", it.kind.name(), it.subject, it.text))
            .collect();
        let shown = shown.join("\n");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/notices.txt");
        if std::env::var_os("WRITE_NOTICES").is_some() {
            std::fs::write(path, &shown).expect("written");
        }
        assert_eq!(shown, std::fs::read_to_string(path).expect("the fixture"));
    }
}
