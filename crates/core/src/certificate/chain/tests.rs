use rcgen::DnType;

use super::*;
use crate::certificate::bundle;
use crate::fixtures::*;
use rotation_test_pki::*;

const NOW: &str = "2026-04-01T00:00:00Z";

/// A leaf of this authority with its key.
fn issued(by: &Authority) -> (String, String) {
    let key = p256();
    (by.sign(&leaf_params(&["www.example.com"]), &key), key.serialize_pem())
}

fn choose(content: &str, roots: &[&str]) -> Chain {
    let bundle = bundle::read(content.as_bytes()).expect("a bundle");
    let roots =
        roots.iter().fold(TrustRoots::mozilla(), |all, root| all.with_pem(root).expect("a root"));
    Chain::choose(&bundle, &roots, NOW.parse().expect("time"))
}

/// The chain and what it leaves out, whatever the order in the source.
#[track_caller]
fn check(content: &[&str], roots: &[&str], chain: &[&str], needless: &[&str], unrelated: &[&str]) {
    let read =
        |pems: &[&str]| -> Vec<Certificate> { pems.iter().map(|it| certificate(it)).collect() };
    let sorted = |mut all: Vec<Certificate>| {
        all.sort_by_key(Certificate::fingerprint);
        all
    };
    let backwards: Vec<&str> = content.iter().rev().copied().collect();
    for content in [content.concat(), backwards.concat()] {
        let chosen = choose(&content, roots);
        assert_eq!(chosen.intermediates, read(chain));
        assert_eq!(sorted(chosen.needless), sorted(read(needless)));
        let others = chosen.unrelated.into_iter().map(|(_, one)| one).collect();
        assert_eq!(sorted(others), sorted(read(unrelated)));
    }
}

#[test]
fn a_trusted_path_is_better_than_one_that_lives_longer() {
    let (old, new) = (Authority::root("Old root"), Authority::root("New root"));
    let upper = new.intermediate("Upper");
    let lower = upper.intermediate("Lower");
    let (leaf, key) = issued(&lower);
    let source = |upper: &[&str]| -> Vec<String> {
        let parts = [&[leaf.as_str(), &lower.pem], upper, &[&key]].concat();
        parts.into_iter().map(str::to_owned).collect()
    };
    let longer_lived = old.cross_sign(&upper, 2045);
    let source = source(&[&longer_lived, &upper.pem]);
    let source: Vec<&str> = source.iter().map(String::as_str).collect();
    let to_new = [lower.pem.as_str(), &upper.pem];
    let to_old = [lower.pem.as_str(), &longer_lived];
    check(&source, &[&new.pem], &to_new, &[&longer_lived], &[]);
    check(&source, &[&old.pem], &to_old, &[&upper.pem], &[]);
    // Both are trusted, or neither: the one that is valid longer.
    check(&source, &[&old.pem, &new.pem], &to_old, &[&upper.pem], &[]);
    check(&source, &[], &to_old, &[&upper.pem], &[]);
}

#[test]
fn what_stands_above_a_trusted_root_and_leads_nowhere_is_left_out() {
    let (old, root) = (Authority::root("Old root"), Authority::root("Root"));
    let lower = root.intermediate("Lower");
    let (leaf, key) = issued(&lower);
    let expired = old.cross_sign(&root, 2026);
    let crossed = old.cross_sign(&root, 2035);
    let ends_first = old.cross_sign(&root, 2027);
    let of = |cross: &str, roots: &[&str], chain: &[&str], needless: &[&str]| {
        check(&[&leaf, &lower.pem, cross, &key], roots, chain, needless, &[]);
    };
    of(&expired, &[&root.pem], &[&lower.pem], &[&expired]);
    of(&expired, &[&root.pem, &old.pem], &[&lower.pem], &[&expired]);
    of(&crossed, &[&root.pem], &[&lower.pem], &[&crossed]);
    // Viewers that know only the older root need it.
    of(&crossed, &[&root.pem, &old.pem], &[&lower.pem, &crossed], &[]);
    of(&ends_first, &[&root.pem, &old.pem], &[&lower.pem, &ends_first], &[]);
    // The roots themselves are never part of the chain.
    check(&[&leaf, &lower.pem, &root.pem, &old.pem, &key], &[&root.pem], &[&lower.pem], &[], &[]);

    // A cross-signed certificate that ends before the leaf would have to be replaced early.
    let key = p256();
    let mut params = leaf_params(&["www.example.com"]);
    params.not_after = rcgen::date_time_ymd(2027, 3, 1);
    let (leaf, key) = (lower.sign(&params, &key), key.serialize_pem());
    let source = [leaf.as_str(), &lower.pem, &ends_first, &key];
    check(&source, &[&root.pem, &old.pem], &[&lower.pem], &[&ends_first], &[]);
    check(&source, &[&old.pem], &[&lower.pem, &ends_first], &[], &[]);
}

#[test]
fn of_an_expired_a_broken_and_a_good_twin_the_good_one_is_taken() {
    let root = Authority::root("Root");
    let lower = root.intermediate("Lower");
    let (leaf, key) = issued(&lower);
    let expired = root.cross_sign(&lower, 2025);
    let good = &lower.pem;
    check(&[&leaf, &expired, good, &key], &[&root.pem], &[good], &[&expired], &[]);
    // Alone it is the chain, and a finding.
    check(&[&leaf, &expired, &key], &[&root.pem], &[&expired], &[], &[]);
}

