//! Runs every input that the fuzzer has kept through the same checks, without a fuzzer.

#[path = "fuzzed/bundle.rs"]
mod bundle;
#[path = "fuzzed/der.rs"]
mod der;
#[path = "fuzzed/request.rs"]
mod request;

fn replay(name: &str, check: fn(&[u8])) -> usize {
    let corpus = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&corpus).expect("a corpus");
    let contents =
        files.map(|file| std::fs::read(file.expect("a file").path()).expect("its content"));
    contents.map(|content| check(&content)).count()
}

#[test]
fn sources() {
    assert!(replay("bundle", bundle::check) > 100);
}

#[test]
fn files_in_der() {
    assert!(replay("der", der::check) > 10);
}

#[test]
fn requests() {
    assert!(replay("request", request::check) > 100);
}
