use serde_json::json;

use super::*;
use crate::plan::state::tests::plan;

/// The state before the last step, with these fields added.
fn state(fields: &Value) -> RotationState {
    let mut state = json!({
        "execution": {"id": "arn:x", "name": "autumn", "startTime": "2026-11-23T11:00:00Z"},
    });
    for (name, field) in fields.as_object().expect("an object") {
        state[name] = field.clone();
    }
    serde_json::from_value(state).expect("a state")
}

/// The name of the ending, and its cause or output.
fn end(fields: &Value) -> (String, String) {
    match conclude(&state(fields)).expect("an end") {
        End::Succeeded(output) => {
            (output.outcome.clone(), serde_json::to_string(&output).expect("JSON"))
        }
        End::Failed { ending, cause } => (ending.name().to_owned(), cause),
    }
}

#[test]
fn how_a_rotation_ends() {
    let planned = |outcome: &str| {
        let mut plan = serde_json::to_value(plan()).expect("JSON");
        plan["outcome"] = outcome.into();
        plan
    };
    let plan = planned("rotate");
    let new = json!({"id": {"store": "acm", "arn": "arn:new"}, "imported": true});
    let counts = |updated: u64| {
        json!({
            "total": 3, "updated": updated, "alreadyCurrent": 0, "drifted": 0, "gone": 0,
            "failed": 3 - updated,
        })
    };
    let review = |next: &str| json!({"next": next, "counts": counts(3), "cause": "the words"});
    let failed = |error: &str| {
        let cause = json!({"errorType": error, "errorMessage": "told so"}).to_string();
        json!({"Error": error, "Cause": cause})
    };
    let gone = json!({"deleted": true, "evidence": null});
    let check = |fields: Value, name: &str, said: &[&str]| {
        let (ended, text) = end(&fields);
        assert_eq!(ended, name, "{fields}");
        for words in said {
            assert!(text.contains(words), "{words}: {text}");
        }
    };
    let complete = json!({
        "plan": plan, "newCertificate": new, "review": review("complete"), "deletion": gone,
    });
    check(
        complete.clone(),
        "rotated",
        &[
            r#""id":"arn:old""#,
            r#""deleted":true"#,
            r#""id":"arn:new""#,
            r#""imported":true"#,
            r#""updated":3"#,
            "s3://bucket/rotations/autumn/1/plan.json",
        ],
    );
    let with = |fields: &Value, more: &Value| {
        let mut all = fields.clone();
        for (name, field) in more.as_object().expect("an object") {
            all[name] = field.clone();
        }
        all
    };
    // The old certificate is kept, for a reason of its store or of Lambda.
    for (error, said) in
        [("CertificateInUse", "told so"), ("Sandbox.Timedout", "failed with Sandbox.Timedout")]
    {
        let mut kept = with(&complete, &json!({"deletionFailure": failed(error)}));
        kept["deletion"] = Value::Null;
        check(kept, "rotated", &[r#""deleted":false"#, said]);
    }
    check(
        with(&complete, &json!({"quota": {"status": "sufficient", "notes": ["unasked"]}})),
        "rotated",
        &[r#""notes":["unasked"]"#],
    );
    // There was nothing to move.
    for (outcome, name) in [("nothingToDo", "nothingToDo"), ("planned", "planned")] {
        check(
            json!({"plan": planned(outcome)}),
            name,
            &[r#""total":3,"updated":0,"alreadyCurrent":1"#, r#""imported":false"#],
        );
    }
    // Targets failed.
    let reviewed = |next: &str| with(&complete, &json!({"review": review(next), "deletion": null}));
    check(reviewed("rolledBack"), "RolledBack", &["the words"]);
    check(reviewed("incomplete"), "RotationIncomplete", &["the words"]);
    check(
        with(&reviewed("rollBack"), &json!({"failure": failed("States.Timeout")})),
        "RotationIncomplete",
        &["the words\nStates.Timeout: told so"],
    );
    // A step failed: under a name of the contract, or before and after something was changed.
    check(json!({"failure": failed("AliasNotCovered")}), "AliasNotCovered", &["told so"]);
    for (fields, said) in [
        (json!({}), "Nothing was changed."),
        (json!({"plan": plan}), "No target was changed"),
        (
            json!({"plan": plan, "newCertificate": new}),
            "The new certificate is in its store as arn:new",
        ),
    ] {
        check(
            with(&fields, &json!({"failure": failed("AccessDenied")})),
            "RotationIncomplete",
            &["AccessDenied: told so\n", said],
        );
    }
    // Without a report no rotation succeeds, and a failed one keeps its name.
    let unreported = json!({"reportFailure": failed("Refused")});
    check(
        with(&complete, &unreported),
        "RotationIncomplete",
        &["reached its goal (rotated)", "could not be written: Refused: told so"],
    );
    check(
        with(&reviewed("rolledBack"), &unreported),
        "RolledBack",
        &["the words\nThe report could not be written: Refused: told so"],
    );
}

#[test]
fn a_certificate_that_an_earlier_rotation_deleted_is_gone() {
    let mut plan = serde_json::to_value(plan()).expect("JSON");
    plan["outcome"] = "nothingToDo".into();
    plan["oldCertificate"] =
        json!({"id": null, "given": "ASCAOLD", "fingerprint": null, "notAfter": null});
    let (_, output) = end(&json!({"plan": plan}));
    let expected =
        r#""oldCertificate":{"id":"ASCAOLD","fingerprint":null,"notAfter":null,"deleted":true}"#;
    assert!(output.contains(expected), "{output}");
}

#[test]
fn a_state_that_fits_no_ending_is_a_defect() {
    let plan = serde_json::to_value(plan()).expect("JSON");
    assert_eq!(conclude(&state(&json!({}))), Err(Unconcluded::NoPlan));
    assert_eq!(conclude(&state(&json!({"plan": plan}))), Err(Unconcluded::NoReview));
}

#[test]
fn the_old_certificate_has_its_id_and_what_was_moved_earlier_is_counted() {
    let mut plan = serde_json::to_value(plan()).expect("JSON");
    plan["outcome"] = "planned".into();
    plan["oldCertificate"]["id"] = json!({"store": "iam", "id": "ASCAOLD", "arn": "arn:old"});
    plan["targets"]["total"] = 9.into();
    let (_, output) = end(&json!({"plan": plan}));
    assert!(output.contains(r#""oldCertificate":{"id":"ASCAOLD","#), "{output}");
    assert!(output.contains(r#""total":9,"updated":0,"alreadyCurrent":7,"#), "{output}");
}
