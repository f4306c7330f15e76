//! Pins all data of rotations that end in each way: every payload of the state machine, every
//! object in the bucket, and the output, notices and objects of `start-rotation`.
//!
//! Callers, operators' scripts and rotations that were started by an earlier version depend on
//! these formats. Sentences are omitted, because they are pinned where they are created.
//! `WRITE_PAYLOADS=1` writes `payloads.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rotation_core::ids::Store;
use serde_json::{Value, json};

use crate::harness::account::{ACCOUNT, Account, Execution, now};
use crate::harness::certificates::certificates;
use crate::harness::driver::{Driver, Ran};
use crate::harness::rig::{EXECUTION, Rig};
use crate::rotations::whole_rotations::scenes;

/// One rotation that succeeds with both kinds of targets, one with the other store and another kind
/// of source, and both kinds of failure.
const SCENES: [&str; 4] =
    ["one after the other, a tenant too", "server certificates", "a rollback", "a stop"];

const PINNED: &str = include_str!("payloads.txt");

/// Certificates differ in each run, so values derived from them are replaced by numbers, in order
/// of appearance.
#[derive(Default)]
struct Masks {
    known: BTreeMap<String, usize>,
}

impl Masks {
    /// The JSON without values that differ from run to run, and without sentences.
    fn json(&mut self, text: &str) -> String {
        let mut masked = String::new();
        // Strings are between quotation marks, and may contain an escaped one.
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
        // Runs of hexadecimal digits as long as a digest, or a part of one.
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

/// All objects in the bucket, except the report page, which has its own tests.
fn objects(account: &Account, masks: &mut Masks) -> String {
    let mut text = String::new();
    for (key, object) in &account.objects {
        if !key.ends_with(".html") && !key.ends_with(".pem") {
            let _ = writeln!(text, "# {}\n{}", masks.string(key), masks.json(object));
        }
    }
    text
}

/// The same JSON with sorted fields: the type of its maps depends on the features of the other
/// crates in the build.
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

/// The fields of a payload, without their values.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), shape(field))).collect()
        }
        Value::Array(items) => items.iter().map(shape).collect(),
        _ => Value::Null,
    }
}

/// The payloads, only the first of each shape, and the objects.
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
async fn payloads_and_objects_are_pinned() {
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
        text += &started(name, account, json!({"look": "all"})).await;
    }
    let mut unreadable = account.clone();
    let bad = ("cert-rotation:concurrency".into(), "many".into());
    unreadable.stored_mut(&old).tags.push(bad);
    text += &started("start-rotation finds bad settings", unreadable, json!({"look": "all"})).await;
    let mut failed = account.clone();
    let execution = Execution::running(now()).is("FAILED", now(), "RolledBack", "E2 failed.");
    failed.executions.insert(EXECUTION.into(), execution);
    let event = json!({
        "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
        "detail": {"executionArn": EXECUTION, "status": "FAILED", "stopDate": 1},
    });
    text += &started("start-rotation is told of a failed rotation", failed, event).await;

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

/// The result of `start-rotation`, without texts and ids.
async fn started(name: &str, account: Account, event: Value) -> String {
    let rig = Rig::new(account).await;
    let output = rig.start(event).await.expect("a look");
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
