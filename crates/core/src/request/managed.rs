//! The input of an automatic rotation, from the tags of a managed certificate.
//!
//! A tag is read as the field of the same name, and checked like the input of an execution. An
//! invalid tag is reported; no value is guessed.

use serde_json::{Map, Value, json};

use crate::failure::Ending;
use crate::finding::Finding;
use crate::ids::CertificateId;
use crate::request::tags::{FINGERPRINT, PREFIX, REPLACES, SOURCE, Tag};
use crate::request::{self, Request};

/// How the text of a tag becomes the value of a field.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Switch,
}

/// The tag key after [`PREFIX`], the field it sets, and how.
const SETTINGS: [(&str, &str, Kind); 9] = [
    ("store", "store", Kind::Text),
    ("concurrency", "concurrency", Kind::Number),
    ("verify-viewers", "verifyViewers", Kind::Switch),
    ("on-failure", "onFailure", Kind::Text),
    ("delete-old", "deleteOld", Kind::Switch),
    ("retain-old-days", "retainOldDays", Kind::Number),
    ("dry-run", "dryRun", Kind::Switch),
    ("allow-earlier-expiry", "allowEarlierExpiry", Kind::Switch),
    ("allow-key-change", "allowKeyChange", Kind::Switch),
];

/// The input of a rotation that replaces `old`, from its tags, also parsed; or everything that is
/// wrong with the tags. A missing tag `cert-rotation:source` is a finding too.
///
/// If it is `urgent`, most targets on the new certificate are better than none: unless a tag says
/// otherwise, a failed target does not hold up the others.
///
/// # Errors
/// A finding for each invalid tag, ending `RequestInvalid`.
pub fn request(
    tags: &[Tag],
    old: &CertificateId,
    urgent: bool,
) -> Result<(Value, Request), Vec<Finding>> {
    let mut input = Map::new();
    input.insert("oldCertificate".into(), old.id().into());
    let mut findings = Vec::new();
    for Tag { key, value: text } in tags.iter().filter(|tag| tag.key.starts_with(PREFIX)) {
        if key == SOURCE {
            input.insert("newCertificate".into(), text.as_str().into());
        } else if key != FINGERPRINT && key != REPLACES {
            match setting(key, text) {
                Ok((field, value)) => drop(input.insert(field.into(), value)),
                Err(finding) => findings.push(finding),
            }
        }
    }
    let mut input = Value::Object(input);
    if urgent {
        prefer_most(&mut input);
    }
    match request::parse(&input) {
        Ok(request) if findings.is_empty() => Ok((input, request)),
        Ok(_) => Err(findings),
        Err(more) => {
            findings.extend(more.into_iter().map(of_tag));
            Err(findings)
        }
    }
}

/// Unless the input says otherwise, a failed target does not hold up the others.
pub fn prefer_most(input: &mut Value) {
    if let Value::Object(fields) = input {
        fields.entry("onFailure").or_insert_with(|| "continue".into());
    }
}

fn setting(key: &str, text: &str) -> Result<(&'static str, Value), Finding> {
    let invalid = |problem: String, cure: String| {
        Finding::new(Ending::RequestInvalid, format!("tag {key}"), problem, cure)
    };
    let known = SETTINGS.iter().find(|(name, ..)| key.strip_prefix(PREFIX) == Some(name));
    let Some((_, field, kind)) = known else {
        let names: Vec<&str> = SETTINGS.iter().map(|(name, ..)| *name).collect();
        return Err(invalid(
            "is not a setting of a rotation".into(),
            format!("remove it, or correct its spelling: {PREFIX} and one of {}", names.join(", ")),
        ));
    };
    let misfit = |wanted: &str| invalid(format!("is {text:?}"), format!("give {wanted}"));
    let value = match kind {
        Kind::Text => json!(text),
        Kind::Number => json!(text.parse::<u64>().map_err(|_| misfit("a whole number"))?),
        Kind::Switch => json!(text.parse::<bool>().map_err(|_| misfit("true or false"))?),
    };
    Ok((field, value))
}

