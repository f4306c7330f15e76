//! The reader of certificates and keys next to OpenSSL, on the same files: `make against-openssl`.
//!
//! Every seed, and then mutations of them, which a number repeats. What OpenSSL reads and CloudFront takes must
//! be read, with the same certificate and key; what is not has to be in the table of [`differences`]. What is
//! read and OpenSSL does not read is counted, and has to be sound when it is written anew.

mod der;
mod differences;
mod mutation;
mod random;
mod seeds;
mod theirs;

#[allow(dead_code)]
#[path = "../../crates/cli/src/pkcs12.rs"]
mod pkcs12;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use random::Random;
use seeds::{PASSWORD, Seeds};

/// How two readings of the same files compare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Both read it, with the same result.
    Same,
    /// Both refuse it.
    Refused,
    /// Only OpenSSL reads it, for a reason that is listed.
    Stricter(&'static str),
    /// Only this reader reads it, and OpenSSL reads what it writes.
    Lenient(&'static str),
    /// Anything else: an unlisted difference.
    Unlisted(String),
}

/// The first of a kind, and how many there were.
struct Count {
    count: usize,
    example: String,
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse().expect("a number"));
    let mutations: usize = numbers.next().unwrap_or(100_000);
    let seed = numbers.next().unwrap_or(1) as u64;
    let only = numbers.next();
    let start = Instant::now();
    let seeds = seeds::all();
    let unchanged = seeds.made.len() + seeds.files.len();
    println!(
        "{}; {unchanged} seeds, {mutations} mutations, seed {seed}",
        openssl::version::version()
    );

    std::panic::set_hook(Box::new(|_| {}));
    let next = AtomicUsize::new(only.unwrap_or(0));
    let end = only.map_or(unchanged + mutations, |only| only + 1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = std::thread::scope(|scope| {
        let count = || {
            let mut counts = BTreeMap::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= end {
                    return counts;
                }
                one(&seeds, seed, index, only.is_some(), &mut counts);
            }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        let mut all: BTreeMap<Outcome, Count> = BTreeMap::new();
        for counts in running.into_iter().map(|thread| thread.join().expect("a count")) {
            for (outcome, count) in counts {
                all.entry(outcome).and_modify(|sum| sum.count += count.count).or_insert(count);
            }
        }
        all
    });
    report(&counts);
    println!("{} s", start.elapsed().as_secs());
    let is_listed = !counts.keys().any(|outcome| matches!(outcome, Outcome::Unlisted(_)));
    if is_listed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Compares a seed or, after the last seed, a mutation of one.
fn one(
    seeds: &Seeds,
    seed: u64,
    index: usize,
    is_only: bool,
    counts: &mut BTreeMap<Outcome, Count>,
) {
    let unchanged: Vec<_> = seeds.made.iter().chain(&seeds.files).collect();
    let mut random = Random::new(seed, index as u64);
    let (name, files) = match unchanged.get(index) {
        Some(seed) => (&seed.name, seed.files.clone()),
        None => {
            let from = if random.one_in(5) { &seeds.files } else { &seeds.made };
            let seed = &from[random.below(from.len())];
            (&seed.name, mutation::mutate(seed, &seeds.authority, &mut random))
        }
    };
    for password in [PASSWORD, ""] {
        let compare = || differences::compare(&files, password, seeds);
        let (outcome, is_asked) = catch_unwind(AssertUnwindSafe(compare))
            .unwrap_or((Outcome::Unlisted("a panic".into()), false));
        let example = format!("index {index}, {name}");
        let is_new = !counts.contains_key(&outcome);
        if is_only || is_new && matches!(outcome, Outcome::Unlisted(_)) {
            println!("{outcome:?}: {example}");
            keep(index, &files);
        }
        counts.entry(outcome).or_insert(Count { count: 0, example }).count += 1;
        if !is_asked {
            break;
        }
    }
}

/// Writes the files of a difference where they can be looked at.
fn keep(index: usize, files: &[Vec<u8>]) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/against-openssl");
    std::fs::create_dir_all(folder).expect("a folder");
    for (at, file) in files.iter().enumerate() {
        std::fs::write(format!("{folder}/{index}-{at}"), file).expect("a file");
    }
}

fn report(counts: &BTreeMap<Outcome, Count>) {
    for (outcome, Count { count, example }) in counts {
        let text = match outcome {
            Outcome::Same => "read by both, alike".to_owned(),
            Outcome::Refused => "read whole by neither".to_owned(),
            Outcome::Stricter(name) => format!("only OpenSSL: {name}: {}", differences::why(name)),
            Outcome::Lenient(name) => {
                format!("only this reader: {name}: {}", differences::why(name))
            }
            Outcome::Unlisted(what) => format!("UNLISTED: {what}"),
        };
        println!("{count:>7}  {text} ({example})");
    }
}
