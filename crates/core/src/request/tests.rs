use serde_json::json;

use super::*;
use crate::failure::Ending;

const ACM: &str =
    "arn:aws:acm:us-east-1:111122223333:certificate/0a1b2c3d-0000-4000-8000-000000000000";

fn faults(input: Value) -> Vec<String> {
    match parse(&input) {
        Ok(_) => Vec::new(),
        Err(findings) => {
            assert!(findings.iter().all(|f| f.ending == Ending::RequestInvalid));
            findings.into_iter().map(|f| f.to_string()).collect()
        }
    }
}

#[test]
fn only_the_source_is_required_and_the_rest_has_the_contracts_defaults() {
    let request = parse(&json!({"newCertificate": "tls/www", "oldCertificate": ACM})).unwrap();
    assert_eq!(
        request,
        Request {
            source: "tls/www".into(),
            source_ref: SourceRef::Secret { id: "tls/www".into(), region: None },
            old: Some(OldRef::AcmArn(ACM.into())),
            store: None,
            targets: None,
            exclude_targets: Vec::new(),
            allow_earlier_expiry: false,
            allow_key_change: false,
            tags: Vec::new(),
            concurrency: 1,
            verify_viewers: true,
            on_failure: None,
            delete_old: true,
            retain_old_days: 0,
            dry_run: false,
        }
    );
}

#[test]
fn all_problems_are_reported_at_once_with_their_fields() {
    let faults = faults(json!({
        "newCertificate": 7,
        "oldCertificate": "arn:aws:acm:eu-west-1:111122223333:certificate/x",
        "store": "s3",
        "targets": ["E1A2B3C4D5E6F7", "https://www.example.com", 3],
        "excludeTargets": [],
        "allowEarlierExpiry": "yes",
        "allowKeyChange": 1,
        "tags": {"team": 7, "CostCenter": "42"},
        "concurrency": 0,
        "verifyViewers": "yes",
        "onFailure": "panic",
        "deleteOld": false,
        "retainOldDays": 3,
        "dryrun": true,
    }));
    let fields: Vec<&str> = faults.iter().map(|f| f.split(':').next().unwrap()).collect();
    assert_eq!(
        fields,
        [
            "field dryrun",
            "field newCertificate",
            "field oldCertificate",
            "field store",
            "field targets[1]",
            "field targets[2]",
            "field excludeTargets",
            "field allowEarlierExpiry",
            "field allowKeyChange",
            "field tags.team",
            "field concurrency",
            "field verifyViewers",
            "field onFailure",
            "field retainOldDays",
        ]
    );
}

/// The same table is decided by `docs/schemas/input.schema.json`, in `tests/contract/test_schemas.py`.
#[test]
fn inputs_are_accepted_and_refused_as_by_their_schema() {
    let table: Value =
        serde_json::from_str(include_str!("../../tests/fixtures/inputs.json")).expect("JSON");
    for (verdict, is_accepted) in [("accepted", true), ("refused", false)] {
        for input in table[verdict].as_array().expect("an array") {
            assert_eq!(parse(input).is_ok(), is_accepted, "{input}");
        }
    }
}

#[test]
fn anything_but_an_object_is_refused() {
    for input in [json!(null), json!("tls/www"), json!([1]), json!(3), json!(true)] {
        assert_eq!(faults(input).len(), 1);
    }
    assert!(faults(json!({}))[0].starts_with("field newCertificate: is missing"));
}

#[test]
fn whole_numbers_are_whole_and_in_range() {
    for (field, bad) in [
        ("concurrency", json!(1.5)),
        ("concurrency", json!(-1)),
        ("concurrency", json!(1001)),
        ("concurrency", json!("1")),
        ("retainOldDays", json!(301)),
        ("retainOldDays", json!(null)),
    ] {
        let faults = faults(json!({"newCertificate": "tls/www", field: bad}));
        assert_eq!(faults.len(), 1, "{field}");
        assert!(faults[0].starts_with(&format!("field {field}: is ")), "{faults:?}");
    }
}

