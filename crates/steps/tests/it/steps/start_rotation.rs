//! Automatic rotations, event by event.

use jiff::{SignedDuration, Timestamp};
use rotation_core::automation::decision::Decision;
use rotation_core::ids::{CertificateId, Store};
use rotation_steps::start_rotation::Output;
use serde_json::{Value, json};

use crate::harness::account::{Account, DEDICATED_IP, Execution, OBJECT, SECRET, now, owned};
use crate::harness::certificates::assert_no_key;
use crate::harness::certificates::certificates;
use crate::harness::fake_aws::{At, Call, Fault, Kind};
use crate::harness::recorded::scenarios;
use crate::harness::rig::{EXECUTION, MACHINE, Rig, start};

fn all() -> Value {
    json!({"look": "all"})
}

async fn rig(account: Account) -> Rig {
    let mut rig = Rig::new(account).await;
    rig.context.now = now;
    rig
}

/// The decision on a certificate.
#[track_caller]
fn decided(output: &Output, id: &CertificateId) -> Decision {
    let looked = output.certificates.iter().find(|looked| looked.id == id.id());
    looked.expect("it was looked at").decision
}

async fn look(rig: &Rig, event: Value) -> Output {
    rig.start(event).await.expect("a look")
}

/// The running executions, with their inputs.
fn running(rig: &Rig) -> Vec<(String, Value)> {
    let executions = rig.account().executions;
    executions
        .into_iter()
        .filter(|(_, execution)| execution.status == "RUNNING")
        .map(|(arn, execution)| {
            let name = arn.rsplit(':').next().unwrap().to_owned();
            (name, serde_json::from_str(&execution.input).unwrap())
        })
        .collect()
}

/// Ends the one running execution.
fn end(rig: &Rig, status: &str, at: Timestamp) {
    rig.change(|account| {
        let arn = account
            .executions
            .iter()
            .find(|(_, execution)| execution.status == "RUNNING")
            .map(|(arn, _)| arn.clone())
            .expect("one that runs");
        let execution = account.executions.remove(&arn).unwrap();
        account.executions.insert(arn, execution.is(status, at, "RolledBack", "{}"));
    });
}

