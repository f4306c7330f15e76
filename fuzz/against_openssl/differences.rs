//! The comparison, and the reasons for which both readings may differ.

use std::cell::Cell;

use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Ref};
use rotation_core::certificate::bundle::{Bundle, BundleError, read_files};
use rotation_core::certificate::fitness::{Place, fit};
use rotation_core::certificate::{Certificate, TrustRoots};
use rotation_core::ids::Store;

use crate::seeds::Seeds;
use crate::theirs::{Fact, Reading, belongs, is_sound, same};
use crate::{Outcome, pkcs12};

/// What only OpenSSL reads: why, and how it is known.
struct Stricter {
    name: &'static str,
    why: &'static str,
    applies: fn(&Refused<'_>) -> bool,
}

/// What this reader has refused, and OpenSSL has read whole.
struct Refused<'a> {
    error: &'a BundleError,
    theirs: &'a Reading,
    key: &'a PKey<Private>,
    authority: &'a X509,
}

const FORM: &str = "a form that no standard has";
const BREAKS: &str = "a certificate that breaks X.509";
const AFTER: &str = "bytes after a value";
const CHANGED: &str = "a certificate that was changed";

const STRICTER: &[Stricter] = &[
    Stricter {
        name: AFTER,
        why: "OpenSSL ignores what follows a value in DER. It may be a second certificate or key, or the rest of a file that is damaged, so it is not dropped without a word",
        applies: |it| {
            let is_value = matches!(
                it.error,
                BundleError::BrokenCertificate { .. }
                    | BundleError::BrokenKey { .. }
                    | BundleError::SecondKey { .. }
                    | BundleError::OtherBlock { .. }
                    | BundleError::Pkcs12 { .. }
                    | BundleError::NotText
            );
            is_value && it.has(Fact::AfterValue)
        },
    },
    Stricter {
        name: CHANGED,
        why: "OpenSSL reads a certificate without its signature, which no longer fits here: no authority has issued it like this",
        applies: |it| {
            let is_signed = |certificate| it.is_signed(certificate);
            it.is_certificate_error()
                && match it.odd().next() {
                    Some(_) => !it.odd().any(is_signed),
                    // Its signature is not of whole bytes.
                    None => !it.has(Fact::Ber) && !it.theirs.certificates.iter().all(is_signed),
                }
        },
    },
    Stricter {
        name: BREAKS,
        why: "it is signed, but an extension, a time or a number in it is not what RFC 5280 says; OpenSSL looks at these only when it uses them, and no public authority issues such a certificate",
        applies: |it| it.is_certificate_error() && it.odd().next().is_some(),
    },
    Stricter {
        name: "a certificate in BER",
        why: "around what is signed, its lengths are not the shortest. RFC 5280 demands DER, which authorities deliver; a certificate is kept byte for byte and not written anew",
        applies: |it| it.is_certificate_error() && it.has(Fact::Ber),
    },
    Stricter {
        name: "a block of another kind",
        why: "OpenSSL passes over a block whose label it does not know, such as a PGP message, a key of OpenSSH or a label in lower case. It may be the certificate or key that is meant",
        applies: |it| {
            let is_kind = matches!(
                it.error,
                BundleError::OtherBlock { .. }
                    | BundleError::BrokenArmour { .. }
                    | BundleError::BrokenBase64 { .. }
                    | BundleError::BrokenCertificate { .. }
                    | BundleError::EncryptedKey { .. }
                    | BundleError::SecondKey { .. }
            );
            is_kind && it.has(Fact::OtherBlock)
        },
    },
    Stricter {
        name: "a line that is almost BEGIN or END",
        why: "OpenSSL takes it for text between blocks, and says nothing of the block that is lost by it",
        applies: |it| {
            let is_armour = matches!(
                it.error,
                BundleError::BrokenArmour { .. }
                    | BundleError::ChangedDashes
                    | BundleError::BrokenBase64 { .. }
                    | BundleError::BrokenCertificate { .. }
                    | BundleError::BrokenKey { .. }
                    | BundleError::EncryptedKey { .. }
                    | BundleError::OtherBlock { .. }
                    | BundleError::SecondKey { .. }
            );
            is_armour && it.has(Fact::Unseen)
        },
    },
    Stricter {
        name: "base64 between other lines",
        why: "`openssl base64` passes over lines that are not base64, and stops without an error at what is not; here base64 is the whole file or nothing",
        applies: |it| it.has(Fact::Base64),
    },
    Stricter {
        name: "a hyphen in base64",
        why: "OpenSSL takes it for the end of the base64 and ignores what follows",
        applies: |it| matches!(it.error, BundleError::BrokenBase64 { .. }),
    },
    Stricter {
        name: "several certificates for the key",
        why: "two different certificates fit the key, and both may be the one of the server; OpenSSL takes the first",
        applies: |it| matches!(it.error, BundleError::SecondLeaf { .. }),
    },
    Stricter {
        name: FORM,
        why: "OpenSSL does not look at the version of a key or of PKCS#12, by which this reader tells values apart, nor at the parameters of HMAC in PBES2, and reads what BER forbids: numbers without bytes or in pieces, strings in pieces of another kind (X.690, 8.3 and 8.7). No program writes any of them",
        applies: |it| it.has(Fact::Form),
    },
    Stricter {
        name: "a damaged key",
        why: "OpenSSL compares only public halves; the numbers of this key contradict one another, as `openssl pkey -check` says",
        applies: |it| it.theirs.keys.iter().any(|key| !is_sound(key)),
    },
];