#[test]
fn a_chain_has_at_most_five_certificates_if_that_is_possible() {
    let tops: Vec<Authority> = (0..3).map(|i| Authority::root(&format!("Top {i}"))).collect();
    let root = Authority::root("Root");
    let mut lowest = root.intermediate("1");
    let mut chain = vec![lowest.pem.clone()];
    for name in ["2", "3"] {
        lowest = lowest.intermediate(name);
        chain.insert(0, lowest.pem.clone());
    }
    let (leaf, key) = issued(&lowest);
    let above = [
        tops[0].cross_sign(&root, 2035),
        tops[1].cross_sign(&tops[0], 2035),
        tops[2].cross_sign(&tops[1], 2035),
    ];
    let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
    let above: Vec<&str> = above.iter().map(String::as_str).collect();
    let source = [&[leaf.as_str()], &chain[..], &above, &[&key]].concat();
    // Four certificates to the root, five to Top 0, six to Top 1.
    let longer = [&chain[..], &above[..1]].concat();
    let longest = [&chain[..], &above[..2]].concat();
    check(&source, &[&root.pem], &chain, &above, &[]);
    check(&source, &[&root.pem, &tops[0].pem], &longer, &above[1..], &[]);
    check(&source, &[&root.pem, &tops[1].pem], &chain, &above, &[]);
    check(&source, &[&tops[1].pem], &longest, &above[2..], &[]);
}

#[test]
fn namesakes_without_key_identifiers_are_told_apart_by_the_signature() {
    let root = Authority::root("Root");
    let bare = |name| {
        let mut params = authority_params(name);
        params.use_authority_key_identifier_extension = false;
        root.intermediate_from(params, p256())
    };
    let (right, wrong) = (bare("Twin"), bare("Twin"));
    let key = p256();
    let mut params = leaf_params(&["www.example.com"]);
    params.use_authority_key_identifier_extension = false;
    let (leaf, key) = (right.sign(&params, &key), key.serialize_pem());
    let roots = [root.pem.as_str()];
    check(&[&leaf, &wrong.pem, &right.pem, &key], &roots, &[&right.pem], &[&wrong.pem], &[]);
    check(&[&leaf, &wrong.pem, &key], &roots, &[], &[&wrong.pem], &[]);
}

#[test]
fn certificates_of_no_path_are_named_with_their_place() {
    let root = Authority::root("Root");
    let upper = root.intermediate("Upper");
    let lower = upper.intermediate("Lower");
    let (leaf, key) = issued(&lower);
    let roots = [root.pem.as_str()];
    let namesake = Authority::root("Other root").intermediate("Lower");
    let (other, _) = issued(&root);
    let complete = [leaf.as_str(), &lower.pem, &upper.pem, &key];
    for stranger in [&namesake.pem, &other] {
        let source = [&complete[..], &[stranger]].concat();
        if stranger == &namesake.pem {
            check(&source, &roots, &[&lower.pem, &upper.pem], &[], &[stranger]);
        }
        let chosen = choose(&source.concat(), &roots);
        assert_eq!(chosen.unrelated[0].0, Place { field: None, block: 5 });
    }
    // While an issuer is missing, those above it are no part of the chain.
    check(&[&leaf, &upper.pem, &key], &roots, &[], &[], &[&upper.pem]);
}

#[test]
fn the_root_in_the_source_is_found() {
    let root = Authority::root("Private root");
    let (leaf, key) = issued(&root);
    let found = choose(&[&*leaf, &root.pem, &key].concat(), &[]).root;
    assert_eq!(found, Some(certificate(&root.pem)));
    let other = Authority::root("Another root");
    assert_eq!(choose(&[&*leaf, &other.pem, &key].concat(), &[]).root, None);
    let own = p256();
    let mut params = leaf_params(&["www.example.com"]);
    params.distinguished_name.push(DnType::CommonName, "Itself");
    let itself = params.self_signed(&own).expect("certificate").pem();
    assert_eq!(choose(&[&*itself, &own.serialize_pem()].concat(), &[]).root, None);
}

/// What an authority with as many cross-signed certificates makes is not followed without end.
#[test]
fn the_number_of_paths_is_limited() {
    let root = Authority::root("Root");
    let mut source = String::new();
    let mut lowest = root.intermediate("0");
    source += &lowest.pem;
    for layer in 1..7 {
        let next = lowest.intermediate(&layer.to_string());
        for year in 2030..2034 {
            source += &lowest.cross_sign(&next, year);
        }
        lowest = next;
    }
    let (leaf, key) = issued(&lowest);
    let chosen = choose(&[&*leaf, &source, &key].concat(), &[&root.pem]);
    assert_eq!(chosen.intermediates.first().map(Certificate::subject), Some("CN=6"));
}

#[test]
fn a_planned_chain_is_found_again() {
    let root = Authority::root("Root");
    let upper = root.intermediate("Upper");
    let lower = upper.intermediate("Lower");
    let (leaf, key) = issued(&lower);
    let content = [&*key, &root.pem, &upper.pem, &lower.pem, &leaf].concat();
    let chain = choose(&content, &[&root.pem]);
    let bundle = bundle::read(content.as_bytes()).expect("a bundle");
    assert_eq!(planned(&bundle, &chain.fingerprints()), Some(chain.intermediates.clone()));
    let without = [&*key, &lower.pem, &leaf].concat();
    let without = bundle::read(without.as_bytes()).expect("a bundle");
    assert_eq!(planned(&without, &chain.fingerprints()), None);
    assert_eq!(planned(&without, &[]), Some(Vec::new()));
}
