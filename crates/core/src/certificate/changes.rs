//! What viewers and operators may notice of a new certificate, compared with the old one.

use crate::certificate::succession::{Edition, Succession};
use crate::certificate::{Certificate, KeyFamily};

/// A note for each difference that somebody may notice: when it was issued and ends, the kind or
/// size of its key, the root that its chain leads to. `old_root` is the name of the old one's root,
/// see [`root_name`].
pub fn notes(
    old: &Certificate,
    old_root: &str,
    new: &Certificate,
    chain: &[Certificate],
) -> Vec<String> {
    let editions = (Edition::from(old), Edition::from(new));
    let succession = Succession::of(&editions.0, &editions.1);
    let mut notes = Vec::new();
    if let Some(description) = succession.description(&editions.0, &editions.1) {
        notes.push(format!("About the new certificate: {description}."));
    }
    notes.extend(key_change(old, new));
    let new_root = chain.last().unwrap_or(new).issuer();
    if new_root != old_root {
        notes.push(format!(
            "The chain leads to another root: {new_root}, before {old_root}. Viewers with an old list of roots may not have it."
        ));
    }
    notes
}

/// Does the key change from RSA to an elliptic curve? CloudFront offers cipher suites for both
/// (Developer Guide, "Supported protocols and ciphers between viewers and CloudFront"), but a
/// certificate supports those of its own key only: viewers that support only RSA fail.
pub fn excludes_rsa_viewers(old: &Certificate, new: &Certificate) -> bool {
    let family = |certificate: &Certificate| certificate.key_algorithm().family();
    (family(old), family(new)) == (Some(KeyFamily::Rsa), Some(KeyFamily::Ec))
}

fn key_change(old: &Certificate, new: &Certificate) -> Option<String> {
    let (before, after) = (old.key_algorithm(), new.key_algorithm());
    let effect = if excludes_rsa_viewers(old, new) {
        ": viewers that support only RSA, such as old devices, will fail to connect. To be able to go back, keep the old certificate for some days (retainOldDays)"
    } else {
        ""
    };
    (before != after).then(|| format!("The key changes from {before} to {after}{effect}."))
}

/// The name of the root that a chain leads to: the issuer of its last certificate. `chain` is the
/// PEM text that a store has for the leaf; without one the leaf's issuer is the root.
pub fn root_name(leaf: &Certificate, chain: Option<&str>) -> String {
    let blocks = chain.and_then(|text| pem::parse_many(text).ok()).unwrap_or_default();
    let last = blocks.into_iter().next_back();
    let last = last.and_then(|block| Certificate::from_der(block.into_contents()).ok());
    last.as_ref().unwrap_or(leaf).issuer().to_owned()
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;
    use rotation_test_pki::*;

    use super::*;
    use crate::fixtures::certificate;

    const NAMES: &[&str] = &["www.example.com"];

    /// Case S5: a renewal may come with another kind of key.
    #[test]
    fn s5_a_change_of_the_key_is_noted() {
        let authority = Authority::root("Root");
        let ec = certificate(&authority.sign(&leaf_params(NAMES), &p256()));
        let rsa = certificate(&authority.sign(&leaf_params(NAMES), &rsa_2048()));
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key");
        let p384 = certificate(&authority.sign(&leaf_params(NAMES), &p384));
        let check = |old, new, excludes, note: Option<&str>| {
            assert_eq!(excludes_rsa_viewers(old, new), excludes);
            assert_eq!(key_change(old, new).as_deref(), note);
        };
        check(&ec, &ec, false, None);
        check(&rsa, &rsa, false, None);
        check(
            &rsa,
            &ec,
            true,
            Some(
                "The key changes from RSA 2048 to ECDSA P-256: viewers that support only RSA, such as old devices, will fail to connect. To be able to go back, keep the old certificate for some days (retainOldDays).",
            ),
        );
        check(&ec, &rsa, false, Some("The key changes from ECDSA P-256 to RSA 2048."));
        check(&ec, &p384, false, Some("The key changes from ECDSA P-256 to ECDSA P-384."));
    }

    /// Case S5: it may lead to another root.
    #[test]
    fn s5_a_change_of_the_root_is_noted() {
        let (one, two) = (Authority::root("One"), Authority::root("Two"));
        let (lower, other) = (one.intermediate("Lower"), two.intermediate("Other"));
        type Chained = (Certificate, Vec<Certificate>);
        let of = |issuer: &Authority, chain: &[&Authority]| -> Chained {
            let leaf = certificate(&issuer.sign(&leaf_params(NAMES), &p256()));
            (leaf, chain.iter().map(|one| certificate(&one.pem)).collect())
        };
        let check = |old: &Chained, chain: Option<&str>, new: &Chained, note: Option<&str>| {
            let found = notes(&old.0, &root_name(&old.0, chain), &new.0, &new.1);
            let roots: Vec<&String> = found.iter().filter(|it| it.contains("root")).collect();
            assert_eq!(roots, Vec::from_iter(note), "{found:?}");
        };
        let told = "The chain leads to another root: CN=Two, before CN=One. Viewers with an old list of roots may not have it.";
        let (old, same, another) = (of(&lower, &[&lower]), of(&one, &[]), of(&other, &[&other]));
        check(&old, Some(&lower.pem), &same, None);
        // A store may have the root too.
        check(&old, Some(&format!("{}{}", lower.pem, one.pem)), &same, None);
        check(&same, None, &old, None);
        check(&old, Some(&lower.pem), &another, Some(told));
        check(&same, None, &another, Some(told));
    }
}
