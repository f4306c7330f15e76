//! Names as people write them: international ones, as URLs, with the dot of DNS at the end.

use rotation_core::certificate::Certificate;
use rotation_core::failure::Ending;
use rotation_core::finding::{Finding, listed};

/// The name in the spelling of certificates and CloudFront: `www.xn--mller-kva.example`. What is no
/// name stays as it is.
fn in_ascii(name: &str) -> String {
    // Certificates may have an asterisk or an underscore, which the strict rules refuse.
    idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::EMPTY)
        .map_or_else(|_| name.to_owned(), Into::into)
}

/// The name for people: in both spellings if it is international.
pub(crate) fn readable(name: &str) -> String {
    let (unicode, result) = idna::domain_to_unicode(name);
    if result.is_ok() && unicode != name { format!("{name} ({unicode})") } else { name.to_owned() }
}

/// The finding about an alias that the certificate does not cover, or that is no name.
pub(crate) fn uncovered(alias: &str, leaf: &Certificate) -> Option<Finding> {
    let finding = |problem: String, cure: String| {
        Finding::new(Ending::AliasNotCovered, format!("alias {alias}"), problem, cure)
    };
    if let Some(host) = host_of(alias) {
        let cure = format!("pass --alias {host}");
        return Some(finding(
            "is a URL or an address with a port or path, not a name".into(),
            cure,
        ));
    }
    let name = in_ascii(alias.strip_suffix('.').unwrap_or(alias));
    if leaf.covers(&name) {
        return None;
    }
    let names: Vec<String> = leaf.dns_names().iter().map(|name| readable(name)).collect();
    let called = if name == alias { String::new() } else { format!(", as {name},") };
    let problem =
        format!("the certificate has no name that covers it{called} but {}", listed(&names));
    Some(finding(problem, cure(&name, leaf)))
}

fn cure(name: &str, leaf: &Certificate) -> String {
    let below = format!("*.{name}");
    match name.split_once('.') {
        _ if name.starts_with("*.") => {
            format!(
                "have it issued with the name {name} itself: only the same wildcard covers a wildcard"
            )
        }
        // Perhaps the top of a domain, such as example.co.uk, where no authority certifies a wildcard.
        _ if leaf.dns_names().contains(&below) => {
            format!(
                "have it issued with the name {name} itself: {below} covers only names below it"
            )
        }
        Some((_, rest)) if rest.contains('.') => {
            format!(
                "have it issued with this name, or with *.{rest}: a wildcard stands for the first label only"
            )
        }
        _ => format!(
            "have it issued with the name {name} itself: no wildcard helps, {below} covers only names below it"
        ),
    }
}

/// The host, if this is a URL, or a host with a port or a path.
fn host_of(alias: &str) -> Option<&str> {
    let after_scheme = alias.split_once("://").map_or(alias, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default();
    (host != alias).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rotation_test_pki::{Authority, leaf_params, p256};

    #[test]
    fn an_alias_is_understood_as_people_write_it() {
        let names = ["www.example.com", "*.shop.example.com", "xn--mller-kva.example"];
        let leaf = Authority::root("Root").sign(&leaf_params(&names), &p256());
        let leaf = Certificate::from_pem(&leaf).expect("certificate");
        for (alias, said) in [
            ("www.example.com", &[][..]),
            ("WWW.Example.com.", &[]),
            ("müller.example", &[]),
            ("MÜLLER.example.", &[]),
            ("xn--mller-kva.example", &[]),
            ("a.shop.example.com", &[]),
            ("*.shop.example.com", &[]),
            // The wildcard is for the first label, and none helps at the top of a domain.
            ("a.b.example.com", &["this name, or with *.b.example.com"]),
            ("a.example.com", &["or with *.example.com", "xn--mller-kva.example (müller.example)"]),
            ("example.com", &["no wildcard helps", "*.example.com covers only names below"]),
            ("shop.example.com", &["itself: *.shop.example.com covers only names below"]),
            ("*.example.com", &["the name *.example.com itself"]),
            (
                "www.müller.example",
                &["as www.xn--mller-kva.example", "or with *.xn--mller-kva.example"],
            ),
            (
                "https://www.example.com/",
                &["alias https://", "is a URL", "--alias www.example.com"],
            ),
            ("https://u:p@www.example.com:443/x?y", &["--alias www.example.com"]),
            ("www.example.com:443", &["is a URL", "--alias www.example.com"]),
            ("www.example.com/path", &["--alias www.example.com"]),
        ] {
            let found = uncovered(alias, &leaf).map(|finding| finding.to_string());
            assert_eq!(found.is_some(), !said.is_empty(), "{alias}: {found:?}");
            let found = found.unwrap_or_default();
            assert!(said.iter().all(|words| found.contains(words)), "{alias}: {found}");
        }
    }
}
