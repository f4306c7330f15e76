//! The tags that identify managed and imported certificates, and that new certificates inherit.

use serde::{Deserialize, Serialize};

use crate::ids::CertificateId;

/// The prefix of the keys of all tags of this system.
pub(crate) const PREFIX: &str = "cert-rotation:";
/// On a managed certificate: the source of its replacement, as a `newCertificate` value.
pub const SOURCE: &str = "cert-rotation:source";
/// On a managed certificate: whether its rotation is only a dry run, `true` or `false`.
pub const DRY_RUN: &str = "cert-rotation:dry-run";
/// On a certificate that this system imported: the fingerprint of its leaf.
pub const FINGERPRINT: &str = "cert-rotation:fingerprint";
/// On a certificate that this system imported: the id and the ARN of the certificate it replaces.
pub(crate) const REPLACES: &str = "cert-rotation:replaces";

/// On a managed certificate: the field `allowEarlierExpiry`. Not inherited, so that it holds for one
/// replacement only.
const ALLOW_EARLIER_EXPIRY: &str = "cert-rotation:allow-earlier-expiry";
/// On a managed certificate: the field `allowKeyChange`. Not inherited either.
const ALLOW_KEY_CHANGE: &str = "cert-rotation:allow-key-change";
/// On a distribution or tenant: it is left alone, unless the value is `false`.
pub const IGNORE: &str = "cert-rotation:ignore";

/// ACM (`ImportCertificate`) and IAM (`UploadServerCertificate`) both accept at most 50 tags.
const MAX_TAGS: usize = 50;
/// How many tags an input may add: there must be room for the fingerprint, for what the certificate
/// replaces, and for the source.
pub(crate) const MAX_OWN: usize = MAX_TAGS - 3;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Tag {
    /// A tag with this key and value.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// May an operator set it? ACM, `Tag`: key and value have at most 128 and 256 characters, of the
    /// ones below; IAM accepts the same. Ours and those of AWS are not for operators.
    pub(crate) fn is_settable(&self) -> bool {
        let is_plain =
            |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
        (1..=128).contains(&self.key.chars().count())
            && self.value.chars().count() <= 256
            && is_plain(&self.key)
            && is_plain(&self.value)
            && !self.key.starts_with("aws:")
            && !self.key.starts_with(PREFIX)
    }
}

/// The tags of a new certificate: `given` ones, those of the old one, `defaults` for keys that are
/// in neither, its fingerprint, and what it replaces.
///
/// Tags beginning with `aws:` belong to AWS and cannot be copied. If there is no room for all, the
/// last tags of the old certificate are dropped: without the fingerprint a retry could not find the
/// import, and without a default an organization may refuse it.
pub fn for_import(
    given: &[Tag],
    old: &[Tag],
    defaults: &[Tag],
    fingerprint: &str,
    replaces: &str,
) -> Vec<Tag> {
    let own = [Tag::new(FINGERPRINT, fingerprint), Tag::new(REPLACES, replaces)];
    let has = |tags: &[Tag], key: &str| tags.iter().any(|tag| tag.key == key);
    let inherited = |tag: &&Tag| {
        !tag.key.starts_with("aws:")
            && ![FINGERPRINT, REPLACES, ALLOW_EARLIER_EXPIRY, ALLOW_KEY_CHANGE]
                .contains(&&tag.key[..])
            && !has(given, &tag.key)
    };
    let mut room = MAX_TAGS - own.len() - given.len();
    let missing = |tag: &&Tag| !has(given, &tag.key) && !has(old, &tag.key);
    let added: Vec<&Tag> = defaults.iter().filter(missing).take(room).collect();
    room -= added.len();
    let copied = old.iter().filter(inherited).take(room);
    given.iter().chain(copied).chain(added).cloned().chain(own).collect()
}

/// The tags of a text `KEY=VALUE,KEY=VALUE`, the stack's parameter `ImportTags`; none for an empty
/// one.
///
/// # Errors
/// The part that is not a tag that an operator may set.
pub fn list(text: &str) -> Result<Vec<Tag>, String> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let tag = part.split_once('=').map(|(key, value)| Tag::new(key, value));
            tag.filter(Tag::is_settable).ok_or_else(|| part.to_owned())
        })
        .collect()
}

/// The value of a tag.
pub fn value<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
}

/// The value of the tag `cert-rotation:replaces`: every identifier of the old certificate.
pub fn replacing(old: &CertificateId) -> String {
    match old {
        CertificateId::Acm { arn } => arn.clone(),
        CertificateId::Iam { id, arn } => format!("{id} {arn}"),
    }
}

/// The certificate that the one with these tags replaces, if this system imported it.
pub fn replaced(tags: &[Tag]) -> Option<CertificateId> {
    let value = value(tags, REPLACES)?;
    Some(match value.split_once(' ') {
        Some((id, arn)) => CertificateId::Iam { id: id.into(), arn: arn.into() },
        None => CertificateId::Acm { arn: value.into() },
    })
}

