use rotation_core::ids::{CertificateId, Store};
use rotation_test_pki::Authority;
use serde_json::{Value, json};

use crate::harness::account::{
    Account, BUCKET, DEDICATED_IP, Distribution, Execution, PARAMETER, POLICY, SECRET, STAGING,
    TEMPLATE, Tenant, assert_same, now,
};
use crate::harness::certificates::certificates;
use crate::harness::fake_aws::Kind;
use crate::harness::rig::{EXECUTION, Rig, child, id, start};

const ELB: &str =
    "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/www/50dc6c495c0c9188";

fn targets(rig: &Rig, state: &Value) -> Vec<String> {
    let text = |target: &Value| {
        format!("{} {}", target["id"].as_str().unwrap(), target["serves"].as_str().unwrap())
    };
    rig.targets(state).iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn all_targets_of_the_old_certificate_in_lanes() {
    let (account, old) = Account::with_tenants();
    let rig = Rig::new(account.clone()).await;
    let state = rig.planned(json!({"oldCertificate": old.arn(), "concurrency": 3})).await;
    let plan = &state["plan"];
    assert_eq!(plan["outcome"], "rotate");
    assert_eq!(id(&plan["oldCertificate"]["id"]), old);
    assert_eq!(plan["newCertificate"]["id"], Value::Null);
    assert_eq!(plan["targets"]["total"], 4);
    assert_eq!(plan["targets"]["toMove"], 4);
    let mut all = targets(&rig, &state);
    all.sort();
    assert_eq!(all, ["E1 old", "E2 old", "E4 old", "dt_1 old"]);
    let waves = plan["targets"]["waves"].as_array().unwrap();
    let lanes: Vec<Value> = waves
        .iter()
        .flat_map(|lanes| lanes.as_array().unwrap())
        .map(|key| rig.object(key.as_str().unwrap()))
        .collect();
    // One alone as a canary, then three at once.
    let sizes: Vec<usize> = waves.iter().map(|lanes| lanes.as_array().unwrap().len()).collect();
    assert_eq!(sizes, [1, 3]);
    assert!(lanes.iter().all(|lane| lane.as_array().unwrap().len() == 1));
    let dealt: Vec<Value> =
        lanes.iter().flat_map(|lane| lane.as_array().unwrap().clone()).collect();
    assert_eq!(dealt, rig.targets(&state));
    let record = rig.object("rotations/autumn/20261123T110000Z/plan.json");
    assert_eq!(record["request"], state["request"]);
    assert_eq!(record["targets"][0]["names"], json!(["www.example.com"]));
    assert_eq!(record["findings"], json!([]));
    // Nothing else in the account has changed.
    let mut after = rig.account();
    after.objects.retain(|key, _| !key.starts_with(BUCKET));
    assert_same(&account, &after, "a plan");
}

/// The old certificate is found by every identifier that the input may use.
#[tokio::test(start_paused = true)]
async fn the_old_certificate_by_arn_id_or_tag() {
    for store in [Store::Acm, Store::Iam] {
        let (account, old) = Account::with_old_in(store);
        let rig = Rig::new(account).await;
        let mut requests = vec![json!({}), json!({"oldCertificate": old.arn()})];
        if store == Store::Iam {
            requests.push(json!({"oldCertificate": old.id()}));
        }
        for request in requests {
            let state = rig.planned(request.clone()).await;
            assert_eq!(id(&state["plan"]["oldCertificate"]["id"]), old, "{request}");
            assert_eq!(state["plan"]["store"], json!(store));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_tagged_certificates_the_one_that_is_served() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    let tags = [("cert-rotation:source", SECRET)];
    let idle = account.put_iam("idle", &certificates().other, &tags);
    let rig = Rig::new(account.clone()).await;
    let state = rig.planned(json!({})).await;
    assert_eq!(id(&state["plan"]["oldCertificate"]["id"]), old);

    account.add("E5", &idle, &["www.example.com"], "");
    rig.reset(&account);
    let (name, cause) = rig.refuse("plan-rotation", &start(json!({}))).await;
    assert_eq!(name, "RequestInvalid");
    assert!(cause.contains(old.id()) && cause.contains(idle.id()), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn replaced_and_deleted_by_an_earlier_rotation() {
    for store in [Store::Acm, Store::Iam] {
        let (account, old) = Account::with_old_in(store);
        let rig = Rig::new(account).await;
        let state = rig.moved(json!({})).await;
        let deletion = rig.succeed("delete-certificate", &state).await;
        assert_eq!(deletion["deleted"], true);
        for request in
            [json!({}), json!({"oldCertificate": old.arn()}), json!({"oldCertificate": old.id()})]
        {
            let again = rig.planned(request.clone()).await;
            let plan = &again["plan"];
            assert_eq!(plan["outcome"], "nothingToDo", "{request}");
            assert_eq!(plan["newCertificate"]["id"], state["newCertificate"]["id"]);
            assert_eq!(plan["oldCertificate"]["id"], Value::Null);
            assert!(
                [old.arn(), old.id()].contains(&plan["oldCertificate"]["given"].as_str().unwrap())
            );
        }
    }
}

/// Of several copies the one that the most targets serve; on a tie, the one that this system
/// imported.
#[tokio::test(start_paused = true)]
async fn copies_of_the_new_certificate_in_the_store() {
    let (mut account, _) = Account::with_old_in(Store::Acm);
    let by_hand = account.put_acm(&certificates().new, &[]);
    let rig = Rig::new(account.clone()).await;
    let chosen = |state: &Value| id(&state["plan"]["newCertificate"]["id"]);
    assert_eq!(chosen(&rig.planned(json!({})).await), by_hand);

    let ours = account.put_acm(&certificates().new, &[("cert-rotation:fingerprint", "f")]);
    rig.reset(&account);
    assert_eq!(chosen(&rig.planned(json!({})).await), ours);

    account.add("E5", &by_hand, &["www.example.com"], "");
    rig.reset(&account);
    let state = rig.planned(json!({})).await;
    assert_eq!(chosen(&state), by_hand);
    assert_eq!(targets(&rig, &state), ["E1 old", "E2 old", "E5 new"]);
    assert_eq!(state["plan"]["targets"]["toMove"], 2);
}

#[tokio::test(start_paused = true)]
async fn outcomes_of_plans() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let rig = Rig::new(account.clone()).await;
    let outcome = async |account: &Account, request: Value| {
        rig.reset(account);
        let state = rig.planned(request).await;
        (state["plan"]["outcome"].as_str().unwrap().to_owned(), targets(&rig, &state))
    };
    let (planned, all) = outcome(&account, json!({"dryRun": true})).await;
    assert_eq!((planned.as_str(), all.len()), ("planned", 2));
    let subset = outcome(&account, json!({"targets": ["E2"]})).await;
    assert_eq!(subset, ("rotate".into(), vec!["E2 old".into()]));

    let mut idle = account.clone();
    idle.distributions.clear();
    assert_eq!(outcome(&idle, json!({})).await, ("nothingToDo".into(), vec![]));

    // Everything is moved; waiting for the deployment, and the deletion, may be left.
    let mut moved = idle.clone();
    let new = moved.put_acm(&certificates().new, &[]);
    moved.add("E1", &new, &["www.example.com"], "");
    let here = vec!["E1 new".to_owned()];
    assert_eq!(outcome(&moved, json!({})).await, ("rotate".into(), here.clone()));
    let kept = json!({"deleteOld": false});
    assert_eq!(outcome(&moved, kept.clone()).await, ("nothingToDo".into(), here.clone()));
    moved.distribution("E1").reads_until_deployed = 1;
    assert_eq!(outcome(&moved, kept).await, ("rotate".into(), here));
    assert!(moved.has(&old));
}

/// Associations for which CloudFront may require further permissions are noted, and are no reason
/// to refuse.
#[tokio::test(start_paused = true)]
async fn associations_are_noted_with_the_permissions_they_may_require() {
    const ACL: &str = "<WebACLId>arn:aws:wafv2:us-east-1:111122223333:global/webacl/a/1</WebACLId>";
    const FUNCTION: &str = "<CacheBehaviors><Quantity>1</Quantity><Items><CacheBehavior><PathPattern>/a</PathPattern><TargetOriginId>o</TargetOriginId><ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy><LambdaFunctionAssociations><Quantity>1</Quantity><Items><LambdaFunctionAssociation><LambdaFunctionARN>arn:f:1</LambdaFunctionARN><EventType>viewer-request</EventType></LambdaFunctionAssociation></Items></LambdaFunctionAssociations></CacheBehavior></Items></CacheBehaviors>";
    const OVERRIDE: &str = "<WebAcl><Action>override</Action><Arn>arn:acl</Arn></WebAcl>";
    let (mut account, old) = Account::with_tenants();
    account.distribution("E1").config.push_str(ACL);
    account.distribution("E2").config.push_str(FUNCTION);
    let tenant = account.tenants.get_mut("dt_1").unwrap();
    tenant.body = tenant.body.replace("<Certificate>", &format!("{OVERRIDE}<Certificate>"));
    let rig = Rig::new(account).await;
    let state = rig.planned(json!({"oldCertificate": old.arn()})).await;
    assert_eq!(state["plan"]["outcome"], "rotate");
    let notes: Vec<&str> =
        state["plan"]["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (note, expected) in notes.iter().zip([
        "Associated with a web ACL: distribution E1, distribution tenant dt_1. CloudFront may require wafv2:GetWebACL",
        "Associated with Lambda@Edge functions: distribution E2. CloudFront may require lambda:GetFunction",
        "CloudFront's lists do not show access logs",
    ]) {
        assert!(note.starts_with(expected), "{note}");
    }
    assert_eq!(notes.len(), 3, "{notes:?}");
    // Also in plan.json, for operators.
    let plan = rig.object("rotations/autumn/20261123T110000Z/plan.json");
    let one = plan["targets"].as_array().unwrap().iter().find(|one| one["target"]["id"] == "E2");
    assert_eq!(one.unwrap()["associations"], json!(["edgeFunction"]));
}

#[tokio::test(start_paused = true)]
async fn notes_that_do_not_prevent_a_rotation() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.add("E5", &old, &["www.example.com"], DEDICATED_IP);
    account.stored_mut(&old).held_by.push(ELB.to_owned());
    let rig = Rig::new(account).await;
    let state = rig.planned(json!({"concurrency": 41})).await;
    let notes = state["plan"]["notes"].to_string();
    for told in ["At most 40 targets", "charges for both certificates", "E5", ELB] {
        assert!(notes.contains(told), "{told}: {notes}");
    }
    assert_eq!(state["plan"]["targets"]["dedicatedIp"], 1);
}

/// Warnings about a certificate that is fit are notes of the plan.
#[tokio::test(start_paused = true)]
async fn warnings_are_noted() {
    let rig = Rig::new(Account::with_old_in(Store::Acm).0).await;
    let state = rig.planned(json!({})).await;
    assert_eq!(state["plan"]["notes"], json!([]));
    let begin = "2026-11-01T00:00:00Z".parse().unwrap();
    let too_long = certificates().issue(&["www.example.com", "*.shop.example.com"], begin, 826);
    rig.change(|account| account.put_source(&too_long.source()));
    let state = rig.planned(json!({})).await;
    let notes = state["plan"]["notes"].to_string();
    let told =
        "About the new certificate: It is valid for 827 days, and Apple's viewers accept 825";
    assert!(notes.contains(told), "{notes}");
}

/// Changes the account, plans, and expects the rotation to be refused with these words in the
/// cause.
async fn check(
    store: Store,
    change: impl FnOnce(&mut Account, &CertificateId),
    request: Value,
    name: &str,
    words: &[&str],
) {
    let (mut account, old) = Account::with_old_in(store);
    change(&mut account, &old);
    let rig = Rig::new(account.clone()).await;
    let (got, cause) = rig.refuse("plan-rotation", &start(request)).await;
    assert_eq!(got, name, "{cause}");
    for word in words {
        assert!(cause.contains(word), "{word} is not in: {cause}");
    }
    let mut after = rig.account();
    after.objects.retain(|key, _| !key.starts_with(BUCKET));
    assert_same(&account, &after, "a refused plan");
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_refused() {
    let nothing = |_: &mut Account, _: &CertificateId| {};
    for (request, word) in [
        (json!("a string"), "not a JSON object"),
        (json!({"newCertificate": 1, "color": "red"}), "color"),
        (json!({"targets": []}), "targets"),
        (json!({"concurrency": 0}), "concurrency"),
        (json!({"oldCertificate": "nothing"}), "names no certificate"),
    ] {
        check(Store::Acm, nothing, request, "RequestInvalid", &[word]).await;
    }
    let china = |account: &mut Account, old: &CertificateId| {
        account.stored_mut(old).partition = "aws-cn".into();
    };
    check(Store::Iam, china, json!({"store": "acm"}), "RequestInvalid", &["IAM only"]).await;
}

#[tokio::test(start_paused = true)]
async fn sources_that_cannot_be_read() {
    let put = |content: &'static str| {
        move |account: &mut Account, _: &CertificateId| account.put_source(content)
    };
    for (source, content, word) in [
        (SECRET, "", "tls/www"),
        (SECRET, "no PEM", "tls/www"),
        ("tls/unknown", "", "does not exist"),
        ("ssm:/tls/unknown", "", "does not exist"),
        ("s3://sources/unknown.pem", "", "does not exist"),
    ] {
        let request = json!({"newCertificate": source});
        check(Store::Acm, put(content), request, "SourceUnreadable", &[word]).await;
    }
    let in_clear = |account: &mut Account, _: &CertificateId| {
        account.parameters.get_mut(PARAMETER).unwrap().0 = "String".into();
    };
    let request = json!({"newCertificate": "ssm:/tls/www"});
    check(Store::Acm, in_clear, request, "SourceUnreadable", &["unencrypted"]).await;
    // Other known problems are reported together with it.
    let gone = |account: &mut Account, old: &CertificateId| {
        account.acm.remove(old.arn());
        account.secrets.clear();
    };
    let words = ["does not exist", "[CertificateNotFound] field oldCertificate"];
    check(Store::Acm, gone, json!({}), "SourceUnreadable", &words).await;

    let rig = Rig::new(Account::with_old_in(Store::Acm).0).await;
    rig.fail("GetSecretValue", Kind::AccessDenied);
    let (name, cause) = rig.refuse("plan-rotation", &start(json!({}))).await;
    assert_eq!(name, "SourceUnreadable");
    assert!(cause.contains("may not be read by this stack"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn old_certificates_that_are_not_found() {
    let gone = |account: &mut Account, old: &CertificateId| {
        account.acm.remove(old.arn());
        account.iam.clear();
    };
    let acm = "arn:aws:acm:us-east-1:111122223333:certificate/00000001";
    let iam = "arn:aws:iam::111122223333:server-certificate/cloudfront/www-old";
    for old in [acm, iam, "ASCA0000000000000001"] {
        let request = json!({"oldCertificate": old});
        check(Store::Acm, gone, request, "CertificateNotFound", &[old, "neither store"]).await;
    }
    check(Store::Acm, gone, json!({}), "CertificateNotFound", &["no certificate is tagged"]).await;
}

#[tokio::test(start_paused = true)]
async fn certificates_that_are_not_fit() {
    let bad =
        |account: &mut Account, _: &CertificateId| account.put_source(&certificates().bad.source());
    let words =
        ["expired", "does not match the certificate", "no longer than the old one", "trusted root"];
    check(Store::Acm, bad, json!({}), "CertificateInvalid", &words).await;
    let same =
        |account: &mut Account, _: &CertificateId| account.put_source(&certificates().old.source());
    let request =
        json!({"oldCertificate": "arn:aws:acm:us-east-1:111122223333:certificate/00000001"});
    check(Store::Acm, same, request, "CertificateInvalid", &["it is the old certificate"]).await;
}

/// Case S15: a root that Mozilla has included since the build. A list that cannot be read is refused
/// even if the certificate does not need it.
#[tokio::test(start_paused = true)]
async fn s15_roots_of_a_parameter_are_trusted() {
    const ROOTS: &str = "/roots/mozilla";
    let (account, _) = Account::with_old_in(Store::Acm);
    let planned = async |list: Option<(&str, &str)>, needed: bool, fault: Option<Kind>| {
        let mut account = account.clone();
        account
            .parameters
            .extend(list.map(|(kind, pem)| (ROOTS.into(), (kind.into(), pem.into()))));
        let mut rig = Rig::new(account).await;
        rig.context.settings.extra_roots = ROOTS.into();
        if needed {
            rig.context.settings.root_file = None;
        }
        if let Some(kind) = fault {
            rig.fail("GetParameter", kind);
        }
        rig.step("plan-rotation", &start(json!({}))).await
    };
    let root = certificates().root.as_str();
    for kind in ["String", "SecureString"] {
        planned(Some((kind, root)), true, None).await.expect("a plan");
    }
    let leaf = certificates().new.pem.as_str();
    for (list, fault, error, words) in [
        (None, None, "SourceUnreadable", "does not exist"),
        (Some(("String", root)), Some(Kind::AccessDenied), "SourceUnreadable", "may not be read"),
        (Some(("String", root)), Some(Kind::Throttled), "Unfinished", ""),
        (Some(("String", "")), None, "SourceUnreadable", "holds no certificates in PEM"),
        (Some(("String", leaf)), None, "SourceUnreadable", "a block 1 that is not"),
    ] {
        for needed in [true, false] {
            let error_of = planned(list, needed, fault).await.expect_err("refused");
            let cause = error_of.to_string();
            assert_eq!(error_of.name(), error, "{cause}");
            assert!(cause.contains(words), "{cause}");
            if error == "SourceUnreadable" {
                let named = "SSM parameter /roots/mozilla (ExtraRoots): ";
                assert!(cause.contains(named) && cause.contains("another ExtraRoots"), "{cause}");
                assert_eq!(cause.contains("[CertificateInvalid] chain"), needed, "{cause}");
            }
        }
    }
}

/// Case S22: among them the distributions of a continuous-deployment policy.
#[tokio::test(start_paused = true)]
async fn targets_that_cannot_be_rotated() {
    let narrow = |account: &mut Account, old: &CertificateId| {
        account.put_source(&certificates().narrow.source());
        account.add("E4", old, &[], TEMPLATE);
        let tenant = |domain, own| Tenant::of("E4", domain, own);
        account.tenants = [
            ("dt_1".to_owned(), tenant("t1.shop.example.com", Some(old))),
            ("dt_2".to_owned(), tenant("t2.shop.example.com", None)),
        ]
        .into();
    };
    let words = [
        "distribution E2: aliases a.shop.example.com, b.shop.example.com are not covered",
        "distribution E4: alias t2.shop.example.com is not covered",
        "distribution tenant dt_1: domain t1.shop.example.com is not covered",
    ];
    check(Store::Acm, narrow, json!({}), "AliasNotCovered", &words).await;

    let extra = |extra: &'static str| {
        move |account: &mut Account, old: &CertificateId| {
            account.add("E2", old, &["www.example.com"], extra);
        }
    };
    let staged = |account: &mut Account, old: &CertificateId| {
        account.add("E2", old, &["www.example.com"], POLICY);
        account.add("E4", old, &[], &format!("{STAGING}{POLICY}"));
    };
    let name = "TargetNotRotatable";
    let words = [
        "distribution E2: is the primary distribution of continuous-deployment policy policy-1",
        "distribution E4: is the staging distribution",
    ];
    check(Store::Acm, staged, json!({}), name, &words).await;
    let request = json!({"targets": ["E1"]});
    check(Store::Acm, extra(STAGING), request, name, &["distribution E2: is a staging"]).await;
    let mixed = |account: &mut Account, _: &CertificateId| {
        let new = account.put_acm(&certificates().new, &[]);
        account.add("E4", &new, &["www.example.com"], "<HttpVersion>http3</HttpVersion>");
    };
    check(Store::Acm, mixed, json!({}), name, &["distribution E4: supports http3"]).await;
    let request = json!({"targets": ["E1", "E3", "E99"]});
    let words = ["target E3: serves neither", "target E99: is neither"];
    check(Store::Acm, |_, _| {}, request, name, &words).await;
    let request = json!({"store": "iam"});
    check(Store::Acm, extra(TEMPLATE), request, name, &["distribution E2: is multi-tenant"]).await;
}

/// Case S11: a rule of ACM's reference is not applied to IAM, nor to what ACM has accepted; ACM
/// itself decides about an import.
#[tokio::test(start_paused = true)]
async fn an_ecdsa_key_from_an_rsa_authority_is_for_acm_to_refuse() {
    let hybrid = certificates().hybrid();
    for (request, stored, told) in [
        (json!({"store": "iam"}), false, false),
        (json!({}), true, false),
        (json!({}), false, true),
    ] {
        let (mut account, _) = Account::with_old_in(Store::Acm);
        account.put_source(&hybrid.source());
        if stored {
            account.put_acm(&hybrid, &[]);
        }
        let rig = Rig::new(account).await;
        let plan = rig.planned(request.clone()).await["plan"].take();
        assert_eq!(plan["outcome"], "rotate", "{request} {stored}");
        let notes = plan["notes"].to_string();
        assert_eq!(notes.contains("ACM may refuse the import"), told, "{request}: {notes}");
    }
}

/// Case S3: tenants of a template whose domain was never activated, or that are disabled.
#[tokio::test(start_paused = true)]
async fn a_domain_that_is_not_served_does_not_prevent_a_rotation() {
    let domain = "shop.customer.example";
    for (from, to, served) in [
        ("</Domain>", "</Domain><Status>inactive</Status>", false),
        ("<Enabled>true", "<Enabled>false", false),
        ("", "", true),
    ] {
        for own in [false, true] {
            let (mut account, old) = Account::with_tenants();
            let mut tenant = Tenant::of("E4", domain, own.then_some(&old));
            tenant.body = tenant.body.replacen(from, to, 1);
            account.tenants.insert("dt_3".into(), tenant);
            let rig = Rig::new(account).await;
            let at = if own { "distribution tenant dt_3" } else { "distribution E4" };
            if served {
                let (name, cause) = rig.refuse("plan-rotation", &start(json!({}))).await;
                assert_eq!(name, "AliasNotCovered");
                assert!(cause.contains(at) && cause.contains(domain), "{cause}");
            } else {
                let plan = rig.planned(json!({})).await["plan"].take();
                assert_eq!(plan["outcome"], "rotate");
                let notes = plan["notes"].to_string();
                assert!(notes.contains(&format!("{domain} ({at})")), "{notes}");
            }
        }
    }
}

/// Case S5: the key changes. Only dedicated IP addresses, which are for old viewers, prevent it, and
/// only if it changes to ECDSA.
#[tokio::test(start_paused = true)]
async fn s5_a_change_of_the_key_is_noted() {
    let rsa = |from| certificates().rsa(from);
    for (old_material, new, note, for_old_viewers) in [
        (None, Some(rsa((2026, 11, 1))), "The key changes from ECDSA P-256 to RSA 2048.", true),
        (
            Some(rsa((2025, 12, 15))),
            None,
            "The key changes from RSA 2048 to ECDSA P-256: viewers",
            false,
        ),
    ] {
        for (extra, allowed) in [("", false), (DEDICATED_IP, false), (DEDICATED_IP, true)] {
            let (mut account, old) = Account::with_old_in(Store::Acm);
            account.add("E5", &old, &["www.example.com"], extra);
            if let Some(material) = &old_material {
                account.stored_mut(&old).pem.clone_from(&material.pem);
            }
            if let Some(new) = &new {
                account.put_source(&new.source());
            }
            let rig = Rig::new(account).await;
            if extra.is_empty() || for_old_viewers || allowed {
                let plan = rig.planned(json!({"allowKeyChange": allowed})).await["plan"].take();
                assert_eq!(plan["outcome"], "rotate");
                assert!(plan["notes"].to_string().contains(note), "{plan:#}");
            } else {
                let (name, cause) = rig.refuse("plan-rotation", &start(json!({}))).await;
                assert_eq!(name, "TargetNotRotatable");
                assert!(cause.contains("distribution E5: has dedicated IP addresses"), "{cause}");
                assert!(!cause.contains("E1"), "{cause}");
                // With `continue` the others are moved without it.
                let plan = rig.planned(json!({"onFailure": "continue"})).await["plan"].take();
                assert_eq!(plan["targets"]["held"], 1);
            }
        }
    }
}

/// A deployment that has been in progress for long is not waited for, but noted.
#[tokio::test(start_paused = true)]
async fn deployments_that_have_been_in_progress_for_long_are_noted() {
    let (mut account, _) = Account::with_old_in(Store::Acm);
    account.distribution("E2").reads_until_deployed = 9;
    let rig = Rig::new(account).await;
    let notes = rig.planned(json!({})).await["plan"]["notes"].take().to_string();
    let note =
        "InProgress for more than an hour already: distribution E2 (since 2026-11-01T00:00:00Z).";
    assert!(notes.contains(note), "{notes}");
}

/// Case S5: the chain leads to another root.
#[tokio::test(start_paused = true)]
async fn s5_a_change_of_the_root_is_noted() {
    for store in [Store::Acm, Store::Iam] {
        let (mut account, old) = Account::with_old_in(store);
        let notes =
            Rig::new(account.clone()).await.planned(json!({})).await["plan"]["notes"].take();
        assert!(!notes.to_string().contains("root"), "{notes}");
        account.stored_mut(&old).chain = Authority::root("Former Root").intermediate("Old").pem;
        let notes = Rig::new(account).await.planned(json!({})).await["plan"]["notes"].take();
        let note = "The chain leads to another root: CN=Throwaway Root, before CN=Former Root.";
        assert!(notes.to_string().contains(note), "{notes}");
    }
}

/// One plan reports all problems, the most severe kind first, and is stored for operators.
#[tokio::test(start_paused = true)]
async fn findings_of_every_kind_at_once() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.put_source(&certificates().bad.source());
    account.add("E1", &old, &["api.example.net"], POLICY);
    let rig = Rig::new(account).await;
    let (name, cause) = rig.refuse("plan-rotation", &start(json!({"targets": ["E1", "E9"]}))).await;
    assert_eq!(name, "CertificateInvalid");
    for word in [
        "expired",
        "[AliasNotCovered] distribution E1",
        "[TargetNotRotatable] distribution E1",
        "[TargetNotRotatable] target E9",
    ] {
        assert!(cause.contains(word), "{word} is not in: {cause}");
    }
    let record = rig.object("rotations/autumn/20261123T110000Z/plan.json");
    assert!(record["findings"].as_array().unwrap().len() >= 6, "{record:#}");
}

/// A policy id is in no list, so the configuration is read; but only if the account has any policy.
#[tokio::test(start_paused = true)]
async fn configurations_are_read_only_if_there_are_policies() {
    let (mut account, _) = Account::with_old_in(Store::Acm);
    let rig = Rig::new(account.clone()).await;
    rig.planned(json!({})).await;
    assert_eq!(rig.count("GetDistributionConfig"), 0);
    let other = id(&json!({"store": "acm", "arn": "other"}));
    account.distributions.insert("E4".into(), Distribution::serving(&other, &[], POLICY));
    rig.reset(&account);
    rig.planned(json!({})).await;
    assert_eq!(rig.count("GetDistributionConfig"), 2);
}

/// 10,000 targets: the payloads of the state machine stay small, and the order of the pages is
/// irrelevant.
#[tokio::test(start_paused = true)]
async fn ten_thousand_distributions() {
    let mut account = Account::default();
    let old = account.put_acm(&certificates().old, &[("cert-rotation:source", SECRET)]);
    for n in 0..10_000 {
        account.add(&format!("E{n:05}"), &old, &["www.example.com"], "");
    }
    let rig = Rig::new(account.clone()).await;
    let request = json!({"concurrency": 40});
    let state = rig.planned(request.clone()).await;
    assert_eq!(state["plan"]["targets"]["total"], 10_000);
    assert!(state.to_string().len() < 8 * 1024, "{}", state.to_string().len());
    let targets = rig.targets(&state);
    let longest = targets.iter().map(|target| target.to_string().len()).max();
    assert!(longest < Some(100), "{longest:?}");
    assert_eq!(rig.count("ListDistributions"), 100);

    account.list_backwards = true;
    rig.reset(&account);
    assert_eq!(rig.planned(request).await, state);
    assert_eq!(rig.targets(&state), targets);
}

/// One rotation of a certificate at a time: see `rotation_core::plan::claim`.
#[tokio::test(start_paused = true)]
async fn a_certificate_is_claimed_by_one_execution_at_a_time() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let rig = Rig::new(account).await;
    let key = format!("claims/{}.json", old.id().rsplit('/').next().unwrap());
    let other = format!("{EXECUTION}-2");
    let second = |request: Value| {
        let mut state = start(request);
        state["execution"]["id"] = other.clone().into();
        state["execution"]["name"] = "autumn-2".into();
        state
    };
    rig.planned(json!({})).await;
    assert_eq!(rig.object(&key)["execution"], EXECUTION);
    let running = |status: &str| {
        rig.change(|account| {
            let execution = Execution::running(now()).is(status, now(), "", "");
            account.executions.insert(EXECUTION.to_owned(), execution);
        });
    };
    // The first execution is not visible in Step Functions yet, then it is running: the second one
    // changes nothing.
    let before = rig.account();
    let (name, told) = rig.refuse("plan-rotation", &second(json!({}))).await;
    assert_eq!(name, "Unavailable");
    assert!(told.contains("autumn has claimed it and is not known"), "{told}");
    assert_same(&before, &rig.account(), "not known");
    for status in ["RUNNING", "PENDING_REDRIVE"] {
        running(status);
        let before = rig.account();
        let (name, told) = rig.refuse("plan-rotation", &second(json!({}))).await;
        assert_eq!(name, "AlreadyRunning");
        assert!(told.starts_with("execution autumn: has been rotating arn:aws:acm"), "{told}");
        assert_same(&before, &rig.account(), status);
    }
    // A dry run is allowed, and the holder itself may plan again.
    assert_eq!(
        rig.succeed("plan-rotation", &second(json!({"dryRun": true}))).await["outcome"],
        "planned"
    );
    rig.planned(json!({})).await;
    // However the holder ended, its claim no longer counts.
    for status in ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"] {
        rig.reset(&before);
        running(status);
        rig.succeed("plan-rotation", &second(json!({}))).await;
        assert_eq!(rig.object(&key)["execution"], other);
    }
}

/// Case S2: one target that cannot be moved does not hold up the others.
#[tokio::test(start_paused = true)]
async fn s2_with_continue_a_rotation_begins_without_what_cannot_be_moved() {
    let (mut account, old) = Account::with_old_in(Store::Acm);
    account.add("E9", &old, &["other.example.org"], "");
    let rig = Rig::new(account).await;
    let (name, _) = rig.refuse("plan-rotation", &start(json!({}))).await;
    assert_eq!(name, "AliasNotCovered");
    let state = rig.planned(json!({"onFailure": "continue"})).await;
    let targets = &state["plan"]["targets"];
    assert_eq!((&targets["total"], &targets["held"]), (&json!(3), &json!(1)));
    assert!(state["plan"]["notes"].to_string().contains("Not moved: distribution E9: alias"));
    let lane = rig.object(targets["waves"][0][0].as_str().unwrap()).to_string();
    assert!(lane.contains("E1") && lane.contains("E2") && !lane.contains("E9"), "{lane}");
    // Nothing would be left.
    let all = json!({"onFailure": "continue", "targets": ["E9"]});
    let (name, _) = rig.refuse("plan-rotation", &start(all)).await;
    assert_eq!(name, "AliasNotCovered");
    // Or it is excluded, whatever onFailure says.
    let state = rig.planned(json!({"excludeTargets": ["E9"]})).await;
    let targets = &state["plan"]["targets"];
    assert_eq!((&targets["total"], &targets["excluded"]), (&json!(2), &json!(1)));
}

/// Case S2: what failed last is moved last.
#[tokio::test(start_paused = true)]
async fn s2_what_failed_in_the_last_attempt_is_moved_last() {
    let (account, _) = Account::with_old_in(Store::Acm);
    let rig = Rig::new(account).await;
    let order = |state: &Value| -> Vec<String> {
        let targets = rig.targets(state);
        targets.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let state = rig.imported(json!({})).await;
    assert_eq!(order(&state), ["E1", "E2"]);
    let mut failed = child(&state, &json!({"kind": "distribution", "id": "E1", "serves": "old"}));
    failed["failure"] = json!({"Error": "Refused", "Cause": "no"});
    rig.succeed("record-target", &failed).await;
    rig.change(|account| {
        let execution = Execution::running(now()).is("FAILED", now(), "RolledBack", "");
        account.executions.insert(EXECUTION.to_owned(), execution);
    });
    let mut second = start(json!({}));
    second["execution"]["id"] = format!("{EXECUTION}-2").into();
    second["execution"]["name"] = "autumn-2".into();
    // A step may run twice.
    for _ in 0..2 {
        second["plan"] = rig.succeed("plan-rotation", &second).await;
        assert_eq!(order(&second), ["E2", "E1"]);
    }
    // A redrive is another attempt; nothing failed in the one before.
    second["execution"]["redriveCount"] = 1.into();
    second["plan"] = rig.succeed("plan-rotation", &second).await;
    assert_eq!(order(&second), ["E1", "E2"]);
}

/// Case S2: the owner of a distribution has tagged it to be left alone.
#[tokio::test(start_paused = true)]
async fn s2_a_target_with_the_tag_ignore_is_left_alone() {
    for (value, left_out) in [("true", true), ("", true), ("ask web team", true), ("false", false)]
    {
        let (mut account, _) = Account::with_tenants();
        let tag = || vec![("cert-rotation:ignore".to_owned(), value.to_owned())];
        account.distribution("E2").tags = tag();
        account.tenants.get_mut("dt_1").unwrap().tags = tag();
        let rig = Rig::new(account).await;
        let state = rig.planned(json!({})).await;
        let planned = targets(&rig, &state);
        assert_eq!(planned.contains(&"E2 old".to_owned()), !left_out, "{value}: {planned:?}");
        assert_eq!(planned.contains(&"dt_1 old".to_owned()), !left_out, "{value}: {planned:?}");
        let count = if left_out { 2 } else { 0 };
        assert_eq!(state["plan"]["targets"]["excluded"], count, "{value}");
        let notes = state["plan"]["notes"].to_string();
        let note = "distribution E2 (tag cert-rotation:ignore)";
        assert_eq!(notes.contains(note), left_out, "{value}: {notes}");
    }
}

/// Case S22: with `continue` a distribution with a continuous-deployment policy does not hold up the
/// others.
#[tokio::test(start_paused = true)]
async fn s22_a_distribution_that_a_policy_holds_does_not_hold_up_the_others() {
    let (mut account, _) = Account::with_old_in(Store::Acm);
    account.distribution("E2").config.push_str(POLICY);
    let rig = Rig::new(account).await;
    let (name, _) = rig.refuse("plan-rotation", &start(json!({}))).await;
    assert_eq!(name, "TargetNotRotatable");
    let state = rig.planned(json!({"onFailure": "continue"})).await;
    let targets = &state["plan"]["targets"];
    assert_eq!((&targets["total"], &targets["held"]), (&json!(2), &json!(1)));
    let lane = rig.object(targets["waves"][0][0].as_str().unwrap()).to_string();
    assert!(lane.contains("E1") && !lane.contains("E2"), "{lane}");
}
