//! JSON as programs write certificates: read without a schema, with every field of a name that occurs
//! twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// A value. Not `serde_json::Value`, which drops the first of two fields of one name, although it could
/// be meant as well as the second, and does not overwrite its strings.
pub(super) enum Json {
    Text(Zeroizing<String>),
    Object(Vec<(Zeroizing<String>, Self)>),
    Array(Vec<Self>),
    Null,
    /// A number or a truth value.
    Other,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(text)))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Json::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some((name, value)) = fields.next_entry::<String, Json>()? {
            all.push((Zeroizing::new(name), value));
        }
        Ok(Json::Object(all))
    }
}

impl Json {
    /// Parses one JSON value; the error says only where it is broken.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Whether a field of this name has to hold a certificate, a chain or a key: the names that certbot,
/// acme.sh, lego, Vault, Infisical, Kubernetes, Terraform, ACM's export and people use. Upper and lower
/// case, and what joins the words, make no difference. Names that may mean anything else, such as `key`
/// and `body`, are not among them: they hold what they hold.
pub(super) fn is_expected(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "cabundle",
        "cacertificate",
        "cachain",
        "cacrt",
        "cert",
        "certbody",
        "certchain",
        "certificate",
        "certificatebody",
        "certificatebundle",
        "certificatechain",
        "certificatekey",
        "certificatepem",
        "certificateprivatekey",
        "certpem",
        "certs",
        "chain",
        "chainpem",
        "crt",
        "fullchain",
        "fullchainpem",
        "intermediate",
        "intermediates",
        "intermediatecertificates",
        "issuercert",
        "issuercertificate",
        "issuerpem",
        "issuingca",
        "issuingcacertificate",
        "keypem",
        "privatekey",
        "privatekeypem",
        "privkey",
        "privkeypem",
        "servercert",
        "servercertificate",
        "serverkey",
        "sslcert",
        "sslcertificate",
        "sslkey",
        "tlscert",
        "tlscrt",
        "tlskey",
    ];
    let plain = plain(name);
    NAMES.contains(&plain.as_str())
}

/// Whether a field of this name has nothing to do with what is served: the key of an ACME account, and
/// the history of a Kubernetes object.
pub(super) fn is_foreign(name: &str) -> bool {
    let plain = plain(name);
    plain.starts_with("account") || plain.ends_with("lastappliedconfiguration")
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