/// What only this reader reads: why, and how it is known.
struct Lenient {
    name: &'static str,
    why: &'static str,
    applies: fn(&[Vec<u8>], &Reading) -> bool,
}

const LENIENT: &[Lenient] = &[
    Lenient {
        name: "JSON",
        why: "a secret is often JSON, with PEM in its fields",
        applies: |files, _| starts(files, b"{") || starts(files, b"[") || starts(files, b"\""),
    },
    Lenient {
        name: "UTF-16",
        why: "editors on Windows write it",
        applies: |files, _| starts(files, b"\xff\xfe") || starts(files, b"\xfe\xff"),
    },
    Lenient {
        name: "PEM in another layout",
        why: "lost line breaks, blanks before BEGIN, lines of any length: what a console or a mail program makes of PEM",
        applies: |_, theirs| {
            theirs.facts.contains(&Fact::Armour) || theirs.facts.contains(&Fact::Unseen)
        },
    },
    Lenient {
        name: "a wrong label",
        why: "the content decides what a block is",
        applies: |_, theirs| {
            theirs.facts.contains(&Fact::Label) || theirs.facts.contains(&Fact::OtherBlock)
        },
    },
    Lenient {
        name: "a public half of another key",
        why: "the private half decides to which certificate a key belongs, and is written with its own public half; OpenSSL compares only public halves",
        applies: |_, theirs| !theirs.facts.contains(&Fact::Broken) && !theirs.keys.is_empty(),
    },
    Lenient {
        name: "base64 in another layout",
        why: "`openssl base64` is particular about line breaks, and knows base64 in base64 no better than PKCS#12 in it",
        applies: |files, theirs| {
            theirs.facts.contains(&Fact::Base64)
                || files.iter().any(|file| {
                    file.first() != Some(&0x30) && !file.windows(6).any(|part| part == b"BEGIN ")
                })
        },
    },
    Lenient {
        name: "several values in a file",
        why: "certificates in DER one after the other; OpenSSL reads the first",
        applies: |_, theirs| theirs.facts.contains(&Fact::AfterValue),
    },
    Lenient {
        name: "a value that OpenSSL refuses",
        why: "a part that is not needed is missing, damaged or too many: parameters, attributes, the public half, what else is in PKCS#7 or PKCS#12, a public key or a request beside the rest. OpenSSL reads what is written instead",
        applies: |files, theirs| theirs.facts.contains(&Fact::Value) || starts(files, b"0"),
    },
];

fn starts(files: &[Vec<u8>], with: &[u8]) -> bool {
    files.iter().any(|file| file.trim_ascii_start().starts_with(with))
}

pub(crate) fn why(name: &str) -> &'static str {
    let stricter = STRICTER.iter().map(|it| (it.name, it.why));
    let mut all = stricter.chain(LENIENT.iter().map(|it| (it.name, it.why)));
    all.find(|(other, _)| *other == name).map_or("", |(_, why)| why)
}

