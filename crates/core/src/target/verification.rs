//! Evaluates what an edge served to a viewer.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, Fingerprint};
use crate::certificate::{TrustError, TrustRoots};

/// What is wrong with what an edge served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No valid certificate.
    #[error("the edge served no valid certificate")]
    Unreadable,
    /// Another certificate than the one configured.
    #[error("the edge served {served} (valid until {not_after}) instead of {expected}")]
    Other {
        /// What was served.
        served: Fingerprint,
        /// The end of its validity.
        not_after: Timestamp,
        /// What should have been served.
        expected: String,
    },
    /// It does not cover the name that the viewer sent.
    #[error("the certificate that was served is not for this name")]
    NotForThisName,
    /// A viewer would not trust it.
    #[error("the chain that was served is not trusted: {0}")]
    NotTrusted(TrustError),
}

/// The name that a viewer sends: the alias itself or, for a wildcard, an unused label under it,
/// because a distribution with that exact name would be served instead (CloudFront Developer Guide,
/// "Alternate domain names", wildcards).
pub fn server_name(alias: &str) -> String {
    match alias.strip_prefix("*.") {
        Some(domain) => format!("certificate-rotation-check.{domain}"),
        None => alias.to_owned(),
    }
}

/// Is this the certificate with the expected fingerprint, for this name, trusted at this time?
///
/// `chain` is what was served: the leaf first, each certificate as DER.
///
/// # Errors
/// The first [`Fault`], in order of importance.
pub fn judge(
    chain: &[Vec<u8>],
    expected: &str,
    name: &str,
    roots: &TrustRoots,
    now: Timestamp,
) -> Result<(), Fault> {
    let read = |der: &Vec<u8>| Certificate::from_der(der.clone()).map_err(|_| Fault::Unreadable);
    let certificates = chain.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let (leaf, intermediates) = certificates.split_first().ok_or(Fault::Unreadable)?;
    if leaf.fingerprint().to_string() != expected {
        return Err(Fault::Other {
            served: leaf.fingerprint(),
            not_after: leaf.not_after(),
            expected: expected.to_owned(),
        });
    }
    if !leaf.covers(name) {
        return Err(Fault::NotForThisName);
    }
    roots.verify(leaf, intermediates, now).map_err(Fault::NotTrusted)
}

/// What viewers of a name got before the target was changed, if that was neither certificate of the
/// rotation: it was wrong then, and the rotation has not to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// The name that was sent, or the endpoint if that has no address.
    pub name: String,
    /// Was the name sent (SNI)?
    pub sni: bool,
    /// The certificate that was served; `None` if no handshake succeeded.
    pub served: Option<Fingerprint>,
    /// The same in words.
    pub why: String,
}

/// Was it wrong before the target was changed, too, and in the same way?
///
/// The old certificate is no excuse: then the edge has not received the change.
pub fn was_so(before: &[Before], name: &str, sni: bool, served: Option<Fingerprint>) -> bool {
    before.iter().any(|one| one.name == name && one.sni == sni && one.served == served)
}

/// A handshake to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The name that the certificate must cover.
    pub name: String,
    /// The address to connect to.
    pub address: SocketAddr,
    /// Is the name sent (SNI)?
    pub sni: bool,
}

