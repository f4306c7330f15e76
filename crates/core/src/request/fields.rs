//! The fields of an input: each is read as its type or refused with a finding.

use serde_json::{Map, Value};

use crate::failure::Ending;
use crate::finding::Finding;
use crate::redact;
use crate::request::FIELDS;
use crate::request::references::{Fault, SourceRef, is_word, source_ref};
use crate::request::tags::{self, Tag};

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(super) fn invalid(field: &str, problem: impl Into<String>, cure: impl Into<String>) -> Finding {
    let subject = if field == "input" { "input".to_owned() } else { format!("field {field}") };
    Finding::new(Ending::RequestInvalid, subject, problem, cure)
}

pub(super) struct Fields<'a> {
    pub(super) object: &'a Map<String, Value>,
    pub(super) findings: Vec<Finding>,
}

impl Fields<'_> {
    pub(super) fn refuse(&mut self, field: &str, problem: &str, cure: &str) {
        self.findings.push(invalid(field, problem, cure));
    }

    /// A name that is not a field. Only names that cannot hold a secret are shown.
    pub(super) fn refuse_unknown(&mut self) {
        let object = self.object;
        for name in object.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            self.refuse(
                redact::field(name).unwrap_or("(its name is not shown)"),
                "is not a field of a rotation",
                &format!(
                    "leave it out, or correct its spelling: the fields are {}",
                    FIELDS.join(", ")
                ),
            );
        }
    }

    /// The source of the new certificate, as given and parsed: the only field without a default.
    pub(super) fn source(&mut self) -> Option<(String, SourceRef)> {
        const FIELD: &str = "newCertificate";
        if !self.object.contains_key(FIELD) {
            self.refuse(
                FIELD,
                "is missing",
                "name the source of the new certificate: a Secrets Manager name or ARN, ssm:/path, or s3://bucket/key",
            );
        }
        let given = self.string(FIELD)?;
        let parsed = self.check(FIELD, source_ref(&given))?;
        Some((given, parsed))
    }

    pub(super) fn check<T>(&mut self, field: &str, parsed: Result<T, Fault>) -> Option<T> {
        parsed.map_err(|(problem, cure)| self.refuse(field, problem, cure)).ok()
    }

    /// A field's value as `T`. A missing field is fine, another type is a finding.
    pub(super) fn typed<'v, T>(
        &'v mut self,
        field: &str,
        wanted: &str,
        convert: impl Fn(&'v Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.object.get(field)?;
        let converted = convert(value);
        if converted.is_none() {
            self.findings.push(invalid(
                field,
                format!("is {}", kind(value)),
                format!("give {wanted}, or leave it out for the default"),
            ));
        }
        converted
    }

    pub(super) fn string(&mut self, field: &str) -> Option<String> {
        self.typed(field, "a string", |v| v.as_str().map(str::to_owned))
    }

    pub(super) fn boolean(&mut self, field: &str) -> Option<bool> {
        self.typed(field, "true or false", Value::as_bool)
    }

    pub(super) fn whole(&mut self, field: &str, least: u64, most: u64) -> Option<u64> {
        let wanted = format!("a whole number from {least} to {most}");
        let number = self.typed(field, &wanted, |v| v.is_number().then_some(v))?;
        let whole = number.as_u64().filter(|n| (least..=most).contains(n));
        if whole.is_none() {
            let problem = format!("is {number}");
            self.refuse(field, &problem, &format!("give {wanted}"));
        }
        whole
    }

    pub(super) fn choice<T: Copy>(&mut self, field: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.string(field)?;
        let chosen = choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(field, "is not one of its values", &format!("give {}", names.join(" or ")));
        }
        chosen
    }

    /// Ids of distributions and tenants, each once.
    pub(super) fn ids(&mut self, field: &str, otherwise: &str) -> Option<Vec<String>> {
        let wanted = "an array of distribution and tenant ids";
        let items = self.typed(field, wanted, |v| v.as_array().cloned())?;
        if items.is_empty() {
            self.refuse(field, "is empty", &format!("name the distributions, or {otherwise}"));
        }
        let mut ids: Vec<String> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(id) if id.len() <= 64 && is_word(id, "_-") => {
                    if !ids.iter().any(|known| known == id) {
                        ids.push(id.to_owned());
                    }
                }
                _ => self.refuse(
                    &format!("{field}[{index}]"),
                    "is not the id of a distribution (E…) or of a distribution tenant (dt_…)",
                    "give ids, not ARNs or domain names",
                ),
            }
        }
        Some(ids)
    }

    /// Tags for the new certificate. A value is not shown: it may be anything.
    pub(super) fn tags(&mut self) -> Vec<Tag> {
        const FIELD: &str = "tags";
        let wanted = "an object with the tags as strings, {\"CostCenter\": \"42\"}";
        let Some(object) = self.typed(FIELD, wanted, |v| v.as_object().cloned()) else {
            return Vec::new();
        };
        let mut tags = Vec::new();
        for (key, value) in &object {
            match value.as_str().map(|value| Tag::new(key, value)) {
                Some(tag) if tag.is_settable() => tags.push(tag),
                _ => self.refuse(
                    &format!("tags.{}", redact::field(key).unwrap_or("(a key that is not shown)")),
                    "is not a tag that can be set",
                    "give a key of 1 to 128 characters that does not begin with aws: or cert-rotation:, and a string of at most 256; both of letters, digits, spaces and _.:/=+-@",
                ),
            }
        }
        if tags.len() > tags::MAX_OWN {
            let problem = format!("has {} tags", tags.len());
            self.refuse(FIELD, &problem, &format!("give at most {}", tags::MAX_OWN));
        }
        tags
    }
}