/// Reads the files with both, and compares; and whether a password was asked for.
pub(crate) fn compare(files: &[Vec<u8>], password: &str, seeds: &Seeds) -> (Outcome, bool) {
    let theirs = Reading::of(files, password);
    let is_asked = Cell::new(false);
    let mut open = |file: &[u8]| {
        is_asked.set(true);
        pkcs12::open(file, password).ok()
    };
    let ours = read_files(files.iter().map(Vec::as_slice), &mut open);
    let is_whole = !theirs.facts.contains(&Fact::Broken);
    let is_more = [Fact::OtherBlock, Fact::AfterValue, Fact::Unseen]
        .iter()
        .any(|it| theirs.facts.contains(it));
    let leaf = ours.as_ref().ok().and_then(|bundle| X509::from_der(bundle.leaf.der()).ok());
    let is_own =
        |own: &[&X509Ref]| leaf.as_ref().is_some_and(|leaf| own.iter().any(|it| same(it, leaf)));
    let outcome = match (theirs.pair(), ours) {
        (Some((key, own)), Ok(bundle)) if is_own(&own) => both(files, &theirs, key, &bundle, seeds),
        (Some((key, _)), Err(error)) if is_whole => {
            let authority = &seeds.authority.certificate;
            only_theirs(&Refused { error: &error, theirs: &theirs, key, authority })
        }
        // In a block that OpenSSL passes over or does not see, or after the first value of a file.
        (Some(_), Ok(bundle)) if is_whole && is_more && !findings(&bundle, seeds).is_empty() => {
            only_ours(files, &theirs, &bundle, seeds)
        }
        (Some((key, _)), Ok(bundle)) if is_whole => {
            examined(&theirs, key, &bundle, seeds, "another leaf".to_owned())
        }
        // Of what OpenSSL understands in a broken content, this reader must not make something else.
        (Some(_), Ok(bundle)) if findings(&bundle, seeds).is_empty() => unlisted("another pair"),
        (_, Ok(bundle)) => only_ours(files, &theirs, &bundle, seeds),
        (_, Err(_)) => Outcome::Refused,
    };
    let is_asked = is_asked.get() || theirs.facts.contains(&Fact::Pkcs12);
    (outcome, is_asked)
}

fn unlisted(what: impl Into<String>) -> Outcome {
    Outcome::Unlisted(what.into())
}

fn both(
    files: &[Vec<u8>],
    theirs: &Reading,
    key: &PKey<Private>,
    bundle: &Bundle,
    seeds: &Seeds,
) -> Outcome {
    match written(bundle) {
        Some((_, own)) if own.public_eq(key) => {}
        Some(_) => return unlisted("another key"),
        None if !findings(bundle, seeds).is_empty() => return Outcome::Refused,
        None => return unlisted("a key that OpenSSL does not read when it is written anew"),
    }
    if theirs.facts.contains(&Fact::Broken) {
        return lenient(files, theirs);
    }
    let all = bundle.others.iter().map(|(_, it)| it).chain([&bundle.leaf]);
    let ours: Vec<X509> = all.filter_map(|it| X509::from_der(it.der()).ok()).collect();
    if theirs.certificates.iter().any(|it| !ours.iter().any(|own| same(own, it))) {
        return unlisted(format!("a certificate is lost {:?}", theirs.facts));
    }
    let findings = findings(bundle, seeds);
    // Whatever the encoding was, what is imported is DER.
    if findings.is_empty()
        && ours.last().is_none_or(|it| it.to_der().ok().as_deref() != Some(bundle.leaf.der()))
    {
        return unlisted("a certificate that is imported in BER");
    }
    match findings.into_iter().find(|(is_about_key, _)| *is_about_key) {
        Some((_, problem)) if is_sound(key) => examined(theirs, key, bundle, seeds, problem),
        _ => Outcome::Same,
    }
}

/// Both have read it, and the examination that follows finds something wrong with the key.
fn examined(
    theirs: &Reading,
    key: &PKey<Private>,
    bundle: &Bundle,
    seeds: &Seeds,
    problem: String,
) -> Outcome {
    let authority = &seeds.authority.certificate;
    let refused = Refused { error: &BundleError::Empty, theirs, key, authority };
    let Ok(leaf) = X509::from_der(bundle.leaf.der()) else { return unlisted(problem) };
    if theirs.facts.contains(&Fact::Form) {
        Outcome::Stricter(FORM)
    } else if theirs.facts.contains(&Fact::AfterValue) {
        Outcome::Stricter(AFTER)
    } else if findings(bundle, seeds).is_empty() {
        unlisted(problem)
    } else if !refused.is_signed(&leaf) {
        Outcome::Stricter(CHANGED)
    } else if !is_key_in_der(&leaf) {
        Outcome::Stricter(BREAKS)
    } else {
        unlisted(problem)
    }
}