/// The handshakes that prove what an edge serves: each name once per available address family,
/// rotating over all addresses. `without_sni` adds one for viewers that send no name.
pub fn handshakes(names: &[String], addresses: &[SocketAddr], without_sni: bool) -> Vec<Handshake> {
    let (v4, v6): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv4());
    let families = [v4, v6];
    let families = || families.iter().filter(|family| !family.is_empty());
    let mut planned = Vec::new();
    for (index, alias) in names.iter().enumerate() {
        planned.extend(families().map(|family| Handshake {
            name: server_name(alias),
            address: family[index % family.len()],
            sni: true,
        }));
    }
    if let (true, Some(alias)) = (without_sni, names.first()) {
        planned.extend(families().map(|family| Handshake {
            name: server_name(alias),
            address: family[0],
            sni: false,
        }));
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::*;
    use rotation_test_pki::*;

    const NOW: &str = "2026-04-01T00:00:00Z";

    #[test]
    fn s8_only_what_was_wrong_in_the_same_way_is_excused() {
        let third = Fingerprint::of(b"third");
        let of = |name: &str, sni, served| Before {
            name: name.into(),
            sni,
            served,
            why: "it was so".into(),
        };
        let before = [
            of("a.example", true, Some(third)),
            of("b.example", true, None),
            of("c.example", false, None),
        ];
        for (name, sni, served, expected) in [
            ("a.example", true, Some(third), true),
            ("a.example", true, Some(Fingerprint::of(b"old")), false),
            ("a.example", true, None, false),
            ("a.example", false, Some(third), false),
            ("b.example", true, None, true),
            ("b.example", true, Some(third), false),
            ("c.example", false, None, true),
            ("c.example", true, None, false),
            ("d.example", true, None, false),
        ] {
            assert_eq!(was_so(&before, name, sni, served), expected, "{name} {sni} {served:?}");
        }
        assert!(!was_so(&[], "a.example", true, None));
    }

    #[test]
    fn faults_are_reported_in_order_of_importance() {
        let root = Authority::root("Root");
        let issuer = root.intermediate("Issuer");
        let leaf = |names: &[&str]| certificate(&issuer.sign(&leaf_params(names), &p256()));
        let (right, other) =
            (leaf(&["www.example.com", "*.shop.example.com"]), leaf(&["www.example.com"]));
        let chain = certificate(&issuer.pem);
        let roots = TrustRoots::mozilla().with_pem(&root.pem).expect("root");
        let expected = right.fingerprint().to_string();
        let check = |served: &[&Certificate], name: &str, now: &str, verdict: Result<(), Fault>| {
            let served: Vec<Vec<u8>> = served.iter().map(|one| one.der().to_vec()).collect();
            let now = now.parse().expect("time");
            assert_eq!(judge(&served, &expected, name, &roots, now), verdict, "{name} {now}");
        };
        let whole = [&right, &chain];
        check(&whole, "www.example.com", NOW, Ok(()));
        check(&whole, &server_name("*.shop.example.com"), NOW, Ok(()));
        check(&[], "www.example.com", NOW, Err(Fault::Unreadable));
        let not_after = other.not_after();
        let served = other.fingerprint();
        let fault = Fault::Other { served, not_after, expected: expected.clone() };
        check(&[&other, &chain], "www.example.com", NOW, Err(fault));
        check(&whole, "example.com", NOW, Err(Fault::NotForThisName));
        let untrusted = |error| Err(Fault::NotTrusted(error));
        check(&[&right], "www.example.com", NOW, untrusted(TrustError::UnknownIssuer));
        let late = "2026-07-02T00:00:00Z";
        check(&whole, "www.example.com", late, untrusted(TrustError::Validity));
        let no_certificate =
            judge(&[vec![1, 2, 3]], &expected, "a", &roots, NOW.parse().expect("time"));
        assert_eq!(no_certificate, Err(Fault::Unreadable));
    }

    #[test]
    fn every_name_is_tried_in_each_address_family_over_all_addresses() {
        let names: Vec<String> =
            ["a.example.com", "*.b.example.com", "c.example.com"].map(Into::into).into();
        let addresses: Vec<SocketAddr> = ["1.1.1.1:443", "[::1]:443", "2.2.2.2:443"]
            .map(|one| one.parse().expect("address"))
            .into();
        let check =
            |names: &[String], addresses: &[SocketAddr], without: bool, expected: &[&str]| {
                let planned: Vec<String> = handshakes(names, addresses, without)
                    .iter()
                    .map(|one| {
                        format!(
                            "{} {}{}",
                            one.name,
                            one.address.ip(),
                            if one.sni { "" } else { " bare" }
                        )
                    })
                    .collect();
                assert_eq!(planned, expected);
            };
        check(
            &names,
            &addresses,
            true,
            &[
                "a.example.com 1.1.1.1",
                "a.example.com ::1",
                "certificate-rotation-check.b.example.com 2.2.2.2",
                "certificate-rotation-check.b.example.com ::1",
                "c.example.com 1.1.1.1",
                "c.example.com ::1",
                "a.example.com 1.1.1.1 bare",
                "a.example.com ::1 bare",
            ],
        );
        check(&names[..1], &addresses[..1], false, &["a.example.com 1.1.1.1"]);
        check(&[], &addresses, true, &[]);
        check(&names, &[], true, &[]);
    }
}
