use serde_json::json;

use super::*;

const ACM: &str = "arn:aws:acm:us-east-1:111122223333:certificate/0a1b";
const IAM: &str = "arn:aws:iam::111122223333:server-certificate/cloudfront/www";

fn look_at(at: At, asked: bool) -> Trigger {
    Trigger::Evaluate(Scope { at, asked, dry_run: false })
}

fn acm() -> OldRef {
    OldRef::AcmArn(ACM.into())
}

#[track_caller]
fn check(event: &Value, expected: Trigger) {
    assert_eq!(parse(event).expect("an event"), expected);
}

#[test]
fn events_of_people_and_schedules() {
    check(&json!({"look": "all"}), look_at(At::All, false));
    check(&json!({"look": ACM}), look_at(At::Certificates(vec![acm()]), false));
    check(
        &json!({"look": [ACM, IAM], "dryRun": true}),
        Trigger::Evaluate(Scope {
            at: At::Certificates(vec![acm(), OldRef::IamArn(IAM.into())]),
            asked: false,
            dry_run: true,
        }),
    );
    check(
        &json!({
            "version": "0", "source": "aws.scheduler", "detail-type": "Scheduled Event",
            "time": "2026-11-24T05:23:00Z", "resources": [], "detail": "{}",
        }),
        look_at(At::All, false),
    );
}

#[test]
fn an_expiry_event_evaluates_its_certificate_but_requests_nothing() {
    let event = |detail_type: &str, arn: &str| {
        json!({
            "version": "0", "id": "9c95e8e4-96a4-ef3f-b739-b6aa5b193afb",
            "detail-type": detail_type, "source": "aws.acm", "account": "111122223333",
            "time": "2020-09-30T06:51:08Z", "region": "us-east-1", "resources": [arn],
            "detail": {"DaysToExpiry": 31, "CommonName": "example.com"},
        })
    };
    let expected = || look_at(At::Certificates(vec![acm()]), false);
    check(&event("ACM Certificate Approaching Expiration", ACM), expected());
    check(&event("ACM Certificate Expired", ACM), expected());
    let elsewhere = ACM.replace("us-east-1", "eu-west-1");
    assert!(matches!(
        parse(&event("ACM Certificate Expired", &elsewhere)),
        Ok(Trigger::Nothing(_))
    ));
}

fn alarm_data(value: &str, metrics: &Value) -> Value {
    json!({
        "alarmName": "expiry",
        "state": {"value": value, "timestamp": "2019-10-02T17:04:40.989+0000"},
        "configuration": {"metrics": metrics},
    })
}

#[test]
fn an_alarm_requests_the_certificates_in_its_dimensions() {
    let metric = |dimensions: &Value| {
        json!({
            "id": "m", "returnData": true,
            "metricStat": {
                "metric": {
                    "namespace": "AWS/CertificateManager", "name": "DaysToExpiry",
                    "dimensions": dimensions,
                },
                "period": 86_400, "stat": "Minimum",
            },
        })
    };
    let wrap = |detail: Value| {
        json!({
            "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change",
            "resources": ["arn:aws:cloudwatch:us-east-1:111122223333:alarm:expiry"],
            "detail": detail,
        })
    };
    let of_one =
        json!([{"id": "e", "expression": "m - 1"}, metric(&json!({"CertificateArn": ACM}))]);
    let expected = || look_at(At::Certificates(vec![acm()]), true);
    check(&wrap(alarm_data("ALARM", &of_one)), expected());
    // An alarm that invokes the function directly.
    check(
        &json!({
            "source": "aws.cloudwatch", "alarmArn": "arn:…", "accountId": "111122223333",
            "time": "2026-11-24T06:00:00.000+0000", "region": "us-east-1",
            "alarmData": alarm_data("ALARM", &of_one),
        }),
        expected(),
    );
    check(&wrap(alarm_data("ALARM", &json!([metric(&json!({}))]))), look_at(At::All, true));
    for value in ["OK", "INSUFFICIENT_DATA"] {
        let event = wrap(alarm_data(value, &of_one));
        assert!(matches!(parse(&event), Ok(Trigger::Nothing(_))), "{value}");
    }
}