/// Whether the public key is in the certificate as OpenSSL would write it.
fn is_key_in_der(certificate: &X509) -> bool {
    let (Ok(der), Ok(key)) = (certificate.to_der(), certificate.public_key()) else { return false };
    key.public_key_to_der().is_ok_and(|key| der.windows(key.len()).any(|part| part == key))
}

fn only_theirs(refused: &Refused<'_>) -> Outcome {
    match STRICTER.iter().find(|it| (it.applies)(refused)) {
        Some(reason) => Outcome::Stricter(reason.name),
        None => {
            let Refused { error, theirs, key, .. } = refused;
            let odd: Vec<bool> = refused.odd().map(|it| refused.is_signed(it)).collect();
            let name = format!("{error:?} {:?} odd {odd:?} {}", theirs.facts, is_sound(key));
            unlisted(name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>())
        }
    }
}

impl Refused<'_> {
    fn has(&self, fact: Fact) -> bool {
        self.theirs.facts.contains(&fact)
    }

    fn is_certificate_error(&self) -> bool {
        matches!(self.error, BundleError::BrokenCertificate { .. } | BundleError::NotText)
    }

    /// The certificates that this reader refuses.
    fn odd(&self) -> impl Iterator<Item = &X509> {
        self.theirs.certificates.iter().filter(|it| {
            let pem = it.to_pem().ok().and_then(|pem| String::from_utf8(pem).ok());
            pem.is_none_or(|pem| Certificate::from_pem(&pem).is_err())
        })
    }

    /// Whether an authority that is known here has signed it as it is.
    fn is_signed(&self, certificate: &X509) -> bool {
        let issuers = self.theirs.certificates.iter().chain([self.authority]);
        let mut keys = issuers.filter_map(|issuer| issuer.public_key().ok());
        keys.any(|key| certificate.verify(&key).unwrap_or(false))
    }
}

fn only_ours(files: &[Vec<u8>], theirs: &Reading, bundle: &Bundle, seeds: &Seeds) -> Outcome {
    match written(bundle) {
        Some((leaf, key)) if belongs(&leaf, &key) => lenient(files, theirs),
        // Such a pair is read, and refused by the examination that follows.
        _ if !findings(bundle, seeds).is_empty() => Outcome::Refused,
        _ => unlisted("unsound"),
    }
}

fn lenient(files: &[Vec<u8>], theirs: &Reading) -> Outcome {
    match LENIENT.iter().find(|it| (it.applies)(files, theirs)) {
        Some(reason) => Outcome::Lenient(reason.name),
        None => unlisted(format!("lenient {:?}", theirs.facts)),
    }
}

/// The leaf and the key as they would be imported.
fn written(bundle: &Bundle) -> Option<(X509, PKey<Private>)> {
    let leaf = X509::from_pem(bundle.leaf.to_pem().as_bytes()).ok()?;
    let key = PKey::private_key_from_pem_passphrase(bundle.key.to_pem().as_bytes(), b"").ok()?;
    Some((leaf, key))
}

/// Why the certificate is refused after it was read, and whether because of its key. That the kind of key is
/// one that CloudFront does not accept is no matter of reading.
fn findings(bundle: &Bundle, seeds: &Seeds) -> Vec<(bool, String)> {
    let place = Place { store: Store::Iam, stored: true };
    let now = "2026-06-01T00:00:00Z".parse().expect("a time");
    let verdict = fit(bundle, place, &seeds.roots, now);
    let of = |subject: &str| subject == "private key of the new certificate";
    verdict.findings.into_iter().map(|it| (of(&it.subject), it.problem)).collect()
}

/// The roots, with the one of the seeds.
pub(crate) fn roots(authority: &X509) -> TrustRoots {
    let pem = String::from_utf8(authority.to_pem().expect("PEM")).expect("text");
    TrustRoots::mozilla().with_pem(&pem).expect("a root")
}