/// Do these tags say that their certificate replaces the one with this id or ARN?
pub fn replaces(tags: &[Tag], id_or_arn: &str) -> bool {
    value(tags, REPLACES).is_some_and(|value| value.split(' ').any(|part| part == id_or_arn))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag::new(key, value)
    }

    #[test]
    fn tags_are_inherited_except_those_of_aws_and_of_the_previous_import() {
        let old = [
            tag("team", "web"),
            tag(SOURCE, "tls/www"),
            tag("aws:cloudformation:stack-name", "x"),
            tag(FINGERPRINT, "sha256:old"),
            tag(REPLACES, "older"),
            tag(ALLOW_EARLIER_EXPIRY, "true"),
            tag(ALLOW_KEY_CHANGE, "true"),
        ];
        assert_eq!(
            for_import(&[], &old, &[], "sha256:new", "old arn:old"),
            [
                tag("team", "web"),
                tag(SOURCE, "tls/www"),
                tag(FINGERPRINT, "sha256:new"),
                tag(REPLACES, "old arn:old")
            ]
        );
    }

    #[test]
    fn never_more_tags_than_the_stores_accept() {
        let old: Vec<Tag> = (0..50).map(|n| tag(&format!("k{n}"), "v")).collect();
        let tags = for_import(&[], &old, &[], "sha256:new", "old");
        assert_eq!(tags.len(), 50);
        assert_eq!(value(&tags, FINGERPRINT), Some("sha256:new"));
    }

    #[test]
    fn s16_given_tags_take_precedence() {
        let given = [tag("team", "ops"), tag("CostCenter", "42")];
        let old: Vec<Tag> =
            (0..50).map(|n| tag(&format!("k{n}"), "v")).chain([tag("team", "web")]).collect();
        let tags = for_import(&given, &old, &[], "sha256:new", "old");
        assert_eq!(tags.len(), 50);
        assert_eq!(value(&tags, "team"), Some("ops"));
        assert_eq!(value(&tags, "CostCenter"), Some("42"));
        assert_eq!(value(&tags, REPLACES), Some("old"));
    }

    /// Case S16: an organization may demand tags that neither the old certificate nor the request has.
    #[test]
    fn s16_default_tags_fill_what_is_missing() {
        let defaults = list("CostCenter=0,owner=tls=team,team=").expect("tags");
        assert_eq!(defaults, [tag("CostCenter", "0"), tag("owner", "tls=team"), tag("team", "")]);
        let imported =
            |given: &[Tag], old: &[Tag]| for_import(given, old, &defaults, "sha256:new", "old");
        assert_eq!(
            imported(&[tag("CostCenter", "42")], &[tag("team", "web")])[..3],
            [tag("CostCenter", "42"), tag("team", "web"), tag("owner", "tls=team")]
        );
        let many: Vec<Tag> = (0..50).map(|n| tag(&format!("k{n}"), "v")).collect();
        let tags = imported(&[], &many);
        assert_eq!(tags.len(), 50);
        assert_eq!((value(&tags, "CostCenter"), value(&tags, "k44")), (Some("0"), Some("v")));
        assert_eq!((value(&tags, "k45"), value(&tags, REPLACES)), (None, Some("old")));
        assert_eq!(imported(&many[..MAX_OWN], &[]).len(), 50);

        assert_eq!(list(""), Ok(Vec::new()));
        for wrong in ["CostCenter", "=1", "aws:x=1", "cert-rotation:source=x", "a=\u{7f}"] {
            assert_eq!(list(&format!("a=1,{wrong}")), Err(wrong.to_owned()));
        }
    }

    #[test]
    fn the_replaced_certificate_is_read_as_it_was_written() {
        for old in [
            CertificateId::Acm { arn: "arn:aws:acm:us-east-1:1:certificate/a".into() },
            CertificateId::Iam {
                id: "ASCA1".into(),
                arn: "arn:aws:iam::1:server-certificate/a".into(),
            },
        ] {
            let tags = for_import(&[], &[], &[], "sha256:new", &replacing(&old));
            assert_eq!(replaced(&tags), Some(old));
        }
        assert_eq!(replaced(&[tag("team", "web")]), None);
    }

    #[test]
    fn a_replaced_certificate_is_recognised_by_id_or_arn() {
        let tags = [tag(REPLACES, "ASCA1 arn:aws:iam::1:server-certificate/cloudfront/a")];
        assert!(replaces(&tags, "ASCA1"));
        assert!(replaces(&tags, "arn:aws:iam::1:server-certificate/cloudfront/a"));
        assert!(!replaces(&tags, "ASCA"));
        assert!(!replaces(&[], "ASCA1"));
    }
}
