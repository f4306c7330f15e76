//! Decides which parts of a text from outside may appear in a message, a log or a report.
//!
//! Any value may be in the wrong field, even a private key. So only names are quoted, and only if
//! they look like names.

use serde_json::Value;

/// An X.509 name, safe for a message: an authority may put any text into a name, including line
/// breaks, of any length.
pub(crate) fn name(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    plain.take(200).collect()
}

/// The name of an unknown field, if it looks like a name. Anything else may be part of a key, and
/// so may two hyphens, which PEM starts with.
pub(crate) fn field(name: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_name = (1..=32).contains(&name.len()) && name.chars().all(is_plain);
    (is_name && !name.contains("--")).then_some(name)
}

/// Does the text contain a PEM block, of a certificate or a key?
pub(crate) fn holds_pem(text: &str) -> bool {
    text.contains("-----BEGIN")
}

/// The input for the report. An input that contains a certificate or a key was refused, and is not
/// shown.
pub(crate) fn request(request: &Value) -> Value {
    if holds_pem(&request.to_string()) {
        "It contained a certificate or a key, and is not shown.".into()
    } else {
        request.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_name_is_quoted() {
        for (text, is_shown) in [
            ("certificate", true),
            ("retain-old_days.2", true),
            ("", false),
            ("-----BEGIN", false),
            ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw", false),
            ("two words", false),
            ("schlüssel", false),
        ] {
            assert_eq!(field(text), is_shown.then_some(text), "{text}");
        }
    }

    #[test]
    fn names_of_x509_are_one_line_and_not_endless() {
        assert_eq!(name("CN=a\nb"), "CN=a\u{fffd}b");
        assert_eq!(name(&"x".repeat(1_000)).len(), 200);
    }

    #[test]
    fn an_input_with_a_key_is_not_shown() {
        let input = serde_json::json!({"newCertificate": "-----BEGIN PRIVATE KEY-----"});
        assert!(!request(&input).to_string().contains("BEGIN"));
        assert_eq!(request(&Value::Null), Value::Null);
    }
}