fn tomorrow() -> Timestamp {
    now() + SignedDuration::from_hours(24)
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_starts_due_rotations_with_the_settings_of_the_tags() {
    for store in [Store::Acm, Store::Iam] {
        let (mut account, old) = Account::with_old_in(store);
        let tags = &mut account.stored_mut(&old).tags;
        tags.push(("cert-rotation:concurrency".into(), "5".into()));
        tags.push(("cert-rotation:retain-old-days".into(), "7".into()));
        tags.push(("cert-rotation:on-failure".into(), "stop".into()));
        let rig = rig(account).await;

        let rehearsed = look(&rig, json!({"look": "all", "dryRun": true})).await;
        assert_eq!(decided(&rehearsed, &old), Decision::Start);
        assert!(running(&rig).is_empty(), "a look that is dry starts nothing");
        assert!(rig.metrics().is_empty());

        let output = look(&rig, all()).await;
        assert_eq!(decided(&output, &old), Decision::Start);
        let started = running(&rig);
        assert_eq!(started.len(), 1);
        let (name, input) = &started[0];
        assert!(name.starts_with("auto-www-example-com-") && name.ends_with("-1"), "{name}");
        assert_eq!(output.certificates[0].execution.as_ref(), Some(name));
        assert_eq!(rehearsed.certificates[0].execution.as_ref(), Some(name));
        assert_eq!(
            *input,
            json!({
                "newCertificate": SECRET, "oldCertificate": old.id(), "concurrency": 5,
                "retainOldDays": 7, "onFailure": "stop",
            })
        );
        assert!(output.notices.is_empty());
        // The plan accepts the input.
        rig.planned(input.clone()).await;
    }
}

/// The index of the tagging API may be outdated.
#[tokio::test(start_paused = true)]
async fn s6_the_index_of_tags_only_says_where_to_look() {
    type Change = fn(&mut Account, &CertificateId);
    let cases: [(&str, Change, &[&str]); 5] = [
        ("up to date", |_, _| (), &[SECRET]),
        (
            "untagged since",
            |account, old| {
                let tags = std::mem::take(&mut account.stored_mut(old).tags);
                account.outdated_tags.insert(old.arn().to_owned(), tags);
            },
            &[],
        ),
        (
            "of another source since",
            |account, old| {
                let tags = owned(&[("cert-rotation:source", "tls/other")]);
                account.outdated_tags.insert(old.arn().to_owned(), tags);
            },
            &[SECRET],
        ),
        (
            "another one that was deleted since",
            |account, _| {
                let tags = owned(&[("cert-rotation:source", SECRET)]);
                let arn = account.next_acm_arn();
                account.outdated_tags.insert(arn, tags);
            },
            &[SECRET],
        ),
        (
            "not indexed yet",
            |account, old| {
                account.outdated_tags.insert(old.arn().to_owned(), Vec::new());
            },
            &[],
        ),
    ];
    for (what, change, sources) in cases {
        let (mut account, old) = Account::with_old_in(Store::Acm);
        change(&mut account, &old);
        let output = look(&rig(account).await, all()).await;
        let found: Vec<&str> =
            output.certificates.iter().filter_map(|one| one.source.as_deref()).collect();
        assert_eq!(found, sources, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn s6_a_missing_permission_for_the_index_is_named() {
    let (account, _) = Account::with_old_in(Store::Acm);
    let rig = rig(account).await;
    // AWS's words: IAM User Guide, "Troubleshoot access denied error messages".
    let words = "User: arn:aws:sts::111122223333:assumed-role/r/s is not authorized to perform: tag:GetResources because no identity-based policy allows the tag:GetResources action";
    rig.fail("GetResources", Kind::Answer(400, "AccessDeniedException", words));
    let error = rig.start(all()).await.expect_err("it is denied");
    let missing = "The missing permission is tag:GetResources, and ";
    assert!(error.name() == "AccessDenied" && error.to_string().contains(missing), "{error}");
    let planned = rig.step("plan-rotation", &start(json!({}))).await.expect_err("it is denied");
    assert_eq!((planned.name(), planned.to_string()), (error.name(), error.to_string()));
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_event_starts_one_rotation_and_a_failed_one_is_retried_the_next_day() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let mut rig = rig(account).await;
    let event = json!({
        "source": "aws.acm", "detail-type": "ACM Certificate Approaching Expiration",
        "resources": [old.arn()], "detail": {"DaysToExpiry": 22},
    });
    assert_eq!(decided(&look(&rig, event.clone()).await, &old), Decision::Start);
    assert_eq!(decided(&look(&rig, event.clone()).await, &old), Decision::UnderWay);
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::UnderWay);
    assert_eq!(running(&rig).len(), 1);

    end(&rig, "FAILED", now());
    assert_eq!(decided(&look(&rig, event.clone()).await, &old), Decision::Later);
    assert!(running(&rig).is_empty());
    rig.context.now = tomorrow;
    assert_eq!(decided(&look(&rig, event).await, &old), Decision::Start);
    let started = running(&rig);
    assert!(started[0].0.ends_with("-2"), "{started:?}");
    assert_eq!(rig.account().executions.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_new_certificate_is_another_rotation() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let rig = rig(account).await;
    look(&rig, all()).await;
    end(&rig, "FAILED", now());
    rig.change(|account| account.put_source(&certificates().other.source()));
    let changed = json!({
        "source": "aws.ssm", "detail-type": "Parameter Store Change",
        "detail": {"name": "/other", "operation": "Update"},
    });
    assert!(look(&rig, changed).await.certificates.is_empty(), "of another source");
    let changed = json!({
        "source": "aws.secretsmanager", "detail-type": "Secret Label Updated",
        "detail": {"name": SECRET, "labelUpdated": "AWSCURRENT", "versionId": "2"},
    });
    assert_eq!(decided(&look(&rig, changed).await, &old), Decision::Start);
    assert_eq!(rig.account().executions.len(), 2);
}

/// A time when much of the lifetime is left.
fn early() -> Timestamp {
    "2026-05-01T06:00:00Z".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn before_the_due_date_only_requested_evaluations_start_a_rotation() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    // Valid already at that time.
    account.put_source(&certificates().early.source());
    let mut rig = rig(account).await;
    rig.context.now = early;
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::NotYet);
    let expiry = json!({
        "source": "aws.acm", "detail-type": "ACM Certificate Approaching Expiration",
        "resources": [old.arn()],
    });
    assert_eq!(decided(&look(&rig, expiry).await, &old), Decision::NotYet);
    let alarm = json!({
        "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change",
        "detail": {
            "alarmName": "mine", "state": {"value": "ALARM"},
            "configuration": {"metrics": [{"id": "m", "metricStat": {"metric": {
                "namespace": "AWS/CertificateManager", "name": "DaysToExpiry",
                "dimensions": {"CertificateArn": old.arn()},
            }}}]},
        },
    });
    assert_eq!(decided(&look(&rig, alarm.clone()).await, &old), Decision::Start);
    assert_eq!(decided(&look(&rig, alarm).await, &old), Decision::UnderWay);
    assert_eq!(running(&rig).len(), 1);
    assert!(rig.account().messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_missing_replacement_is_notified_once_per_notice_day() {
    for store in [Store::Acm, Store::Iam] {
        let (mut account, old) = Account::with_old_in(store);
        account.put_source(&certificates().old.source());
        let mut rig = rig(account).await;
        rig.context.now = early;
        assert_eq!(decided(&look(&rig, all()).await, &old), Decision::InTime);
        let days: [(fn() -> Timestamp, usize); 7] = [
            (|| "2026-09-01T06:00:00Z".parse().unwrap(), 0),
            (|| "2026-11-01T06:00:00Z".parse().unwrap(), 1),
            (|| "2026-11-02T06:00:00Z".parse().unwrap(), 1),
            (|| "2026-11-20T06:00:00Z".parse().unwrap(), 2),
            // Evaluations were missed: one notice, not three.
            (|| "2026-12-10T06:00:00Z".parse().unwrap(), 3),
            (|| "2026-12-14T22:00:00Z".parse().unwrap(), 4),
            (|| "2026-12-16T06:00:00Z".parse().unwrap(), 5),
        ];
        for (time, messages) in days {
            rig.context.now = time;
            let decision = decided(&look(&rig, all()).await, &old);
            assert_eq!(decision, Decision::ReplacementMissing, "{}", time());
            assert_eq!(rig.account().messages.len(), messages, "{}", time());
            look(&rig, all()).await;
            assert_eq!(rig.account().messages.len(), messages, "{} again", time());
        }
        let account = rig.account();
        let (subject, text) = &account.messages[1];
        assert_eq!(subject, "www.example.com expires in 24 days: no replacement yet");
        for said in [SECRET, "2026-12-15", "distribution E1", "*.shop.example.com", old.arn()] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(account.messages[4].0.contains("has EXPIRED"), "{}", account.messages[4].0);
        assert_eq!(account.events.len(), 5);
        let event = &account.events[1];
        assert_eq!(event["Source"], "cloudfront-certificate-rotation");
        assert_eq!(event["DetailType"], "Certificate Rotation Notice");
        let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        assert_eq!(detail["kind"], "ReplacementMissing");
        assert_eq!(detail["certificate"]["id"], old.id());
        assert_eq!(detail["certificate"]["daysLeft"], 24);
        assert_eq!(detail["targets"]["total"], 2);
        assert!(account.executions.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unusable_replacement_is_notified_immediately_and_once() {
    let stranger = format!(
        "{}{}{}",
        certificates().new.pem,
        certificates().new.chain,
        certificates().other.key
    );
    for (content, said) in [
        (stranger, "private key of the new certificate"),
        (certificates().narrow.source(), "a.shop.example.com"),
        ("nonsense".to_owned(), "tls/www"),
    ] {
        let (mut account, old) = Account::with_old_in(Store::Acm);
        account.put_source(&content);
        let rig = rig(account).await;
        for _ in 0..2 {
            let output = look(&rig, all()).await;
            assert_eq!(decided(&output, &old), Decision::ReplacementUnusable, "{said}");
            assert!(output.certificates[0].findings.iter().any(|one| one.contains(said)), "{said}");
        }
        let account = rig.account();
        assert!(account.executions.is_empty(), "{said}");
        assert_eq!(account.messages.len(), 1, "{said}: {:?}", account.messages);
        let (subject, text) = &account.messages[0];
        assert!(subject.ends_with("its replacement is unusable"), "{subject}");
        assert!(text.contains(said), "{text}");
        assert_no_key(text);
        // Another unusable replacement is another notice.
        rig.change(|account| account.put_source(&certificates().bad.source()));
        look(&rig, all()).await;
        assert_eq!(rig.account().messages.len(), 2, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_source_is_notified() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.secrets.clear();
    let rig = rig(account).await;
    let output = look(&rig, all()).await;
    assert_eq!(decided(&output, &old), Decision::ReplacementUnusable);
    assert!(rig.account().messages[0].1.contains("does not exist"));
}

/// Case S15: a rotation that needs a root of `ExtraRoots` starts, and nothing starts without notice
/// while that list cannot be read.
#[tokio::test(start_paused = true)]
async fn s15_roots_of_a_parameter_are_trusted_by_evaluations() {
    let (account, old) = Account::with_old_in(Store::Acm);
    for (list, decision) in [
        (Some(certificates().root.clone()), Decision::Start),
        (None, Decision::ReplacementUnusable),
    ] {
        let mut account = account.clone();
        let list = list.map(|pem| ("/roots/mozilla".into(), ("String".into(), pem)));
        account.parameters.extend(list);
        let mut rig = rig(account).await;
        rig.context.settings.extra_roots = "/roots/mozilla".into();
        rig.context.settings.root_file = None;
        assert_eq!(decided(&look(&rig, all()).await, &old), decision);
        let told = rig.account().messages;
        let named = told.iter().any(|(_, text)| text.contains("/roots/mozilla (ExtraRoots)"));
        assert_eq!(named, decision != Decision::Start, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_tags_are_notified_and_nothing_is_guessed() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.stored_mut(&old).tags.push(("cert-rotation:delete-old".into(), "no".into()));
    let rig = rig(account).await;
    for _ in 0..2 {
        let output = look(&rig, all()).await;
        assert_eq!(decided(&output, &old), Decision::SettingsInvalid);
        assert!(output.certificates[0].findings[0].contains("tag cert-rotation:delete-old"));
    }
    let account = rig.account();
    assert!(account.executions.is_empty());
    assert_eq!(account.messages.len(), 1);
    assert!(account.messages[0].1.contains("true or false"), "{}", account.messages[0].1);
}

#[tokio::test(start_paused = true)]
async fn unserved_and_unmanaged_certificates_are_left_alone() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    let unserved = account.put_acm(&certificates().old, &[("cert-rotation:source", SECRET)]);
    let unmanaged = account.put_acm(&certificates().old, &[("team", "web")]);
    let rig = rig(account).await;
    let output = look(&rig, json!({"look": [unserved.id(), unmanaged.id()]})).await;
    assert_eq!(decided(&output, &unserved), Decision::NotServed);
    assert_eq!(decided(&output, &unmanaged), Decision::NotManaged);
    assert!(running(&rig).is_empty() && rig.account().messages.is_empty());
    let output = look(&rig, all()).await;
    assert_eq!(output.certificates.len(), 2, "{output:?}");
    assert_eq!(decided(&output, &old), Decision::Start);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_an_operator_started_is_not_disturbed() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let rig = rig(account).await;
    rig.planned(json!({})).await;
    rig.change(|account| {
        account.executions.insert(EXECUTION.into(), Execution::running(now()));
    });
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::UnderWay);
    rig.change(|account| {
        let ended = Execution::running(now()).is("FAILED", now(), "RolledBack", "{}");
        account.executions.insert(EXECUTION.into(), ended);
    });
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::Start);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_a_running_rotation_moves_to_is_not_replaced_yet() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    let replaces = [("cert-rotation:source", SECRET), ("cert-rotation:replaces", old.id())];
    let next = account.put_acm(&certificates().early, &replaces);
    account.add("E5", &next, &["www.example.com"], "");
    let rig = rig(account).await;
    rig.planned(json!({"oldCertificate": old.id()})).await;
    rig.change(|account| {
        account.executions.insert(EXECUTION.into(), Execution::running(now()));
    });
    let asked = json!({
        "source": "aws.secretsmanager", "detail-type": "Secret Label Updated",
        "detail": {"name": SECRET, "labelUpdated": "AWSCURRENT"},
    });
    assert_eq!(decided(&look(&rig, asked.clone()).await, &next), Decision::UnderWay);
    // All are deployed, and the rotation retains the old certificate for some days.
    rig.change(|account| {
        let ids = ["E1", "E2"];
        ids.iter().for_each(|id| account.add(id, &next, &["www.example.com"], ""));
    });
    assert_eq!(decided(&look(&rig, asked).await, &next), Decision::Start);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_made_once() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.stored_mut(&old).tags.push(("cert-rotation:dry-run".into(), "true".into()));
    let mut rig = rig(account).await;
    look(&rig, all()).await;
    let started = running(&rig);
    assert!(started[0].0.ends_with("-dry-1") && started[0].1["dryRun"] == true, "{started:?}");
    end(&rig, "SUCCEEDED", now());
    rig.context.now = tomorrow;
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::Rehearsed);
    rig.change(|account| drop(account.stored_mut(&old).tags.pop()));
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::Start);
    assert!(running(&rig)[0].1.get("dryRun").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failed_rotation_is_notified_with_its_cause() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let rig = rig(account).await;
    let arn = format!("{}:night", MACHINE.replace(":stateMachine:", ":execution:"));
    let cause = json!({"errorType": "RolledBack", "errorMessage": "E2 failed: throttled."});
    rig.change(|account| {
        let input = json!({"oldCertificate": old.id(), "newCertificate": SECRET}).to_string();
        let execution = Execution { input, ..Execution::running(now()) };
        let failed = execution.is("FAILED", now(), "RolledBack", &cause.to_string());
        account.executions.insert(arn.clone(), failed);
    });
    let event = |stopped: u64| {
        json!({
            "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
            "detail": {"executionArn": arn, "status": "FAILED", "stopDate": stopped},
        })
    };
    for (stopped, messages) in [(1, 1), (1, 1), (2, 2)] {
        look(&rig, event(stopped)).await;
        assert_eq!(rig.account().messages.len(), messages, "{stopped}");
    }
    let (subject, text) = rig.account().messages.remove(0);
    assert_eq!(subject, "Rotation failed (RolledBack): night");
    for said in ["E2 failed: throttled.", "runbook.md under RolledBack", SECRET, old.id()] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

/// For an execution that timed out, or was stopped without an error, `DescribeExecution` returns
/// neither error nor cause.
#[tokio::test(start_paused = true)]
async fn an_execution_without_error_and_cause_is_notified_by_its_status() {
    let arn = format!("{}:night", MACHINE.replace(":stateMachine:", ":execution:"));
    for (status, error, cause, subject, said) in [
        ("TIMED_OUT", "", "", "TIMED_OUT", "exceeded the timeout of its state machine."),
        ("ABORTED", "", "", "ABORTED", "The execution was stopped, and no cause was given."),
        ("ABORTED", "Freeze", "Change freeze.", "Freeze", "Change freeze."),
        ("FAILED", "States.Runtime", "", "States.Runtime", "No cause was given."),
    ] {
        let rig = rig(Account::with_old_in(Store::Acm).0).await;
        rig.change(|account| {
            let ended = Execution::running(now()).is(status, now(), error, cause);
            account.executions.insert(arn.clone(), ended);
        });
        let event = json!({
            "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
            "detail": {"executionArn": arn, "status": status, "stopDate": 1},
        });
        look(&rig, event).await;
        let (line, text) = rig.account().messages.remove(0);
        assert_eq!(line, format!("Rotation failed ({subject}): night"));
        assert!(text.contains(said) && text.contains(&format!("under {subject}.")), "{text}");
        assert_eq!(rig.account().events[0]["DetailType"], "Certificate Rotation Notice");
    }
}

/// The console names a secret by its full ARN, tags by its name.
#[tokio::test(start_paused = true)]
async fn a_secret_is_recognised_by_name_arn_and_arn_without_the_six_characters() {
    const WHOLE: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www-AbCdEf";
    const PARTIAL: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www";
    for tag in [SECRET, WHOLE, PARTIAL] {
        for (put, expected) in [
            (SECRET, Some(Decision::Start)),
            (WHOLE, Some(Decision::Start)),
            (PARTIAL, Some(Decision::Start)),
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/shop-AbCdEf", None),
            ("tls/www-prod", None),
        ] {
            let (mut account, old) = Account::with_old_in(Store::Acm);
            account.secrets = [SECRET, WHOLE, PARTIAL]
                .map(|name| (name.to_owned(), certificates().new.source()))
                .into();
            for (key, value) in &mut account.stored_mut(&old).tags {
                if key == "cert-rotation:source" {
                    tag.clone_into(value);
                }
            }
            let rig = rig(account).await;
            let event = json!({
                "source": "aws.secretsmanager", "detail-type": "AWS API Call via CloudTrail",
                "detail": {
                    "eventName": "PutSecretValue", "eventSource": "secretsmanager.amazonaws.com",
                    "requestParameters": {"secretId": put, "clientRequestToken": "t"},
                    "responseElements": {"arn": WHOLE},
                },
            });
            let decisions: Vec<Decision> =
                look(&rig, event).await.certificates.iter().map(|one| one.decision).collect();
            assert_eq!(decisions.first().copied(), expected, "{tag} {put}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_emits_days_to_expiry_for_both_stores() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    let tags = [("cert-rotation:source", SECRET)];
    let server = account.put_iam("www-old", &certificates().old, &tags);
    account.add("E6", &server, &["www.example.com"], "");
    account.put_source(&certificates().old.source());
    let rig = rig(account).await;
    look(&rig, all()).await;
    let metrics = rig.metrics();
    for id in [&old, &server] {
        let line = metrics.iter().find(|line| line["CertificateArn"] == id.arn()).expect("a line");
        assert_eq!(line["DaysToExpiry"], 21.0, "{line}");
    }
    let stack = metrics.iter().find(|line| line["Stack"] == "rotation").expect("a line");
    assert_eq!(stack["LooksCompleted"], 1.0);
    assert_eq!(stack["CertificatesManaged"], 2.0);
    assert_eq!(stack["CertificatesWithoutReplacement"], 2.0);
    assert_eq!(stack["DaysToExpiryWithoutReplacement"], 21.0);
    assert_eq!(stack["NoticesSent"], 2.0);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_event_is_refused_before_anything_is_read() {
    let rig = rig(Account::default()).await;
    let error = rig.start(json!({"source": "aws.ec2"})).await.expect_err("none");
    assert_eq!(error.name(), "RequestInvalid");
    assert!(rig.calls().is_empty());
}

/// The calls of evaluations; together all calls of this function.
pub(crate) async fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    for (account, input) in scenarios() {
        let old = certificates().old.pem.as_str();
        let source = input["newCertificate"].as_str().unwrap_or(SECRET).to_owned();
        let rig = rig(account).await;
        rig.change(|account| {
            let certificates = account.acm.values_mut().chain(account.iam.values_mut());
            for one in certificates.filter(|one| one.pem == old) {
                one.tags.retain(|(key, _)| key != "cert-rotation:source");
                one.tags.push(("cert-rotation:source".into(), source.clone()));
            }
        });
        rig.planned(input).await;
        rig.reset(&rig.account());
        // Claimed, then no longer claimed, then without a replacement.
        look(&rig, all()).await;
        rig.change(|account| {
            let ended = Execution::running(now()).is("FAILED", now(), "RolledBack", "{}");
            account.executions.insert(EXECUTION.into(), ended);
        });
        look(&rig, all()).await;
        rig.change(|account| account.put_source(&certificates().old.source()));
        look(&rig, all()).await;
        look(&rig, json!({"look": "ASCA0000000000000001"})).await;
        rig.change(|account| {
            account.secrets.clear();
            account.parameters.clear();
            account.objects.remove(OBJECT);
        });
        look(&rig, all()).await;
        calls.extend(rig.calls());
    }
    calls
}

/// Breaks every call in every way, for one attempt and for all, and repeats the event: at the end
/// one execution has been started, and each notice was sent once, or twice if its response was
/// lost.
#[tokio::test(start_paused = true)]
async fn every_call_may_fail() {
    let (mut starts, old) = Account::with_old_in(Store::Acm);
    let server =
        starts.put_iam("www-old", &certificates().old, &[("cert-rotation:source", SECRET)]);
    starts.add("E6", &server, &["www.example.com"], "");
    let (mut tells, _) = Account::with_old_in(Store::Iam);
    tells.put_source(&certificates().old.source());
    let (mut again, old_again) = (starts.clone(), old.clone());
    again.stored_mut(&old_again).tags.push(("cert-rotation:replaces".into(), server.id().into()));
    let mut rig = rig(starts.clone()).await;
    for account in [starts, tells, again] {
        rig.reset(&account);
        look(&rig, all()).await;
        let (undisturbed, calls) = (rig.account(), rig.calls());
        for (number, call) in calls.iter().enumerate() {
            for kind in Kind::ALL {
                for attempts in [1, usize::MAX] {
                    let when = format!("{kind:?} of {attempts} attempts of {call:?}");
                    rig.reset(&account);
                    let fault = Fault { at: At::Call(number), kind, attempts };
                    rig.fake.with(|world| world.fault = Some(fault));
                    let broken = rig.start(all()).await;
                    assert!(rig.fake.with(|world| world.struck), "{when}");
                    rig.fake.with(|world| world.fault = None);
                    if let Err(error) = &broken {
                        assert_no_key(&format!("{error} {error:?}"));
                    }
                    // Lambda retries, and the next day follows.
                    rig.start(all()).await.expect(&when);
                    rig.context.now = tomorrow;
                    rig.start(all()).await.expect(&when);
                    rig.context.now = now;
                    let after = rig.account();
                    assert_eq!(after.executions.len(), undisturbed.executions.len(), "{when}");
                    let (sent, expected) = (after.messages.len(), undisturbed.messages.len());
                    // A notice whose response was lost is sent again, and a source without
                    // permission to read causes a notice.
                    let more = match call.operation.as_str() {
                        "Publish" => 3,
                        "PutObject" => 1,
                        "GetSecretValue" if kind == Kind::AccessDenied => 2,
                        _ => 0,
                    };
                    assert!(
                        (expected..=expected + more).contains(&sent),
                        "{when}: {sent} of {expected} messages"
                    );
                }
            }
        }
    }
}

/// A change of the secret, as EventBridge reports it.
fn put() -> Value {
    json!({
        "source": "aws.secretsmanager", "detail-type": "Secret Label Updated",
        "resources": [format!("arn:aws:secretsmanager:us-east-1:111122223333:secret:{SECRET}-AbCdEf")],
        "detail": {"name": SECRET},
    })
}

/// Case S1: a reissue ends with the original or before. It is started by the event and by the daily
/// evaluation, long before the old certificate is due, and never back.
#[tokio::test(start_paused = true)]
async fn s1_a_reissue_is_a_replacement() {
    let issued = "2026-05-01T00:00:00Z".parse().unwrap();
    for days in [228, 227, 90] {
        for event in [put(), all()] {
            let (mut account, old) = Account::with_old_in(Store::Acm);
            let reissue =
                certificates().issue(&["www.example.com", "*.shop.example.com"], issued, days);
            account.put_source(&reissue.source());
            let mut rig = rig(account).await;
            rig.context.now = early;
            let output = look(&rig, event).await;
            assert_eq!(decided(&output, &old), Decision::Start, "{days}");
            let (_, input) = running(&rig).remove(0);
            let plan = rig.planned(input).await["plan"].clone();
            assert_eq!(plan["onFailure"], "stop", "{days}");
            let notes = plan["notes"].to_string();
            assert!(notes.contains("it was issued after the old one"), "{notes}");
            assert!(notes.contains("onFailure: stop"), "{notes}");
        }
    }
}

/// Case S5: a rotation is started, and viewers may notice the difference: somebody is told, once.
/// Dedicated IP addresses, which are for old viewers, are not moved to an ECDSA key unasked.
#[tokio::test(start_paused = true)]
async fn s5_a_change_of_the_key_is_notified() {
    for dedicated in [false, true] {
        let (mut account, old) = Account::with_old_in(Store::Acm);
        account.stored_mut(&old).pem = certificates().rsa((2025, 12, 15)).pem;
        if dedicated {
            account.add("E5", &old, &["www.example.com"], DEDICATED_IP);
        }
        let rig = rig(account).await;
        if dedicated {
            let output = look(&rig, all()).await;
            assert_eq!(decided(&output, &old), Decision::ReplacementUnusable);
            let (_, text) = rig.account().messages.remove(0);
            assert!(text.contains("viewers that support only RSA would fail"), "{text}");
            // The cure that is printed.
            let tag = ("cert-rotation:allow-key-change".into(), "true".into());
            rig.change(|account| account.stored_mut(&old).tags.push(tag));
        }
        // A dry run changes nothing.
        let rehearsal = ("cert-rotation:dry-run".into(), "true".into());
        rig.change(|account| account.stored_mut(&old).tags.push(rehearsal));
        let output = look(&rig, all()).await;
        assert_eq!((decided(&output, &old), output.notices.len()), (Decision::Start, 0));
        end(&rig, "SUCCEEDED", now());
        rig.change(|account| drop(account.stored_mut(&old).tags.pop()));

        let output = look(&rig, all()).await;
        assert_eq!(decided(&output, &old), Decision::Start);
        assert_eq!(output.notices.len(), 1, "{:?}", output.notices);
        let again = look(&rig, all()).await;
        assert_eq!((decided(&again, &old), again.notices.len()), (Decision::UnderWay, 0));
        let (subject, text) = rig.account().messages.pop().unwrap();
        assert!(subject.ends_with("its replacement differs"), "{subject}");
        let (name, input) = running(&rig).remove(0);
        for words in [
            &format!("The rotation {name} was started."),
            "- The key changes from RSA 2048 to ECDSA P-256: viewers",
            "docs/runbook.md under ReplacementDiffers",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let plan = rig.planned(input).await["plan"].take();
        assert_eq!(plan["outcome"], "rotate");
    }
}

/// Case S1: what is not clearly newer is not started, and whoever put it is told why, once.
#[tokio::test(start_paused = true)]
async fn s1_what_is_put_and_not_newer_is_notified_once() {
    let names = &["www.example.com", "*.shop.example.com"];
    let day = |day: &str| format!("{day}T00:00:00Z").parse().unwrap();
    let issue = |from, days| certificates().issue(names, day(from), days);
    for (content, said) in [
        // Of the same day, with the same end, and with an earlier one.
        (issue("2025-12-15", 365), "not clearly issued after"),
        (issue("2025-12-15", 200), "not clearly issued after"),
        // A secret put back to an older version.
        (issue("2025-11-01", 365), "issued before"),
        (issue("2025-11-01", 500), "issued before"),
        // A reissue that is about to expire itself.
        (issue("2026-04-29", 3), "it is due for replacement itself"),
    ] {
        let (mut account, old) = Account::with_old_in(Store::Acm);
        account.put_source(&content.source());
        let mut rig = rig(account).await;
        rig.context.now = early;
        let quiet = look(&rig, all()).await;
        assert_eq!((decided(&quiet, &old), quiet.notices.len()), (Decision::InTime, 0), "{said}");
        for _ in 0..2 {
            let output = look(&rig, put()).await;
            assert_eq!(decided(&output, &old), Decision::ReplacementNotNewer, "{said}");
            assert!(output.certificates[0].findings[0].contains(said), "{said}");
        }
        let account = rig.account();
        assert!(account.executions.is_empty(), "{said}");
        assert_eq!(account.messages.len(), 1, "{said}: {:?}", account.messages);
        let (subject, text) = &account.messages[0];
        assert!(subject.ends_with("what was put is not newer"), "{subject}");
        for words in [said, SECRET, "cert-rotation:allow-earlier-expiry", "allowEarlierExpiry"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        // The cure that is printed.
        rig.change(|account| {
            let tag = ("cert-rotation:allow-earlier-expiry".into(), "true".into());
            account.stored_mut(&old).tags.push(tag);
        });
        assert_eq!(decided(&look(&rig, all()).await, &old), Decision::Start, "{said}");
        rig.planned(running(&rig).remove(0).1).await;
    }
}

/// Case S2: near the end of a certificate most targets on the new one are better than none.
#[tokio::test(start_paused = true)]
async fn s2_near_its_end_a_failed_target_does_not_hold_up_the_others() {
    let check = async |now: fn() -> Timestamp, tag: Option<&str>, expected: Value| {
        let (mut account, old) = Account::with_old_in(Store::Acm);
        if let Some(value) = tag {
            let tag = ("cert-rotation:on-failure".into(), value.into());
            account.stored_mut(&old).tags.push(tag);
        }
        let mut rig = rig(account).await;
        rig.context.now = now;
        assert_eq!(decided(&look(&rig, all()).await, &old), Decision::Start);
        assert_eq!(running(&rig)[0].1["onFailure"], expected, "{tag:?} {}", now());
    };
    let eight_days = || "2026-12-07T00:00:00Z".parse().unwrap();
    let six_days = || "2026-12-09T00:00:00Z".parse().unwrap();
    check(eight_days, None, Value::Null).await;
    check(six_days, None, json!("continue")).await;
    check(six_days, Some("rollback"), json!("rollback")).await;

    // Nor after a failed attempt: all others would be moved and moved back each day.
    for (tag, expected) in [(None, json!("continue")), (Some("rollback"), json!("rollback"))] {
        let (mut account, old) = Account::with_old_in(Store::Acm);
        if let Some(value) = tag {
            let tag = ("cert-rotation:on-failure".into(), value.into());
            account.stored_mut(&old).tags.push(tag);
        }
        let mut rig = rig(account).await;
        look(&rig, all()).await;
        assert_eq!(running(&rig)[0].1["onFailure"], tag.map_or(Value::Null, Value::from));
        end(&rig, "FAILED", now());
        rig.context.now = tomorrow;
        assert_eq!(decided(&look(&rig, all()).await, &old), Decision::Start);
        assert_eq!(running(&rig)[0].1["onFailure"], expected);
    }
    check(|| "2026-12-16T00:00:00Z".parse().unwrap(), None, json!("continue")).await;
    // One distribution that the replacement does not cover does not prevent the start.
    for (now, expected) in [
        (eight_days as fn() -> Timestamp, Decision::ReplacementUnusable),
        (six_days, Decision::Start),
    ] {
        let (mut account, old) = Account::with_old_in(Store::Acm);
        account.add("E9", &old, &["other.example.org"], "");
        let mut rig = rig(account).await;
        rig.context.now = now;
        assert_eq!(decided(&look(&rig, all()).await, &old), expected, "{}", now());
    }
}

/// Case S10: an old certificate that could not be deleted is looked at again each day.
#[tokio::test(start_paused = true)]
async fn s10_what_was_left_behind_is_deleted_later() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    let tags = [("cert-rotation:source", SECRET), ("cert-rotation:replaces", old.arn())];
    let new = account.put_acm(&certificates().new, &tags);
    for one in account.distributions.values_mut() {
        one.config = one.config.replace(old.id(), new.id());
    }
    let mut rig = rig(account).await;
    // Rotated by hand: whether it is to be deleted is not known.
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::NotServed);
    let before = rig.account();
    // As automation leaves it after a rotation that was not allowed to delete it.
    rig.change(|account| {
        for one in account.distributions.values_mut() {
            one.config = one.config.replace(new.id(), old.id());
        }
    });
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::Start);
    rig.change(|account| account.distributions.clone_from(&before.distributions));
    end(&rig, "SUCCEEDED", now());
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::Later);
    rig.context.now = tomorrow;
    assert_eq!(decided(&look(&rig, all()).await, &old), Decision::Start);
    let (_, input) = running(&rig).remove(0);
    let state = rig.moved(input).await;
    assert_eq!(state["plan"]["outcome"], "rotate");
    assert_eq!(rig.succeed("delete-certificate", &state).await["deleted"], true);
    assert!(!rig.account().has(&old));
    let output = look(&rig, all()).await;
    assert!(output.certificates.iter().all(|one| one.id != old.id()), "{output:?}");
}

/// Case S10: what another service uses is not deleted, and its end is still told.
#[tokio::test(start_paused = true)]
async fn s10_the_end_of_a_certificate_that_is_used_elsewhere_is_told() {
    const ELB: &str =
        "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/www/50dc6c495c0c9188";
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.distributions.clear();
    account.acm.get_mut(old.arn()).unwrap().held_by = vec![ELB.to_owned()];
    let rig = rig(account).await;
    for notices in [1, 0] {
        let output = look(&rig, all()).await;
        let told = (decided(&output, &old), output.notices.len());
        assert_eq!(told, (Decision::UsedElsewhere, notices));
    }
    let (subject, text) = &rig.account().messages[0];
    assert_eq!(subject, "www.example.com expires in 21 days: used outside of CloudFront");
    assert!(text.contains(ELB), "{text}");
}

/// Case S21: two served certificates with one source are replaced by one import.
#[tokio::test(start_paused = true)]
async fn s21_two_old_certificates_with_one_source_share_one_import() {
    let (mut account, first) = Account::with_old_in(Store::Acm);
    let second = account.put_acm(&certificates().other, &[("cert-rotation:source", SECRET)]);
    account.add("E8", &second, &["www.example.com"], "");
    account.stored_mut(&second).pem = certificates()
        .issue(
            &["www.example.com", "*.shop.example.com"],
            "2025-12-20T00:00:00Z".parse().unwrap(),
            360,
        )
        .pem
        .clone();
    let rig = rig(account).await;
    let output = look(&rig, all()).await;
    assert_eq!(decided(&output, &first), Decision::Start);
    assert_eq!(decided(&output, &second), Decision::Start);
    // For what is managed, and once for both for what is not to be touched.
    assert_eq!(rig.count("GetResources"), 2);
    let started = running(&rig);
    let state = |number: usize| {
        let (name, input) = &started[number];
        let mut state = crate::harness::rig::start(input.clone());
        let arn = EXECUTION.replace("autumn", name);
        state["execution"]["id"] = arn.into();
        state["execution"]["name"] = name.clone().into();
        state
    };
    // Step by step in turn: the second waits until the first has imported.
    let (mut one, mut two) = (state(0), state(1));
    one["plan"] = rig.succeed("plan-rotation", &one).await;
    // What the first attempt has read is kept for the next one.
    assert_eq!(rig.refuse("plan-rotation", &two).await.0, "Unfinished");
    let (name, told) = rig.refuse("plan-rotation", &two).await;
    assert_eq!(name, "Unavailable");
    assert!(told.contains("replaces another certificate with the same new one"), "{told}");
    one["newCertificate"] = rig.succeed("import-certificate", &one).await;
    two["plan"] = rig.succeed("plan-rotation", &two).await;
    two["newCertificate"] = rig.succeed("import-certificate", &two).await;
    assert_eq!(two["newCertificate"]["id"], one["newCertificate"]["id"]);
    assert_eq!(rig.count("ImportCertificate"), 1);
}
