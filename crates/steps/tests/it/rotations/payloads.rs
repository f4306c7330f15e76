//! What goes through a rotation and what it leaves behind, to the byte: every payload of the state machine and every
//! object in the bucket, of rotations that end in each way, and what `start-rotation` says, sends and writes.
//!
//! Callers, people's scripts and rotations that were begun by an earlier version read these. Sentences are left out:
//! they are pinned where they are made. `WRITE_PAYLOADS=1` writes `payloads.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::{ACCOUNT, Account};
use crate::harness::certificates::certificates;
use crate::harness::driver::{Driver, Ran};
use crate::harness::rig::Rig;
use crate::rotations::whole_rotations::scenes;

/// One that succeeds with both kinds of targets, one with the other store and another kind of source, and both that
/// fail.
const SCENES: [&str; 4] =
    ["one after the other, a tenant too", "server certificates", "a rollback", "a stop"];

const PINNED: &str = include_str!("payloads.txt");

/// Certificates are new each time: what is made of their bytes is numbered in the order in which it is met.
#[derive(Default)]
struct Masks {
    known: BTreeMap<String, usize>,
}

impl Masks {
    /// JSON without what differs from run to run, and without sentences.
    fn json(&mut self, text: &str) -> String {
        let mut masked = String::new();
        // Between quotation marks stand strings, and a string may hold an escaped one.
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('"') {
            let end = end_of_string(after);
            masked.push_str(before);
            let _ = write!(masked, "\"{}\"", self.string(&after[..end]));
            rest = &after[end + 1..];
        }
        masked + rest
    }

    fn string(&mut self, text: &str) -> String {
        if text.contains(' ') {
            return "…".to_owned();
        }
        // Runs of hexadecimal digits as long as a digest, or a piece of one.
        let mut masked = String::new();
        for piece in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
            let digits = piece.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
            if [12, 16, 64].contains(&digits.len()) && digits != ACCOUNT {
                let next = self.known.len() + 1;
                let number = *self.known.entry(digits[..12].to_owned()).or_insert(next);
                let _ = write!(masked, "<{number}>{}", &piece[digits.len()..]);
            } else {
                masked.push_str(piece);
            }
        }
        masked
    }
}

fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    let is_end = |c: char| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    };
    text.find(is_end).expect("a string has an end")
}

/// Everything that is in the bucket, but for the page, which has tests of its own.
fn objects(account: &Account, masks: &mut Masks) -> String {
    let mut text = String::new();
    for (key, object) in &account.objects {
        if !key.ends_with(".html") && !key.ends_with(".pem") {
            let _ = writeln!(text, "# {}\n{}", masks.string(key), masks.json(object));
        }
    }
    text
}

/// The same with its fields in order: which one a map has depends on the features of what is built with it.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, &Value> = fields.iter().collect();
            fields.into_iter().map(|(name, field)| (name.clone(), sorted(field))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        value => value.clone(),
    }
}

/// What is in a payload, but not which values.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), shape(field))).collect()
        }
        Value::Array(items) => items.iter().map(shape).collect(),
        _ => Value::Null,
    }
}

/// The payloads, of those that look alike the first, and the objects.
fn rotation(name: &str, ran: &Ran) -> String {
    let mut masks = Masks::default();
    let mut text = format!("## {name}\n");
    let mut shapes = BTreeSet::new();
    for payload in &ran.texts {
        let Ok(value) = serde_json::from_str::<Value>(payload) else { continue };
        let value = sorted(&value);
        if shapes.insert(shape(&value).to_string()) {
            let _ = writeln!(text, "{}", masks.json(&value.to_string()));
        }
    }
    text + &objects(&ran.after, &mut masks)
}

#[tokio::test(start_paused = true)]
async fn they_are_as_they_were() {
    let mut text = String::new();
    for scene in scenes().iter().filter(|scene| SCENES.contains(&scene.name)) {
        let driver = Driver::new(scene.account.clone()).await;
        text += &rotation(scene.name, &driver.rotate(&sorted(&scene.request), None, 2).await);
    }
    let (account, old) = Account::with_old_in(Store::Acm);
    for (name, request) in [
        ("a dry run", json!({"newCertificate": "tls/www", "dryRun": true})),
        ("nothing to do", json!({"newCertificate": "tls/www", "oldCertificate": old.id()})),
        (
            "refused",
            json!({"newCertificate": "tls/www", "oldCertificate": old.id(), "targets": ["E9"]}),
        ),
    ] {
        let driver = Driver::new(account.clone()).await;
        if name == "nothing to do" {
            driver.rotate(&sorted(&request), None, 2).await;
        }
        text += &rotation(name, &driver.rotate(&sorted(&request), None, 2).await);
    }
    for (name, source) in [
        ("start-rotation starts", &certificates().new),
        ("start-rotation misses a replacement", &certificates().old),
        ("start-rotation finds one that cannot be used", &certificates().narrow),
    ] {
        let mut account = account.clone();
        account.put_source(&source.source());
        text += &started(name, account).await;
    }
    let mut unreadable = account.clone();
    let bad = ("cert-rotation:concurrency".into(), "many".into());
    unreadable.stored_mut(&old).tags.push(bad);
    text += &started("start-rotation finds bad settings", unreadable).await;

    if std::env::var("WRITE_PAYLOADS").is_ok() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rotations/payloads.txt");
        std::fs::write(path, &text).expect("written");
        return;
    }
    for (number, (line, pinned)) in text.lines().zip(PINNED.lines()).enumerate() {
        assert_eq!(line, pinned, "line {} of payloads.txt", number + 1);
    }
    assert_eq!(text.len(), PINNED.len());
}

/// What comes of a look at everything, but for texts and ids.
async fn started(name: &str, account: Account) -> String {
    let rig = Rig::new(account).await;
    let output = rig.start(json!({"look": "all"})).await.expect("a look");
    let mut masks = Masks::default();
    let output = serde_json::to_string(&output).expect("JSON");
    let mut text = format!("## {name}\n{}\n", masks.json(&output));
    for metric in rig.metrics() {
        let _ = writeln!(text, "{}", masks.json(&sorted(&metric).to_string()));
    }
    let after = rig.account();
    for event in &after.events {
        let detail: Value =
            serde_json::from_str(event["Detail"].as_str().expect("a detail")).expect("JSON");
        let _ = writeln!(text, "{}", masks.json(&sorted(&detail).to_string()));
    }
    text + &objects(&after, &mut masks)
}