#[test]
fn sources() {
    let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:tls/www-AbCdEf";
    for (value, expected) in [
        ("tls/www", SourceRef::Secret { id: "tls/www".into(), region: None }),
        (arn, SourceRef::Secret { id: arn.into(), region: Some("eu-west-1".into()) }),
        ("ssm:/tls/www", SourceRef::Parameter { name: "/tls/www".into(), region: None }),
        (
            "arn:aws:ssm:us-east-1:111122223333:parameter/tls/www",
            SourceRef::Parameter { name: "/tls/www".into(), region: Some("us-east-1".into()) },
        ),
        (
            "s3://certs-bucket/www/new.pem",
            SourceRef::Object { bucket: "certs-bucket".into(), key: "www/new.pem".into() },
        ),
    ] {
        assert_eq!(source_ref(value), Ok(expected), "{value}");
    }
    for bad in [
        "",
        "two words",
        "ssm:tls/www",
        "s3://bucket",
        "s3://bucket/",
        "s3:///key",
        "arn:aws:secretsmanager",
        "arn:aws:secretsmanager:us-east-1:1:secret:x",
        "arn:aws:lambda:us-east-1:111122223333:function:x",
        "arn:aws:ssm:us-east-1:111122223333:document/x",
    ] {
        assert!(source_ref(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_key_in_the_wrong_field_is_refused_and_not_repeated() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49";
    let faults = faults(json!({"newCertificate": key, "oldCertificate": key, "store": key}));
    assert_eq!(faults.len(), 3);
    assert!(faults.iter().all(|fault| !fault.contains("MIGHAgEA")), "{faults:?}");
    assert!(faults[0].contains("treat a key that was in the input as exposed"));
    // A key as the name of a field; found by the fuzzer.
    let faults =
        super::parse(&json!({"newCertificate": "tls/www", key: 1, "MIGHAgEAMBMGByqG/": 1}));
    let told: Vec<String> = faults.unwrap_err().iter().map(Finding::to_string).collect();
    assert_eq!(told.len(), 2);
    assert!(
        told.iter().all(|one| one.starts_with("field (its name is not shown): is not a field")),
        "{told:?}"
    );
}

#[test]
fn old_certificates() {
    let iam = "arn:aws:iam::111122223333:server-certificate/cloudfront/www-2026";
    assert_eq!(old_ref(ACM), Ok(OldRef::AcmArn(ACM.into())));
    assert_eq!(old_ref(iam), Ok(OldRef::IamArn(iam.into())));
    assert_eq!(old_ref("ASCA1A2B3C4D5E6F7G8H9"), Ok(OldRef::IamId("ASCA1A2B3C4D5E6F7G8H9".into())));
    for bad in [
        "",
        "www.example.com",
        "arn:aws:acm:us-east-1:111122223333:certificate/",
        "arn:aws:acm:us-east-1::certificate/x",
        "arn:aws:acm:us-east-1",
        "arn:aws:iam::111122223333:role/x",
        "arn:aws-cn:acm:cn-north-1:111122223333:certificate/x",
        "E1A2B3C4D5E6F7",
    ] {
        assert!(old_ref(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_same_target_twice_is_one_target() {
    let request =
        parse(&json!({"newCertificate": "tls/www", "targets": ["E1", "dt_2", "E1"]})).unwrap();
    assert_eq!(request.targets, Some(vec!["E1".to_owned(), "dt_2".to_owned()]));
    assert!(faults(json!({"newCertificate": "tls/www", "targets": []}))[0].contains("is empty"));
}

#[test]
fn s2_a_target_is_not_both_wanted_and_excluded() {
    let input = json!({"newCertificate": "tls/www", "targets": ["E1"], "excludeTargets": ["E1"]});
    assert!(faults(input)[0].starts_with("field excludeTargets: names E1, and so does targets"));
    let input = json!({"newCertificate": "tls/www", "excludeTargets": ["E2", "E2"]});
    assert_eq!(parse(&input).expect("valid").exclude_targets, ["E2"]);
}

#[test]
fn s16_tags_for_the_new_certificate() {
    let many = |count| {
        let tags: serde_json::Map<String, Value> =
            (0..count).map(|n| (format!("k{n}"), json!("v"))).collect();
        json!({"newCertificate": "tls/www", "tags": tags})
    };
    assert_eq!(parse(&many(47)).expect("valid").tags.len(), 47);
    assert!(faults(many(48))[0].starts_with("field tags: has 48 tags"));
    let long = json!({"newCertificate": "tls/www", "tags": {"k".repeat(129): "v"}});
    assert!(faults(long)[0].contains("1 to 128 characters"));
    for key in ["", "a*b", "aws:team", "cert-rotation:source"] {
        let tags = json!({"newCertificate": "tls/www", "tags": {key: "v"}});
        assert!(faults(tags)[0].contains("does not begin with aws: or cert-rotation:"), "{key}");
    }
}

#[test]
fn a_source_is_recognised_by_each_of_its_names() {
    const ARN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www-AbCdEf";
    const BARE: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:tls/www";
    const PARAMETER: &str = "arn:aws:ssm:us-east-1:111122223333:parameter/tls/www";
    let check = |a: &str, b: &str, expected: bool| {
        let (a, b) = (source_ref(a).expect(a), source_ref(b).expect(b));
        assert_eq!(a.may_be(&b), expected, "{a:?} {b:?}");
        assert_eq!(b.may_be(&a), expected, "{b:?} {a:?}");
    };
    check("tls/www", "tls/www", true);
    check("tls/www", ARN, true);
    check("tls/www", BARE, true);
    check(BARE, ARN, true);
    check("tls/www2", ARN, false);
    check("tls/ww", ARN, false);
    check(&ARN.replace("us-east-1", "eu-west-1"), ARN, false);
    check("ssm:/tls/www", PARAMETER, true);
    check("ssm:/tls/www", &PARAMETER.replace("www", "shop"), false);
    check("ssm:/tls/www", "tls/www", false);
    check("s3://bucket/a.pem", "s3://bucket/a.pem", true);
    check("s3://bucket/a.pem", "s3://bucket/b.pem", false);
}