/// Turns a finding about a field into one about the tag that set it.
fn of_tag(finding: Finding) -> Finding {
    let field = finding.subject.strip_prefix("field ").unwrap_or_default();
    let tag = match field {
        "newCertificate" => Some("source"),
        field => SETTINGS.iter().find(|(_, name, _)| *name == field).map(|(tag, ..)| *tag),
    };
    match tag {
        Some(tag) => Finding { subject: format!("tag {PREFIX}{tag}"), ..finding },
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:acm:us-east-1:111122223333:certificate/1";

    fn of(tags: &[(&str, &str)]) -> Result<Value, Vec<String>> {
        let tags: Vec<Tag> = tags.iter().map(|(key, value)| Tag::new(*key, *value)).collect();
        request(&tags, &CertificateId::Acm { arn: ARN.into() }, false)
            .map(|(input, _)| input)
            .map_err(|findings| findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn tags_become_the_input() {
        assert_eq!(
            of(&[(SOURCE, "tls/www"), ("team", "web")]),
            Ok(json!({"newCertificate": "tls/www", "oldCertificate": ARN}))
        );
        assert_eq!(
            of(&[
                (SOURCE, "ssm:/tls/www"),
                (FINGERPRINT, "sha256:0"),
                (REPLACES, "older"),
                ("cert-rotation:store", "iam"),
                ("cert-rotation:concurrency", "5"),
                ("cert-rotation:verify-viewers", "false"),
                ("cert-rotation:on-failure", "stop"),
                ("cert-rotation:delete-old", "true"),
                ("cert-rotation:retain-old-days", "7"),
                ("cert-rotation:dry-run", "true"),
                ("cert-rotation:allow-earlier-expiry", "true"),
                ("cert-rotation:allow-key-change", "true"),
            ]),
            Ok(json!({
                "newCertificate": "ssm:/tls/www", "oldCertificate": ARN, "store": "iam",
                "concurrency": 5, "verifyViewers": false, "onFailure": "stop", "deleteOld": true,
                "retainOldDays": 7, "dryRun": true, "allowEarlierExpiry": true, "allowKeyChange": true,
            }))
        );
    }

    #[test]
    fn an_invalid_tag_is_reported_by_its_name_and_never_guessed() {
        let check = |key: &str, value: &str, said: &str| {
            let findings = of(&[(SOURCE, "tls/www"), (key, value)]).expect_err(value);
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].starts_with(&format!("tag {key}: ")), "{findings:?}");
            assert!(findings[0].contains(said), "{findings:?}");
        };
        check("cert-rotation:concurrency", "many", "Give a whole number");
        check("cert-rotation:concurrency", "0", "from 1 to 1000");
        check("cert-rotation:concurrency", "-1", "whole number");
        check("cert-rotation:concurrency", "", "whole number");
        check("cert-rotation:retain-old-days", "301", "from 0 to 300");
        check("cert-rotation:delete-old", "yes", "Give true or false");
        check("cert-rotation:delete-old", "True", "Give true or false");
        check("cert-rotation:verify-viewers", "1", "Give true or false");
        check("cert-rotation:on-failure", "explode", "rollback or stop or continue");
        check("cert-rotation:store", "ACM", "acm or iam");
        check("cert-rotation:dryrun", "true", "is not a setting");
        check("cert-rotation:targets", "E1", "is not a setting");
    }

    #[test]
    fn s2_near_the_end_the_default_is_to_continue() {
        let on_failure = |tags: &[(&str, &str)], urgent| {
            let tags: Vec<Tag> = tags.iter().map(|(key, value)| Tag::new(*key, *value)).collect();
            let id = CertificateId::Acm { arn: ARN.into() };
            request(&tags, &id, urgent).expect("valid").0["onFailure"].clone()
        };
        let source = (SOURCE, "tls/www");
        let stop = ("cert-rotation:on-failure", "stop");
        assert_eq!(on_failure(&[source], false), Value::Null);
        assert_eq!(on_failure(&[source], true), json!("continue"));
        assert_eq!(on_failure(&[source, stop], true), json!("stop"));
    }

    #[test]
    fn all_invalid_tags_are_reported_at_once() {
        let findings = of(&[
            (SOURCE, "not a source"),
            ("cert-rotation:delete-old", "false"),
            ("cert-rotation:retain-old-days", "3"),
            ("cert-rotation:nonsense", "x"),
        ])
        .expect_err("bad");
        for tag in ["source", "retain-old-days", "nonsense"] {
            let begin = format!("tag cert-rotation:{tag}: ");
            assert!(findings.iter().any(|finding| finding.starts_with(&begin)), "{findings:?}");
        }
        assert_eq!(findings.len(), 3, "{findings:?}");
    }
}
