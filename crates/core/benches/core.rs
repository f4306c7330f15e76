//! Benchmarks of the decisions: `cargo bench --package rotation-core --bench core`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rotation_core::certificate::bundle;
use rotation_core::certificate::{Certificate, covers};
use rotation_test_pki::{Authority, leaf_params, p256};

/// A certificate for 100 names, three intermediate ones and the root, with the blocks in reverse
/// order.
fn shuffled_bundle(names: &[String]) -> String {
    let root = Authority::root("Root");
    let first = root.intermediate("Intermediate 1");
    let second = first.intermediate("Intermediate 2");
    let third = second.intermediate("Intermediate 3");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let key = p256();
    let leaf = third.sign(&leaf_params(&names), &key);
    let blocks = [root.pem, first.pem, second.pem, third.pem, leaf, key.serialize_pem()];
    // From the root down, and the key last: the worst order for the parser.
    blocks.concat()
}

fn decisions(criterion: &mut Criterion) {
    let names: Vec<String> =
        (0..100)
            .map(|n| {
                if n % 2 == 0 { format!("*.s{n}.example.com") } else { format!("s{n}.example.com") }
            })
            .collect();
    let aliases: Vec<String> =
        (0..10_000).map(|n| format!("a{n}.s{}.example.com", n % 100)).collect();
    criterion.bench_function("10,000 aliases against 100 names", |bench| {
        bench.iter(|| aliases.iter().filter(|alias| covers(black_box(&names), alias)).count());
    });
    let text = shuffled_bundle(&names);
    criterion.bench_function("five certificates and a key, in no order", |bench| {
        bench.iter(|| bundle::read(black_box(text.as_bytes())).is_ok());
    });
    assert!(bundle::read(text.as_bytes()).is_ok(), "what is measured is a bundle that is taken");
    let blocks: Vec<&str> = text.split_inclusive("-----END CERTIFICATE-----\n").collect();
    let (key, certificates) = blocks.split_last().expect("blocks");
    assert_eq!(certificates.len(), 5, "as many as there are authorities and a leaf");
    let ordered: String = certificates.iter().rev().chain([key]).copied().collect();
    criterion.bench_function("five certificates and a key, in order", |bench| {
        bench.iter(|| bundle::read(black_box(ordered.as_bytes())).is_ok());
    });
    // The difference to the two above is finding the leaf by the key.
    criterion.bench_function("five certificates, parsed alone", |bench| {
        bench.iter(|| certificates.iter().all(|it| Certificate::from_pem(black_box(it)).is_ok()));
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