#[test]
fn a_changed_source_requests_an_evaluation() {
    let secret = |detail: Value| {
        json!({
            "source": "aws.secretsmanager", "detail-type": "AWS API Call via CloudTrail",
            "region": "us-east-1", "detail": detail,
        })
    };
    let expected = |name: &str| look_at(At::Source(source_ref(name).expect(name)), true);
    const ARN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www-AbCdEf";
    check(
        &json!({
            "source": "aws.secretsmanager", "detail-type": "Secret Label Updated",
            "resources": [ARN],
            "detail": {"name": "tls/www", "labelUpdated": "AWSCURRENT", "versionId": "v"},
        }),
        expected("tls/www"),
    );
    for name in ["tls/www", ARN] {
        let put = json!({
            "eventSource": "secretsmanager.amazonaws.com", "eventName": "PutSecretValue",
            "requestParameters": {"secretId": name, "clientRequestToken": "t"},
            "responseElements": {"arn": ARN},
        });
        check(&secret(put), expected(name));
    }
    let created = json!({
        "eventName": "CreateSecret", "requestParameters": {"name": "tls/www"},
        "responseElements": {"arn": ARN},
    });
    check(&secret(created), expected(ARN));
    let rotated = json!({
        "eventName": "RotationSucceeded", "additionalEventData": {"SecretId": ARN},
    });
    check(&secret(rotated), expected(ARN));
    let denied = json!({
        "eventName": "PutSecretValue", "errorCode": "AccessDenied",
        "requestParameters": {"secretId": ARN},
    });
    assert!(matches!(parse(&secret(denied)), Ok(Trigger::Nothing(_))));
    check(
        &json!({
            "source": "aws.ssm", "detail-type": "Parameter Store Change",
            "detail": {"operation": "Update", "name": "/tls/www", "type": "SecureString"},
        }),
        expected("ssm:/tls/www"),
    );
    check(
        &json!({
            "source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": "sources"}, "object": {"key": "a b/www.pem"}},
        }),
        expected("s3://sources/a b/www.pem"),
    );
}

#[test]
fn a_failed_execution_triggers_a_notice() {
    let event = |status: &str| {
        json!({
            "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "executionArn": "arn:aws:states:us-east-1:111122223333:execution:rotation:a",
                "status": status, "stopDate": 1_551_225_271_984_u64,
            },
        })
    };
    for status in ["FAILED", "TIMED_OUT", "ABORTED"] {
        check(
            &event(status),
            Trigger::Failed {
                execution: "arn:aws:states:us-east-1:111122223333:execution:rotation:a".into(),
                stopped: "1551225271984".into(),
            },
        );
    }
    for status in ["RUNNING", "SUCCEEDED"] {
        assert!(matches!(parse(&event(status)), Ok(Trigger::Nothing(_))), "{status}");
    }
}

/// Case S19: an event that a rule of another region sent to us-east-1. Account and region are where
/// it happened.
#[test]
fn s19_an_event_of_another_region_evaluates_the_sources_of_that_name() {
    let event = |source: &str, detail_type: &str, resource: &str, detail: Value| {
        json!({
            "version": "0", "id": "79f04f06-924c-7a00-b3f8-e532167d23e0",
            "detail-type": detail_type, "source": source, "account": "111122223333",
            "time": "2026-10-23T12:26:45Z", "region": "eu-west-1",
            "resources": [resource], "detail": detail,
        })
    };
    const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:tls/www-AbCdEf";
    const PARAMETER: &str = "arn:aws:ssm:eu-west-1:111122223333:parameter/tls/www";
    for (event, name, tag) in [
        (
            event(
                "aws.secretsmanager",
                "Secret Label Updated",
                SECRET,
                json!({"name": "tls/www", "labelUpdated": "AWSCURRENT", "versionId": "v"}),
            ),
            "tls/www",
            SECRET,
        ),
        (
            event(
                "aws.ssm",
                "Parameter Store Change",
                PARAMETER,
                json!({"operation": "Update", "name": "/tls/www", "type": "SecureString"}),
            ),
            "ssm:/tls/www",
            PARAMETER,
        ),
        (
            event(
                "aws.s3",
                "Object Created",
                "arn:aws:s3:::sources",
                json!({"bucket": {"name": "sources"}, "object": {"key": "www.pem"}}),
            ),
            "s3://sources/www.pem",
            "s3://sources/www.pem",
        ),
    ] {
        let changed = source_ref(name).expect(name);
        assert!(source_ref(tag).expect(tag).may_be(&changed), "{tag}");
        check(&event, look_at(At::Source(changed), true));
    }
}

