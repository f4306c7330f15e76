use rotation_core::ids::{CertificateId, Store};
use rotation_core::request::tags;
use serde_json::{Value, json};

use crate::harness::account::{Account, OBJECT, StoredCertificate, leaf_of};
use crate::harness::certificates::certificates;
use crate::harness::fake_aws::Kind;
use crate::harness::rig::{Rig, id};

const STORES: [Store; 2] = [Store::Acm, Store::Iam];

fn the_new_one(account: &mut Account, output: &Value) -> StoredCertificate {
    account.stored_mut(&id(&output["id"])).clone()
}

/// The number of certificates in the account with the new leaf.
fn copies(account: &Account) -> usize {
    let all = account.acm.values().chain(account.iam.values());
    all.filter(|one| leaf_of(&one.pem) == leaf_of(&certificates().new.pem)).count()
}

#[tokio::test(start_paused = true)]
async fn imports_from_and_into_each_store_inherit_tags() {
    for (from, to) in [0, 1, 2, 3].map(|n| (STORES[n / 2], STORES[n % 2])) {
        let (account, old) = Account::with_old_in(from);
        let mut rig = Rig::new(account).await;
        // Case S16: the stack's tags, for keys that the old certificate does not have.
        rig.context.settings.import_tags = tags::list("CostCenter=42,team=none").unwrap();
        let state = rig.planned(json!({"store": to})).await;
        let output = rig.succeed("import-certificate", &state).await;
        assert_eq!(output["imported"], true);
        assert_eq!(id(&output["id"]).store(), to);
        let stored = the_new_one(&mut rig.account(), &output);
        assert_eq!(leaf_of(&stored.pem), leaf_of(&certificates().new.pem));
        assert_eq!(leaf_of(&stored.chain), leaf_of(&certificates().new.chain));
        if to == Store::Iam {
            assert_eq!(stored.path, "/cloudfront/");
        }
        let replaces = match &old {
            CertificateId::Acm { arn } => arn.clone(),
            CertificateId::Iam { id, arn } => format!("{id} {arn}"),
        };
        let fingerprint = state["plan"]["newCertificate"]["fingerprint"].as_str().unwrap();
        for tag in [
            ("team", "web"),
            ("CostCenter", "42"),
            ("cert-rotation:source", "tls/www"),
            ("cert-rotation:fingerprint", fingerprint),
            ("cert-rotation:replaces", &replaces),
        ] {
            let tag = (tag.0.to_owned(), tag.1.to_owned());
            assert!(stored.tags.contains(&tag), "{tag:?}: {:?}", stored.tags);
        }
        assert_eq!(stored.tags.len(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn an_existing_import_is_reused() {
    for store in STORES {
        // In the store when the plan was made: not imported by this rotation.
        let (mut account, _) = Account::with_old_in(store);
        let there = match store {
            Store::Acm => account.put_acm(&certificates().new, &[]),
            Store::Iam => account.put_iam("new", &certificates().new, &[]),
        };
        let rig = Rig::new(account).await;
        let state = rig.planned(json!({})).await;
        let output = rig.succeed("import-certificate", &state).await;
        assert_eq!(output, json!({"id": there, "imported": false}));

        // Imported since then: by an earlier attempt.
        let rig = Rig::new(Account::with_old_in(store).0).await;
        let state = rig.planned(json!({})).await;
        let first = rig.succeed("import-certificate", &state).await;
        assert_eq!(rig.succeed("import-certificate", &state).await, first);
        assert_eq!(copies(&rig.account()), 1);
    }
}

/// IAM's names are unique, and the name identifies the certificate.
#[tokio::test(start_paused = true)]
async fn an_upload_is_found_by_name_before_the_list_shows_it() {
    let rig = Rig::new(Account::with_old_in(Store::Iam).0).await;
    let state = rig.planned(json!({})).await;
    let first = rig.succeed("import-certificate", &state).await;
    rig.change(|account| account.iam_list_lags = true);
    assert_eq!(rig.succeed("import-certificate", &state).await, first);
    assert_eq!(copies(&rig.account()), 1);

    // The name exists, but belongs to another certificate.
    let arn = id(&first["id"]).arn().to_owned();
    let name = arn.rsplit('/').next().unwrap().to_owned();
    rig.change(|account| {
        account.iam.get_mut(&name).unwrap().pem = certificates().other.pem.clone()
    });
    let (error, cause) = rig.refuse("import-certificate", &state).await;
    assert_eq!(error, "CertificateInvalid");
    assert!(cause.contains("a certificate of this name exists"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_changed_after_the_plan_is_refused() {
    for (content, name, told) in [
        (certificates().other.source(), "CertificateInvalid", "holds another certificate"),
        ("gone".to_owned(), "SourceUnreadable", "tls/www"),
    ] {
        let rig = Rig::new(Account::with_old_in(Store::Acm).0).await;
        let state = rig.planned(json!({})).await;
        rig.change(|account| account.put_source(&content));
        let (error, cause) = rig.refuse("import-certificate", &state).await;
        assert_eq!(error, name);
        assert!(cause.contains(told), "{cause}");
        assert_eq!(copies(&rig.account()), 0);
    }
    let (account, old) = Account::with_old_in(Store::Acm);
    let rig = Rig::new(account).await;
    let request = json!({"newCertificate": "s3://sources/www.pem", "oldCertificate": old.id()});
    let state = rig.planned(request).await;
    rig.change(|account| drop(account.objects.remove(OBJECT)));
    let (error, cause) = rig.refuse("import-certificate", &state).await;
    assert_eq!(error, "SourceUnreadable");
    assert!(cause.contains("does not exist"), "{cause}");
}

/// What was checked is imported, even if another path lives longer.
#[tokio::test(start_paused = true)]
async fn the_chain_of_the_plan_is_imported() {
    let trusted = leaf_of(&certificates().new.chain);
    for store in STORES {
        let (mut account, _) = Account::with_old_in(store);
        account.put_source(&certificates().crossed().source());
        let rig = Rig::new(account).await;
        let mut state = rig.planned(json!({})).await;
        let plan = &state["plan"];
        assert_eq!(plan["newCertificate"]["chain"], json!([trusted.fingerprint()]));
        let notes = plan["notes"].to_string();
        assert!(notes.contains("Left out of the chain, which leads to a trusted root"), "{notes}");

        // The plan is of a version that chose the chain at the import.
        let mut older = state.clone();
        older["plan"]["newCertificate"].as_object_mut().unwrap().remove("chain");
        // The source no longer has it.
        let shorter = certificates().crossed();
        let cross_only = shorter.chain.strip_suffix(&certificates().new.chain).unwrap().to_owned();
        rig.change(|account| {
            account
                .put_source(&rotation_test_pki::Issued { chain: cross_only, ..shorter }.source());
        });
        let (error, cause) = rig.refuse("import-certificate", &state).await;
        assert_eq!(error, "CertificateInvalid");
        assert!(cause.contains("another chain, than when the plan was made"), "{cause}");
        assert_eq!(copies(&rig.account()), 0);

        rig.change(|account| account.put_source(&certificates().crossed().source()));
        for state in [&mut older, &mut state] {
            let output = rig.succeed("import-certificate", state).await;
            let stored = the_new_one(&mut rig.account(), &output);
            assert_eq!(leaf_of(&stored.chain), trusted);
            rig.change(|account| match store {
                Store::Acm => account
                    .acm
                    .retain(|_, one| leaf_of(&one.pem) != leaf_of(&certificates().new.pem)),
                Store::Iam => account
                    .iam
                    .retain(|_, one| leaf_of(&one.pem) != leaf_of(&certificates().new.pem)),
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_stores_are_translated() {
    for (store, operation, code, name) in [
        (Store::Acm, "ImportCertificate", "LimitExceededException", "QuotaDenied"),
        (Store::Acm, "ImportCertificate", "ValidationException", "CertificateInvalid"),
        (Store::Acm, "ImportCertificate", "TooManyTagsException", "CertificateInvalid"),
        (Store::Acm, "ImportCertificate", "InvalidTagException", "CertificateInvalid"),
        // Case S16: an organization's policy demands a tag.
        (Store::Acm, "ImportCertificate", "TagPolicyException", "CertificateInvalid"),
        (Store::Acm, "ImportCertificate", "AccessDeniedException", "AccessDenied"),
        (Store::Acm, "ImportCertificate", "ConflictException", "Unavailable"),
        (Store::Iam, "UploadServerCertificate", "LimitExceeded", "QuotaDenied"),
        (Store::Iam, "UploadServerCertificate", "MalformedCertificate", "CertificateInvalid"),
        (Store::Iam, "UploadServerCertificate", "ServiceFailure", "Unavailable"),
    ] {
        let rig = Rig::new(Account::with_old_in(store).0).await;
        let state = rig.planned(json!({})).await;
        let status = if code == "ServiceFailure" { 500 } else { 400 };
        rig.fail(operation, Kind::Answer(status, code, "told so"));
        let (error, cause) = rig.refuse("import-certificate", &state).await;
        assert_eq!(error, name, "{code}");
        assert!(cause.contains("told so"), "{cause}");
        assert_eq!(cause.contains("tags of the old certificate"), code.contains("Tag"), "{cause}");
        // Neither call is idempotent: one attempt each.
        assert_eq!(
            rig.calls().iter().find(|call| call.operation == operation).unwrap().attempts,
            1
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_full_although_the_quotas_showed_room() {
    for store in STORES {
        let (mut account, _) = Account::with_old_in(store);
        (account.acm_room, account.iam_room) = (2, 1);
        let rig = Rig::new(account).await;
        let state = rig.planned(json!({})).await;
        let (error, cause) = rig.refuse("import-certificate", &state).await;
        assert_eq!(error, "QuotaDenied");
        assert!(cause.contains("although the quotas showed room"), "{cause}");
    }
}

/// Another user has deleted the old certificate meanwhile: there are no tags to inherit.
#[tokio::test(start_paused = true)]
async fn an_old_certificate_that_was_deleted_meanwhile() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let rig = Rig::new(account).await;
    let state = rig.planned(json!({})).await;
    rig.change(|account| drop(account.acm.remove(old.arn())));
    let output = rig.succeed("import-certificate", &state).await;
    assert_eq!(the_new_one(&mut rig.account(), &output).tags.len(), 2);
}

/// Case S40: another program imports into the old ARN between the plan and the import.
#[tokio::test(start_paused = true)]
async fn an_old_certificate_that_was_reimported_is_planned_for_again() {
    let (account, old) = Account::with_old_in(Store::Acm);
    let rig = Rig::new(account).await;
    let state = rig.planned(json!({})).await;
    rig.change(|account| account.stored_mut(&old).pem = certificates().other.pem.clone());
    let (error, cause) = rig.refuse("import-certificate", &state).await;
    assert_eq!(error, "CertificateNotFound");
    assert!(cause.contains("imported another certificate into it since the plan"), "{cause}");
    assert_eq!(copies(&rig.account()), 0);
}