/// Events with all the fields that AWS was seen to send, more than its documentation shows: from a
/// console, of the latest versions, with null fields.
#[test]
fn events_as_aws_sends_them() {
    const WHOLE: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www-AbCdEf";
    const PARTIAL: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www";
    const EXECUTION: &str = "arn:aws:states:us-east-1:111122223333:execution:rotation:a";
    let event = |source: &str, detail_type: &str, resources: Value, detail: Value| {
        json!({
            "version": "0", "id": "79f04f06-924c-7a00-b3f8-e532167d23e0",
            "detail-type": detail_type, "source": source, "account": "111122223333",
            "time": "2026-10-23T12:26:45Z", "region": "us-east-1",
            "resources": resources, "detail": detail,
        })
    };
    // A call recorded by CloudTrail, with the fields of every record.
    let by_cloudtrail = |name: &str, request: Value, response: Value| {
        let detail = json!({
            "eventVersion": "1.09",
            "userIdentity": {"type": "AssumedRole", "accountId": "111122223333"},
            "eventTime": "2026-10-23T12:26:45Z", "eventSource": "secretsmanager.amazonaws.com",
            "eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.7",
            "userAgent": "Mozilla/5.0", "requestParameters": request,
            "responseElements": response, "additionalEventData": null,
            "requestID": "2b9dd9a7-4b2c-4d94-a1f4-2a3a4a5a6a7a",
            "eventID": "12345678-1234-1234-1234-123456789012", "readOnly": false,
            "eventType": "AwsApiCall", "managementEvent": true,
            "recipientAccountId": "111122223333", "eventCategory": "Management",
            "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"},
            "sessionCredentialFromConsole": "true",
        });
        event("aws.secretsmanager", "AWS API Call via CloudTrail", json!([]), detail)
    };
    let put = |id: &str| {
        let request = json!({"secretId": id, "clientRequestToken": "4d383ea9"});
        by_cloudtrail("PutSecretValue", request, json!({"arn": WHOLE}))
    };
    let source = |name: &str| look_at(At::Source(source_ref(name).expect(name)), true);
    let object = |reason: &str| {
        let detail = json!({
            "version": "0", "bucket": {"name": "sources"},
            "object": {
                "key": "www.pem", "size": 6_144, "etag": "2fb1d4988881168bbcd6432d7593be5a",
                "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "sequencer": "00617F08299329D189",
            },
            "request-id": "N4N7GDK58NMKJ12R", "requester": "111122223333",
            "source-ip-address": "203.0.113.7", "reason": reason,
        });
        event("aws.s3", "Object Created", json!(["arn:aws:s3:::sources"]), detail)
    };
    let state = |value: &str, reason: &str| json!({"value": value, "reason": reason, "timestamp": "2026-10-02T17:04:40.989+0000"});
    let alarm = |dimensions: Value| {
        json!({
            "alarmName": "expiry", "state": state("ALARM", "Threshold Crossed"),
            "previousState": state("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation"),
            "configuration": {
                "description": "days left",
                "metrics": [{
                    "id": "e1a2", "returnData": true,
                    "metricStat": {
                        "metric": {
                            "namespace": "AWS/CertificateManager", "name": "DaysToExpiry",
                            "dimensions": dimensions,
                        },
                        "period": 86_400, "stat": "Minimum",
                    },
                }],
            },
        })
    };
    let alarm_event = |detail: Value| {
        let arn = json!(["arn:aws:cloudwatch:us-east-1:111122223333:alarm:expiry"]);
        event("aws.cloudwatch", "CloudWatch Alarm State Change", arn, detail)
    };
    let alarm_call = |data: Value| {
        json!({
            "source": "aws.cloudwatch", "accountId": "111122223333", "region": "us-east-1",
            "alarmArn": "arn:aws:cloudwatch:us-east-1:111122223333:alarm:expiry",
            "time": "2026-10-02T17:04:40.989+0000", "alarmData": data,
        })
    };
    let composite = json!({
        "alarmName": "any", "state": state("ALARM", "arn:… transitioned to ALARM"),
        "previousState": state("OK", ""),
        "configuration": {"alarmRule": "ALARM(expiry)", "actionsSuppressor": "none"},
    });
    let ended = |status: &str| {
        let detail = json!({
            "executionArn": EXECUTION, "name": "a", "status": status,
            "stateMachineArn": "arn:aws:states:us-east-1:111122223333:stateMachine:rotation",
            "startDate": 1_792_000_000_000_u64, "stopDate": 1_792_000_003_000_u64,
            "input": "{}", "output": null, "stateMachineVersionArn": null,
            "stateMachineAliasArn": null, "redriveCount": 0, "redriveDate": null,
            "redriveStatus": "REDRIVABLE", "redriveStatusReason": null,
            "inputDetails": {"included": true}, "outputDetails": null,
            "error": null, "cause": null,
        });
        event("aws.states", "Step Functions Execution Status Change", json!([EXECUTION]), detail)
    };
    let failed =
        || Trigger::Failed { execution: EXECUTION.into(), stopped: "1792000003000".into() };
    let expiring = event(
        "aws.acm",
        "ACM Certificate Approaching Expiration",
        json!([ACM]),
        json!({
            "DaysToExpiry": 31, "CommonName": "example.com", "InUse": true, "Exported": false,
        }),
    );
    let of_acm = |asked| look_at(At::Certificates(vec![acm()]), asked);
    for (event, expected) in [
        (put("tls/www"), source("tls/www")),
        (put(WHOLE), source(WHOLE)),
        (put(PARTIAL), source(PARTIAL)),
        (
            by_cloudtrail(
                "UpdateSecret",
                json!({"secretId": WHOLE, "clientRequestToken": "c"}),
                json!({"arn": WHOLE, "name": "tls/www", "versionId": "c"}),
            ),
            source(WHOLE),
        ),
        (
            by_cloudtrail(
                "UpdateSecretVersionStage",
                json!({"secretId": "tls/www", "versionStage": "AWSCURRENT", "moveToVersionId": "v"}),
                json!({"aRN": WHOLE}),
            ),
            source("tls/www"),
        ),
        (
            event(
                "aws.secretsmanager",
                "Secret Label Updated",
                json!([WHOLE]),
                json!({"name": "tls/www", "labelUpdated": "AWSCURRENT", "versionId": "v"}),
            ),
            source("tls/www"),
        ),
        (object("PutObject"), source("s3://sources/www.pem")),
        (object("CompleteMultipartUpload"), source("s3://sources/www.pem")),
        (alarm_event(alarm(json!({"CertificateArn": ACM}))), of_acm(true)),
        (alarm_call(alarm(json!({"CertificateArn": ACM}))), of_acm(true)),
        (alarm_call(alarm(json!({}))), look_at(At::All, true)),
        (alarm_event(composite), look_at(At::All, true)),
        (expiring, of_acm(false)),
        (ended("FAILED"), failed()),
        (ended("TIMED_OUT"), failed()),
        (ended("ABORTED"), failed()),
        (
            event("aws.events", "Scheduled Event", json!(["arn:…"]), json!({})),
            look_at(At::All, false),
        ),
    ] {
        check(&event, expected);
    }
}

#[test]
fn unknown_events_are_refused() {
    for event in [
        json!({}),
        json!(null),
        json!("look"),
        json!({"look": "everything"}),
        json!({"look": []}),
        json!({"look": "all", "dryRun": "yes"}),
        json!({"look": "all", "dryrun": true}),
        json!({"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification"}),
    ] {
        let finding = parse(&event).expect_err("none of these");
        assert_eq!(finding.ending, Ending::RequestInvalid);
        assert!(finding.subject == "event" && !finding.cure.is_empty(), "{finding}");
    }
}
