"""Whole rotations on the local AWS: the deployed template, the built functions, the state machine.

Every test checks the state of the account afterwards, not only the execution's output. Mistakes that other tools make:

    a certificate that covers one alias of three breaks the others      test_one_alias_of_three
    an edit between read and write ends the run, or is overwritten      test_another_user_edits_at_the_same_time
    throttling ends the run half-way                                    test_throttling_is_retried
    only the first hundred distributions are found                      test_several_pages_of_distributions
    imported ACM certificates are mistaken for renewed ones             test_all_four_ways
    a certificate is matched by name, and the wrong one deleted         test_other_certificates_are_not_deleted
    TLS policy or SSL method change to a default                        test_tls_policy_and_ssl_method_stay
    a retry uploads the certificate again                               test_a_lost_response_never_imports_twice
    the old certificate is deleted while in use, or retried for ever    test_the_old_certificate_is_still_used
    the new certificate exceeds the dedicated-IP limit                  test_dedicated_ip_quota
    throttling ends the run half-way                                    test_an_account_that_cloudfront_throttles
    a failed target is ignored and the run reported as a success        test_a_failure_stops_the_rotation
    other targets in progress continue after a failure                  test_a_failure_stops_all_lanes
    a failure leaves half the distributions on a bad certificate        test_a_failure_is_rolled_back
    "Deployed" is trusted, whatever viewers are served                  test_a_wrong_certificate_is_rolled_back
    two runs at once undo each other's work                             test_one_rotation_of_a_certificate_at_a_time
    a lock is left behind by a run that failed                          test_the_claim_of_an_ended_execution_is_ignored
    a lost response leaves a change half done, or done twice            test_the_response_to_every_call_is_lost_once
"""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import pytest

from local_aws.pki import key_pem
from local_aws.platform import Execution, LocalAws, as_bundle, as_json, until
from rotations.account import IMPORTS, SOURCE_BUCKET, WRITES, Account


def counts(total: int, **others: int) -> dict[str, int]:
    return {
        "total": total,
        "updated": 0,
        "alreadyCurrent": 0,
        "drifted": 0,
        "gone": 0,
        "failed": 0,
        "excluded": 0,
    } | others


def rotated(execution: Execution, deleted: bool = True, **expected: int) -> Any:
    """The execution's output, if it rotated what was expected."""
    assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
    output = execution.output
    assert output["outcome"] == "rotated"
    assert output["targets"] == counts(sum(expected.values()), **expected)
    assert output["oldCertificate"]["deleted"] is deleted
    return output


@pytest.mark.parametrize("old_store", ["acm", "iam"])
@pytest.mark.parametrize("new_store", ["acm", "iam"])
def test_all_four_ways(account: Account, old_store: str, new_store: str) -> None:
    old_leaf, new_leaf = account.leaf("*.example.com", days=20), account.leaf("*.example.com", days=199)
    old = account.stored(old_store, old_leaf, team="web")
    targets = account.targets(old)
    output = rotated(account.rotate(account.secret(new_leaf), old, store=new_store), updated=3)
    new = output["newCertificate"]["id"]
    assert account.serving(*targets) == [new] * 3
    assert all(account.distributions()[target]["status"] == "Deployed" for target in targets)
    assert account.certificates() == {new}
    assert output["oldCertificate"]["id"] == old
    assert output["oldCertificate"]["fingerprint"] == f"sha256:{old_leaf.fingerprint}"
    assert output["newCertificate"]["fingerprint"] == f"sha256:{new_leaf.fingerprint}"
    assert output["newCertificate"]["imported"] is True
    assert parsed(output["newCertificate"]["notAfter"]) == new_leaf.certificate.not_valid_after_utc
    state = account.aws.state()
    [stored] = state["acm_certificates"] + state["iam_certificates"]
    tags = {tag["Key"]: tag["Value"] for tag in stored["Tags"]} if new_store == "iam" else stored["Tags"]
    assert tags["team"] == "web"
    assert tags["cert-rotation:fingerprint"] == f"sha256:{new_leaf.fingerprint}"


def parsed(timestamp: str) -> dt.datetime:
    return dt.datetime.fromisoformat(timestamp)


def test_several_pages_of_distributions(account: Account) -> None:
    old, other = account.old(), account.old("acm", "*.example.org")
    mine = [{"aliases": [f"site{n}.example.com"], "certificate": old} for n in range(130)]
    others = [{"aliases": [f"site{n}.example.org"], "certificate": other} for n in range(130)]
    mixed = [one for pair in zip(mine, others, strict=True) for one in pair]
    ids = account.seed(*mixed)
    execution = account.rotate(account.new(), old, seconds=300, concurrency=20)
    output = rotated(execution, updated=130)
    assert account.serving(*ids[::2]) == [output["newCertificate"]["id"]] * 130
    assert account.serving(*ids[1::2]) == [other] * 130
    after = account.distributions()
    assert all(after[target]["versions"] == 1 for target in ids[1::2])
    # The data passed between states must not grow with the number of targets.
    history = account.aws.client("stepfunctions").get_paginator("get_execution_history")
    events = json.dumps(list(history.paginate(executionArn=execution.arn)), default=str)
    assert not any(target in events for target in ids)


def test_an_account_that_cloudfront_throttles(account: Account) -> None:
    old = account.old()
    account.targets(old, 200)
    # Forty lanes call faster than that.
    for operation, rate, burst in (("Update*", 20, 4), ("Get*", 60, 10), ("List*", 1, 1)):
        account.fault(operation, code="Throttling", message="Rate exceeded", rate=rate, burst=burst, times=1_000_000)
    rotated(account.rotate(account.new(), old, seconds=300, concurrency=50), updated=200)
    fired = {fault["operation"]: fault["fired"] for fault in account.aws.state()["faults"]}
    assert all(fired.values()), fired
    # What was retried was done once.
    assert {target["versions"] for target in account.distributions().values()} == {2}


@pytest.mark.parametrize("concurrency", [None, 3])
def test_never_more_in_progress_than_concurrency(account: Account, concurrency: int | None) -> None:
    old = account.old()
    account.targets(old, 9)
    rotated(account.rotate(account.new(), old, concurrency=concurrency), updated=9)
    assert account.most_in_progress() == (concurrency or 1)


def test_a_tenant(account: Account) -> None:
    cloudfront = account.aws.client("cloudfront")
    old = account.old()
    [template] = account.seed({"aliases": [], "certificate": old, "connection_mode": "tenant-only"})
    tenant = cloudfront.create_distribution_tenant(
        DistributionId=template,
        Name="one",
        Domains=[{"Domain": "tenant.example.com"}],
        Customizations={"Certificate": {"Arn": old}, "GeoRestrictions": {"RestrictionType": "none"}},
        Parameters=[{"Name": "colour", "Value": "green"}],
    )["DistributionTenant"]["Id"]
    account.aws.control("POST", f"tenant/{tenant}", {"edit_on_read": 1})
    output = rotated(account.rotate(account.new(), old), updated=2)
    new = output["newCertificate"]["id"]
    answer = cloudfront.get_distribution_tenant(Identifier=tenant)["DistributionTenant"]
    assert answer["Customizations"]["Certificate"] == {"Arn": new}
    assert answer["Customizations"]["GeoRestrictions"] == {"RestrictionType": "none"}
    colour, edit = answer["Parameters"]
    assert (colour, edit["Name"]) == ({"Name": "colour", "Value": "green"}, "edited"), "by somebody else, meanwhile"
    assert account.serving(template) == [new]
    assert account.certificates() == {new}


def test_a_tenants_domain_under_the_templates_certificate(account: Account) -> None:
    old = account.old("acm", "www.example.com", "tenant.example.org")
    [template] = account.seed({"aliases": [], "certificate": old, "connection_mode": "tenant-only"})
    account.aws.client("cloudfront").create_distribution_tenant(
        DistributionId=template, Name="one", Domains=[{"Domain": "tenant.example.org"}]
    )
    account.settle()
    account.refused(account.new("www.example.com"), old, "AliasNotCovered", template, "tenant.example.org")


def test_multi_tenant_targets_stay_in_acm(account: Account) -> None:
    old = account.old()
    [template] = account.seed({"aliases": [], "certificate": old, "connection_mode": "tenant-only"})
    account.refused(account.new(), old, "TargetNotRotatable", template, "ACM", store="iam")


def test_a_staging_distribution_is_rotated_too(account: Account) -> None:
    old = account.old()
    ids = account.seed(
        {"aliases": ["www.example.com"], "certificate": old},
        {"aliases": [], "certificate": old, "staging": True},
    )
    output = rotated(account.rotate(account.new(), old), updated=2)
    assert account.serving(*ids) == [output["newCertificate"]["id"]] * 2


def test_a_staging_distribution_must_not_be_left_behind(account: Account) -> None:
    old = account.old()
    primary, staging = account.seed(
        {"aliases": ["www.example.com"], "certificate": old},
        {"aliases": [], "certificate": old, "staging": True},
    )
    words = (staging, "restore the old certificate")
    account.refused(account.new(), old, "TargetNotRotatable", *words, targets=[primary])


def test_a_continuous_deployment_policy_prevents_a_rotation(account: Account) -> None:
    old = account.old()
    primary, staging, policy = account.with_policy(old)
    account.refused(account.new(), old, "TargetNotRotatable", primary, staging, policy, "Detach")


def test_one_alias_of_three(account: Account) -> None:
    old = account.old("acm", "a.example.com", "b.example.com", "c.example.com")
    names = ["a.example.com", "b.example.com", "c.example.com"]
    ids = account.seed(*({"aliases": [name], "certificate": old} for name in names))
    words = (ids[1], "b.example.com", ids[2], "c.example.com")
    assert ids[0] not in account.refused(account.new("a.example.com"), old, "AliasNotCovered", *words)


def test_all_findings_are_reported_at_once(account: Account) -> None:
    old = account.old("acm", "a.example.com", "b.example.com", days=100)
    other = account.old("acm", "other.example.com")
    covered, uncovered, foreign = account.seed(
        {"aliases": ["a.example.com"], "certificate": old, "http_version": "http2"},
        {"aliases": ["b.example.com"], "certificate": old, "http_version": "http3"},
        {"aliases": ["other.example.com"], "certificate": other},
    )
    account.refused(
        *(account.shorter("a.example.com", days=50), old),
        *("CertificateInvalid", "[AliasNotCovered]", uncovered, "[TargetNotRotatable]", foreign, "E0NOWHERE"),
        targets=[covered, uncovered, foreign, "E0NOWHERE"],
    )


def test_mixed_http_versions(account: Account) -> None:
    old = account.old()
    ids = account.seed(
        {"aliases": ["a.example.com"], "certificate": old},
        {"aliases": ["b.example.com"], "certificate": old},
        {"aliases": ["c.example.com"], "certificate": old, "http_version": "http3"},
    )
    # CloudFront lets them share the old certificate, so they may share the new one.
    output = rotated(account.rotate(account.new(), old), updated=3)
    assert any(ids[2] in note and "http3" in note for note in output["notes"]), output["notes"]


def test_http_versions_that_would_be_mixed_by_the_rotation(account: Account) -> None:
    old, leaf = account.old(), account.leaf("www.example.com", "*.example.com", days=199)
    account.seed(
        {"aliases": ["a.example.com"], "certificate": old},
        {"aliases": ["b.example.com"], "certificate": old},
    )
    [other] = account.seed(
        {"aliases": ["c.example.com"], "certificate": account.stored("acm", leaf), "http_version": "http3"}
    )
    account.refused(account.secret(leaf), old, "TargetNotRotatable", other, "http3")


@pytest.mark.parametrize("store", ["acm", "iam"])
def test_a_quota_increase_is_granted(account: Account, store: str) -> None:
    old = account.old(store)
    account.targets(old)
    code = "L-D2CB7DE9" if store == "acm" else "L-BF35879D"
    account.settings(quotas={code: 1}, quota_decision={"*": "approve", "after_seconds": 2})
    rotated(account.rotate(account.new(), old), updated=3)
    assert len(account.calls("RequestServiceQuotaIncrease")) == 1
    assert [one["quota"] for one in account.aws.state()["quota_requests"]] == [code]


def test_a_quota_increase_is_denied(account: Account) -> None:
    old = account.old()
    account.targets(old)
    account.settings(quotas={"L-D2CB7DE9": 1}, quota_decision={"*": "deny", "after_seconds": 1})
    account.refused(account.new(), old, "QuotaDenied", "imported certificates", "L-D2CB7DE9", "AWS Support")
    assert len(account.calls("RequestServiceQuotaIncrease")) == 1


def test_an_open_quota_request_is_not_repeated(account: Account) -> None:
    old = account.old()
    account.targets(old, 1)
    account.settings(quotas={"L-D2CB7DE9": 1}, quota_decision={"*": "hold"})
    client = account.aws.client("service-quotas")
    opened = client.request_service_quota_increase(ServiceCode="acm", QuotaCode="L-D2CB7DE9", DesiredValue=10.0)
    execution = account.begin(account.new(), old)
    time.sleep(3)
    assert execution.running()
    account.aws.control("POST", f"quota-request/{opened['RequestedQuota']['Id']}", {"status": "APPROVED"})
    rotated(execution.wait(), updated=1)
    assert len(account.calls("RequestServiceQuotaIncrease")) == 1


@pytest.mark.parametrize("known", [None, "absent"])
def test_a_quota_that_service_quotas_does_not_have(account: Account, known: str | None) -> None:
    old = account.old()
    account.targets(old, 1)
    account.settings(quotas={"L-D2CB7DE9": known, "L-3808DC70": known})
    rotated(account.rotate(account.new(), old), updated=1)


def test_dedicated_ip_quota(account: Account) -> None:
    old, other = account.old(), account.old("acm", "www.example.org")
    account.seed(
        {"aliases": ["www.example.com"], "certificate": old, "ssl_support_method": "vip"},
        {"aliases": ["www.example.org"], "certificate": other, "ssl_support_method": "vip"},
    )
    account.settings(quota_decision={"*": "deny", "after_seconds": 0})
    account.refused(account.new(), old, "QuotaDenied", "dedicated IP", "Dedicated IP SSL Certificate Limit")


def test_dedicated_ip_with_room(account: Account) -> None:
    old = account.old()
    [target] = account.seed({"aliases": ["www.example.com"], "certificate": old, "ssl_support_method": "vip"})
    output = rotated(account.rotate(account.new(), old), updated=1)
    assert account.config(target)["ViewerCertificate"]["SSLSupportMethod"] == "vip"
    assert any(target in note and "charges" in note for note in output["notes"])


def test_another_user_edits_at_the_same_time(account: Account) -> None:
    old = account.old()
    targets = account.targets(old)
    for target in targets:
        account.command(target, edit_on_read=1)
    rotated(account.rotate(account.new(), old), updated=3)
    assert len([call for call in account.calls("UpdateDistribution") if call["status"] == 412]) == 3
    assert all(account.config(target)["Comment"].startswith("edited") for target in targets)


@pytest.mark.parametrize(
    "fault",
    [
        {"code": "Throttling", "message": "Rate exceeded", "times": 9},
        {"code": "ServiceUnavailable", "status": 503, "times": 7},
        {"code": "InvalidViewerCertificate", "message": "doesn't exist yet", "times": 3},
        {
            "code": "IllegalUpdate",
            "message": "Only one viewer certificate change may be in progress at a time.",
            "times": 3,
        },
    ],
    ids=lambda fault: fault["code"],
)
def test_throttling_is_retried(account: Account, fault: dict[str, Any]) -> None:
    old = account.old()
    account.targets(old)
    account.fault("UpdateDistribution", skip=1, **fault)
    rotated(account.rotate(account.new(), old), updated=3)


def test_a_target_vanishes(account: Account) -> None:
    old = account.old()
    targets = sorted(account.targets(old))
    account.command(targets[1], vanish_on_read=True)
    output = rotated(account.rotate(account.new(), old), updated=2, gone=1)
    assert account.serving(targets[0], targets[2]) == [output["newCertificate"]["id"]] * 2


def test_a_target_drifts(account: Account) -> None:
    old, third = account.old(), account.old()
    targets = sorted(account.targets(old))
    account.command(targets[1], drift_on_read={"ACMCertificateArn": third})
    output = rotated(account.rotate(account.new(), old), updated=2, drifted=1)
    new = output["newCertificate"]["id"]
    assert account.serving(*targets) == [new, third, new]
    assert account.certificates() == {new, third}


def test_a_dry_run_changes_nothing(account: Account) -> None:
    old = account.old()
    account.targets(old)
    before, made = account.world(), len(account.calls(*WRITES))
    execution = account.rotate(account.new(), old, dryRun=True)
    assert execution.output["outcome"] == "planned"
    assert execution.output["targets"] == counts(3)
    assert execution.output["newCertificate"]["imported"] is False
    assert account.world() == before
    assert len(account.calls(*WRITES)) == made
    bucket, _, key = execution.output["plan"].removeprefix("s3://").partition("/")
    plan = json.loads(account.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert sorted(target["target"]["id"] for target in plan["targets"]) == sorted(account.distributions())


def test_named_targets_only(account: Account) -> None:
    old = account.old()
    targets = account.targets(old)
    new = account.new()
    output = rotated(account.rotate(new, old, targets=targets[:1]), updated=1, deleted=False)
    assert account.serving(*targets) == [output["newCertificate"]["id"], old, old]
    assert "still served by" in output["oldCertificate"]["reason"]
    # The same again with one more target: what was moved stays, and nothing is imported again.
    output = rotated(account.rotate(new, old, targets=targets[:2]), updated=1, alreadyCurrent=1, deleted=False)
    assert output["newCertificate"]["imported"] is False
    # Then the remaining target: now the old certificate can be deleted.
    output = rotated(account.rotate(new, old), updated=1, alreadyCurrent=2)
    assert account.certificates() == {output["newCertificate"]["id"]}


def test_a_named_target_on_a_third_certificate(account: Account) -> None:
    old, third = account.old(), account.old()
    account.seed({"aliases": ["a.example.com"], "certificate": old})
    [foreign] = account.seed({"aliases": ["b.example.com"], "certificate": third})
    account.refused(account.new(), old, "TargetNotRotatable", foreign, targets=[foreign])


def test_retained_for_days() -> None:
    # A day takes 1.7 seconds here, and polls of a deployment follow each other at once.
    with LocalAws(propagation_seconds=0.3, wait_scale=0.00002) as aws:
        aws.deploy()
        account = Account(aws)
        old = account.old()
        targets = account.targets(old)
        new = rotated(account.rotate(account.new(), old, retainOldDays=2), updated=3)["newCertificate"]["id"]
        assert account.certificates() == {new}
        [deleted], moved = account.calls("DeleteCertificate"), account.calls("UpdateDistribution")
        assert deleted["time"] - max(call["time"] for call in moved) > 2 * 24 * 3600 * aws.wait_scale

        # A distribution that uses the certificate in the meantime prevents its deletion.
        execution = account.begin(account.new(days=299), new, retainOldDays=4)
        until(lambda: new not in account.serving(*targets))
        [late] = account.seed({"aliases": ["late.example.com"], "certificate": new})
        output = rotated(execution.wait(), updated=3, deleted=False)
        assert late in output["oldCertificate"]["reason"]
        assert account.serving(late) == [new] and new in account.certificates()


def test_the_old_certificate_is_kept_with_delete_old_false(account: Account) -> None:
    old = account.old()
    account.targets(old)
    output = rotated(account.rotate(account.new(), old, deleteOld=False), updated=3, deleted=False)
    assert account.certificates() == {old, output["newCertificate"]["id"]}


def test_the_old_certificate_is_still_used(account: Account) -> None:
    old = account.old()
    account.targets(old)
    balancer = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/www/0123456789abcdef"
    account.aws.control("POST", "acm/in-use", {"arn": old, "by": [balancer]})
    output = rotated(account.rotate(account.new(), old), updated=3, deleted=False)
    assert balancer in output["oldCertificate"]["reason"]
    assert any(balancer in note for note in output["notes"])
    assert old in account.certificates() and not account.calls("DeleteCertificate")


@pytest.mark.parametrize("store", ["acm", "iam"])
def test_the_store_reports_the_certificate_in_use_for_a_while(account: Account, store: str) -> None:
    old = account.old(store)
    account.targets(old)
    account.settings(in_use_lag_seconds=0.7)
    rotated(account.rotate(account.new(), old), updated=3)
    assert old not in account.certificates()


def test_acm_reports_the_certificate_in_use_for_too_long(account: Account) -> None:
    old = account.old()
    account.targets(old)
    account.settings(in_use_lag_seconds=600)
    output = rotated(account.rotate(account.new(), old), updated=3, deleted=False)
    assert "ACM still reports it in use" in output["oldCertificate"]["reason"]
    assert old in account.certificates()


def test_other_certificates_are_not_deleted(account: Account) -> None:
    names = ("www.example.com", "*.example.com")
    bystanders = [
        *(account.old("acm", *names) for _ in range(2)),
        account.old("acm", "le-www.example.com"),
        account.old("iam", *names),
        account.old("iam", "notexample.com"),
    ]
    old = account.old("acm", *names)
    account.targets(old)
    output = rotated(account.rotate(account.new(), old), updated=3)
    assert account.certificates() == {*bystanders, output["newCertificate"]["id"]}


def test_tls_policy_and_ssl_method_stay(account: Account) -> None:
    old = account.old()
    settings = [("sni-only", "TLSv1.2_2019"), ("sni-only", "TLSv1.3_2025"), ("static-ip", "TLSv1.2_2021")]
    targets = account.seed(
        *(
            {
                "aliases": [f"site{n}.example.com"],
                "certificate": old,
                "ssl_support_method": method,
                "minimum_protocol_version": policy,
            }
            for n, (method, policy) in enumerate(settings)
        )
    )
    before = [account.config(target) for target in targets]
    rotated(account.rotate(account.new(), old, store="iam"), updated=3)
    for target, was, (method, policy) in zip(targets, before, settings, strict=True):
        now = account.config(target)
        viewer = now.pop("ViewerCertificate")
        was.pop("ViewerCertificate")
        assert now == was
        assert (viewer["SSLSupportMethod"], viewer["MinimumProtocolVersion"]) == (method, policy)


def test_a_setting_that_no_sdk_has_is_kept(account: Account) -> None:
    old = account.old()
    [target] = account.targets(old, 1)
    account.command(target, inject_xml='<QuantumSettings mode="entangled"><Spin>up</Spin></QuantumSettings>')
    account.settle()
    rotated(account.rotate(account.new(), old), updated=1)
    document = account.aws.control("GET", f"distribution/{target}")["document"]
    assert 'QuantumSettings mode="entangled"' in document and "<Spin>up</Spin>" in document.replace("ns0:", "")


def test_the_same_rotation_again_changes_nothing(account: Account) -> None:
    old, new = account.old(), account.new()
    account.targets(old)
    first = rotated(account.rotate(new, old), updated=3)
    before = account.world()
    second = account.rotate(new, old).output
    assert second["outcome"] == "nothingToDo"
    assert second["newCertificate"]["id"] == first["newCertificate"]["id"]
    assert second["newCertificate"]["imported"] is False
    assert second["oldCertificate"]["deleted"] is True
    assert account.world() == before


def test_without_targets_nothing_changes(account: Account) -> None:
    old = account.old()
    assert account.rotate(account.new(), old).output["outcome"] == "nothingToDo"
    assert account.certificates() == {old}, "an unused certificate is not this rotation's to delete"


@pytest.mark.parametrize("store", ["acm", "iam"])
def test_a_lost_response_never_imports_twice(account: Account, store: str) -> None:
    old = account.old(store)
    account.targets(old)
    operation = IMPORTS[0] if store == "acm" else IMPORTS[1]
    before = len(account.calls(operation))
    account.fault(operation, service=store, code="InternalFailure", status=500, after_effect=True)
    output = rotated(account.rotate(account.new(), old), updated=3)
    assert output["newCertificate"]["imported"] is True
    assert account.certificates() == {output["newCertificate"]["id"]}
    assert len(account.calls(operation)) == before + 1


def test_a_lost_response_to_an_update(account: Account) -> None:
    old = account.old()
    targets = account.targets(old)
    account.fault("UpdateDistribution", code="InternalError", status=500, after_effect=True, skip=1)
    rotated(account.rotate(account.new(), old), updated=3)
    assert [account.distributions()[target]["versions"] for target in targets] == [2, 2, 2]


def test_a_failure_is_rolled_back(account: Account) -> None:
    old, new = account.old(), account.new()
    targets = sorted(account.targets(old))
    account.fault("UpdateDistribution", code="InvalidWebACLId", message="no such ACL", resource=targets[1], times=99)
    execution = account.rotate(new, old)
    assert (execution.status, execution.error) == ("FAILED", "RolledBack")
    for word in (targets[1], "InvalidWebACLId", "no such ACL", "start a rotation with the same input"):
        assert word in execution.cause
    assert account.serving(*targets) == [old] * 3
    after = account.distributions()
    assert [after[target]["versions"] for target in targets] == [3, 1, 1], "there and back, and no further one is begun"
    assert {one["status"] for one in after.values()} == {"Deployed"}
    assert len(account.certificates()) == 2, "the new one waits in its store"
    # The cause is removed; the same input finds the imported certificate.
    account.aws.control("DELETE", "faults")
    output = rotated(account.rotate(new, old), updated=3)
    assert output["newCertificate"]["imported"] is False


def test_a_failure_stops_the_rotation(account: Account) -> None:
    old, new = account.old(), account.new()
    targets = sorted(account.targets(old))
    account.fault("UpdateDistribution", code="InvalidWebACLId", message="no such ACL", resource=targets[1], times=99)
    execution = account.rotate(new, old, onFailure="stop")
    assert (execution.status, execution.error) == ("FAILED", "RotationIncomplete")
    for word in (targets[1], "InvalidWebACLId", "no such ACL", targets[2], "start a rotation with the same input"):
        assert word in execution.cause
    serving = account.serving(*targets)
    assert serving[0] != old and serving[1:] == [old, old]
    assert account.distributions()[targets[2]]["versions"] == 1, "no further one is begun"
    assert set(serving) == account.certificates()
    # The cause is removed; the same input continues with the remaining targets.
    account.aws.control("DELETE", "faults")
    output = rotated(account.rotate(new, old), updated=2, alreadyCurrent=1)
    assert account.serving(*targets) == [output["newCertificate"]["id"]] * 3
    assert output["newCertificate"]["id"] == serving[0]


@pytest.mark.parametrize("on_failure", ["rollback", "stop"])
def test_a_bad_certificate_reaches_one_distribution_only(account: Account, on_failure: str) -> None:
    old = account.old()
    targets = account.targets(old, 9)
    account.fault("UpdateDistribution", code="InvalidWebACLId", resource=min(targets), times=99)
    execution = account.rotate(account.new(), old, concurrency=3, onFailure=on_failure)
    assert execution.error == {"rollback": "RolledBack", "stop": "RotationIncomplete"}[on_failure]
    assert {one["versions"] for one in account.distributions().values()} == {1}, "no other was begun"


def test_a_failure_stops_all_lanes(account: Account) -> None:
    old = account.old()
    targets = sorted(account.targets(old, 9))
    # The first target goes alone. Of the three lanes that follow, one starts with the second target, which fails; the
    # other two complete the targets they have started.
    account.fault("UpdateDistribution", code="InvalidWebACLId", resource=targets[1], times=99)
    execution = account.rotate(account.new(), old, concurrency=3, onFailure="stop")
    assert (execution.error, "3 of 9 targets serve the new" in execution.cause) == ("RotationIncomplete", True)
    after = account.distributions()
    assert [after[target]["versions"] for target in targets] == [2, 1, 2, 2, 1, 1, 1, 1, 1]
    assert {one["status"] for one in after.values()} == {"Deployed"}


def test_a_rollback_keeps_to_the_concurrency(account: Account) -> None:
    old = account.old()
    targets = sorted(account.targets(old, 8))
    account.fault("UpdateDistribution", code="InvalidWebACLId", resource=targets[-1], times=99)
    assert account.rotate(account.new(), old, concurrency=3).error == "RolledBack"
    assert account.serving(*targets) == [old] * 8
    assert account.most_in_progress() == 3


def test_a_wrong_certificate_is_rolled_back(account: Account) -> None:
    old = account.old()
    targets = sorted(account.targets(old))
    account.command(targets[1], edge={"stale_seconds": 36_000})
    execution = account.rotate(account.new(), old)
    # Its edges keep the old certificate.
    assert execution.error == "RolledBack"
    for word in ("WrongCertificateServed", targets[1], "site"):
        assert word in execution.cause, execution.cause
    assert account.serving(*targets) == [old] * 3

    account.command(targets[1], edge=None)
    rotated(account.rotate(account.new(), old), updated=3)


def test_s8_an_edge_that_served_another_certificate_before_costs_no_rollback(account: Account) -> None:
    old, other = account.old(), account.old()
    targets = sorted(account.targets(old))
    account.command(targets[1], edge={"serve": other})
    output = rotated(account.rotate(account.new(), old), updated=3)
    assert any("Before the rotation" in note and targets[1] in note for note in output["notes"]), output


def test_s2_one_bad_target_does_not_hold_up_the_others(account: Account) -> None:
    old, new = account.old(), account.new()
    targets = sorted(account.targets(old))
    account.command(targets[1], edge={"stale_seconds": 36_000})
    execution = account.rotate(new, old, onFailure="continue")
    assert execution.error == "RotationIncomplete"
    for word in (f"distribution {targets[1]} failed with WrongCertificateServed", "onFailure is continue"):
        assert word in execution.cause, execution.cause
    serving = account.serving(*targets)
    assert serving[1] == old and old not in (serving[0], serving[2]), serving

    account.command(targets[1], edge=None)
    rotated(account.rotate(new, old), updated=1, alreadyCurrent=2)


def test_s2_excluded_targets_keep_the_old_certificate(account: Account) -> None:
    old = account.old()
    targets = sorted(account.targets(old))
    execution = account.rotate(account.new(), old, excludeTargets=[targets[1]])
    assert execution.status == "SUCCEEDED", execution.cause
    output = execution.output
    assert output["targets"] == counts(2, updated=2, excluded=1)
    assert account.serving(targets[1]) == [old]
    assert targets[1] in output["oldCertificate"]["reason"]


def test_s1_a_certificate_that_ends_earlier_is_rotated_if_allowed(account: Account) -> None:
    old = account.old()
    account.targets(old)
    output = rotated(account.rotate(account.shorter(days=10), old, allowEarlierExpiry=True), updated=3)
    assert any("not clearly issued after the old one" in note for note in output["notes"]), output


def test_s1_a_reissue_that_ends_earlier_is_rotated(account: Account) -> None:
    old_leaf = account.leaf(
        "www.example.com", "*.example.com", days=20, not_before=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    )
    old = account.stored("acm", old_leaf)
    account.targets(old)
    output = rotated(account.rotate(account.new(days=10), old), updated=3)
    assert any("it was issued after the old one" in note for note in output["notes"]), output
    assert any("onFailure: stop" in note for note in output["notes"]), output


def test_s16_tags_of_the_input_and_of_the_stack_reach_the_new_certificate(account: Account) -> None:
    old = account.old(team="web")
    account.targets(old)
    output = rotated(account.rotate(account.new(), old, tags={"CostCenter": "42"}), updated=3)
    arn = output["newCertificate"]["id"]
    tags = account.aws.client("acm").list_tags_for_certificate(CertificateArn=arn)["Tags"]
    given = {tag["Key"]: tag["Value"] for tag in tags if not tag["Key"].startswith("cert-rotation:")}
    assert given == {"CostCenter": "42", "team": "web", "stage": "test"}


def test_verification_waits_for_a_late_edge(account: Account) -> None:
    old = account.old()
    targets = account.targets(old)
    account.command(targets[0], edge={"stale_seconds": 0.5})
    rotated(account.rotate(account.new(), old), updated=3)


def test_without_verification_no_edge_is_checked(account: Account) -> None:
    old, other = account.old(), account.old()
    targets = account.targets(old)
    for target in targets:
        account.command(target, edge={"serve": other})
    rotated(account.rotate(account.new(), old, verifyViewers=False), updated=3)


def test_one_rotation_of_a_certificate_at_a_time(account: Account) -> None:
    old = account.old()
    targets = account.targets(old, 4)
    first = account.begin(account.new(), old)
    until(lambda: old != account.serving(*targets)[0])
    second = account.rotate(account.new(days=150), old)
    assert second.error == "AlreadyRunning"
    assert first.arn.rsplit(":", 1)[-1] in second.cause, "by the name of the first"
    rotated(first.wait(), updated=4)
    # Rotations of different certificates run in parallel.
    one, two = account.old(), account.old()
    account.seed(
        {"aliases": ["one.example.com"], "certificate": one}, {"aliases": ["two.example.com"], "certificate": two}
    )
    both = [account.begin(account.new(), certificate) for certificate in (one, two)]
    for execution in both:
        rotated(execution.wait(), updated=1)


def test_the_claim_of_an_ended_execution_is_ignored(account: Account) -> None:
    old, new = account.old(), account.new()
    targets = account.targets(old, 4)
    first = account.begin(new, old)
    until(lambda: old != account.serving(*targets)[0])
    account.aws.client("stepfunctions").stop_execution(executionArn=first.arn)
    account.settle()
    output = account.rotate(new, old).output
    assert (output["outcome"], output["newCertificate"]["imported"]) == ("rotated", False)
    assert account.serving(*targets) == [output["newCertificate"]["id"]] * 4


@pytest.mark.parametrize("store", ["acm", "iam"])
def test_the_response_to_every_call_is_lost_once(account: Account, store: str) -> None:
    def scene() -> tuple[str, int]:
        account.aws.control("POST", "reset")
        old = account.old(store)
        if store == "acm":
            [template] = account.seed({"aliases": [], "certificate": old, "connection_mode": "tenant-only"})
            account.aws.client("cloudfront").create_distribution_tenant(
                DistributionId=template,
                Name="one",
                Domains=[{"Domain": "tenant.example.com"}],
                Customizations={"Certificate": {"Arn": old}},
            )
        account.targets(old, 1)
        account.settle()
        account.settings(quotas={"L-D2CB7DE9": 1, "L-BF35879D": 1}, quota_decision={"*": "approve", "after_seconds": 1})
        return old, len(account.aws.state()["calls"])

    count = 3 if store == "acm" else 1
    # A first rotation shows which calls are made.
    old, made = scene()
    rotated(account.rotate(account.new(), old), updated=count)
    calls = {(call["service"], call["operation"]) for call in account.aws.state()["calls"][made:]}
    assert len(calls) > 10

    old, made = scene()
    for service, operation in calls:
        account.fault(operation, service, code="InternalFailure", status=500, after_effect=True)
    output = rotated(account.rotate(account.new(), old), updated=count)
    state = account.aws.state()
    assert all(one["fired"] == 1 for one in state["faults"])
    assert account.certificates() == {output["newCertificate"]["id"]}
    assert [one["versions"] for one in state["distributions"] + state["tenants"]] == [2] * count
    assert len(state["quota_requests"]) == 1


def test_found_by_its_tag(account: Account) -> None:
    new = account.new()
    old = account.stored("acm", account.leaf("*.example.com", days=20), **{"cert-rotation:source": new})
    account.targets(old)
    output = rotated(account.rotate(new, None), updated=3)
    assert output["oldCertificate"]["id"] == old
    [certificate] = account.aws.state()["acm_certificates"]
    assert certificate["Tags"]["cert-rotation:source"] == new, "tagged once, inherited ever after"
    assert account.rotate(new, None).output["outcome"] == "nothingToDo"


def test_no_certificate_has_the_tag(account: Account) -> None:
    account.refused(account.new(), None, "CertificateNotFound", "cert-rotation:source")


def test_every_kind_of_source(account: Account) -> None:
    old = account.old("acm", "*.example.com", days=1)
    target = account.targets(old, 1)[0]
    s3, ssm, secrets = (account.aws.client(service) for service in ("s3", "ssm", "secretsmanager"))
    leaves = [account.leaf("*.example.com", days=days) for days in (10, 20, 30, 40)]
    named = account.secret(as_bundle(leaves[0]))
    arn = secrets.create_secret(Name=f"tls/by-arn-{account.number}", SecretString=as_json(leaves[1]))["ARN"]
    ssm.put_parameter(Name=f"/tls/{account.number}", Type="SecureString", Value=as_bundle(leaves[2]))
    s3.put_object(Bucket=SOURCE_BUCKET, Key=f"{account.number}/www.pem", Body=as_bundle(leaves[3]).encode())
    sources = [named, arn, f"ssm:/tls/{account.number}", f"s3://{SOURCE_BUCKET}/{account.number}/www.pem"]
    current = old
    for source, leaf in zip(sources, leaves, strict=True):
        output = rotated(account.rotate(source, current), updated=1)
        assert output["newCertificate"]["fingerprint"] == f"sha256:{leaf.fingerprint}"
        current = output["newCertificate"]["id"]
        assert account.serving(target) == [current]


BAD_INPUTS: list[tuple[Any, str, str]] = [
    ({"dryrun": True}, "dryrun", "is not a field"),
    ({"concurrency": "1"}, "concurrency", "is a string"),
    ({"concurrency": 0}, "concurrency", "from 1 to"),
    ({"deleteOld": "yes"}, "deleteOld", "is a string"),
    ({"targets": "E1"}, "targets", "an array"),
    ({"targets": []}, "targets", "is empty"),
    ({"targets": ["www.example.com"]}, "targets[0]", "is not"),
    ({"store": "s3"}, "store", "acm or iam"),
    ({"onFailure": "ignore"}, "onFailure", "rollback or stop"),
    ({"oldCertificate": "arn:aws:acm:us-east-1"}, "oldCertificate", "not a complete ARN"),
    ({"oldCertificate": "arn:aws:acm:eu-west-1:000000000000:certificate/a"}, "oldCertificate", "another region"),
    ({"newCertificate": "s3://bucket-without-key"}, "newCertificate", "is not s3://bucket/key"),
    ({"newCertificate": None}, "newCertificate", "is null"),
    ({"deleteOld": False, "retainOldDays": 3}, "retainOldDays", "deleteOld is false"),
]


@pytest.mark.parametrize(("fields", "field", "problem"), BAD_INPUTS)
def test_bad_inputs(account: Account, fields: Any, field: str, problem: str) -> None:
    old = account.old()
    account.targets(old, 1)
    made = len(account.aws.state()["calls"])
    given = {"newCertificate": "tls/never-read", "oldCertificate": old} | fields
    account.refused_input(given, "RequestInvalid", f"field {field}: ", problem)
    assert len(account.aws.state()["calls"]) == made, "refused before anything is read"


@pytest.mark.parametrize("given", ["a string", ["an", "array"], 7, None], ids=repr)
def test_an_input_that_is_not_an_object(account: Account, given: Any) -> None:
    account.refused_input(given, "RequestInvalid", "not a JSON object")


def bad_sources(account: Account) -> dict[str, tuple[str, str, list[str]]]:
    """By name: source, error, words."""
    names = ("www.example.com", "*.example.com")
    good, other = account.leaf(*names, days=199), account.leaf(*names, days=198)
    s3, ssm = account.aws.client("s3"), account.aws.client("ssm")
    s3.put_object(Bucket=SOURCE_BUCKET, Key="large.pem", Body=b"x" * 1_048_576)
    ssm.put_parameter(Name=f"/tls/plain-{account.number}", Type="String", Value=as_bundle(good))
    encrypted = good.certificate_pem + good.chain_pem + key_pem(good.key, "PKCS8", "secret")
    bundles = {
        "an encrypted key": (encrypted, "CertificateInvalid", ["encrypted", "openssl", "block 3"]),
        "an empty secret": ("\n", "SourceUnreadable", ["empty"]),
        "two leaves": (
            as_bundle(good) + other.certificate_pem,
            "CertificateInvalid",
            ["block 4", "not part of the chain"],
        ),
        "another key": (
            good.certificate_pem + good.chain_pem + other.key_pem,
            "CertificateInvalid",
            ["private key of the new certificate", "does not match"],
        ),
        "no chain": (good.certificate_pem + good.key_pem, "CertificateInvalid", ["Throwaway Intermediate"]),
        "no key": (good.certificate_pem + good.chain_pem, "CertificateInvalid", ["no private key"]),
        "not PEM": ("hello", "SourceUnreadable", ["neither PEM nor JSON"]),
        "an unknown field": (json.dumps({"cert": "x"}), "SourceUnreadable", ["field cert"]),
    }
    cases = {name: (account.secret(text), error, words) for name, (text, error, words) in bundles.items()}
    cases["other names"] = (account.new("www.example.org"), "AliasNotCovered", ["site0.example.com"])
    cases["a shorter life"] = (account.shorter(days=19), "CertificateInvalid", ["no longer than the old one"])
    weak = account.leaf(*names, days=199, key_type="P-384")
    cases["a key CloudFront does not take"] = (account.secret(weak), "CertificateInvalid", ["P-384"])
    cases["a megabyte"] = (f"s3://{SOURCE_BUCKET}/large.pem", "SourceUnreadable", ["1048576"])
    cases["a parameter in clear"] = (f"ssm:/tls/plain-{account.number}", "SourceUnreadable", ["SecureString"])
    cases["a missing secret"] = ("tls/missing", "SourceUnreadable", ["tls/missing", "does not exist"])
    cases["a missing object"] = (f"s3://{SOURCE_BUCKET}/missing.pem", "SourceUnreadable", ["does not exist"])
    return cases


def test_bad_sources(account: Account) -> None:
    old = account.old()
    account.targets(old, 1)
    for source, error, words in bad_sources(account).values():
        account.refused(source, old, error, *words)


def test_the_same_certificate_again(account: Account) -> None:
    leaf = account.leaf("*.example.com", days=20)
    old = account.stored("acm", leaf)
    account.targets(old, 1)
    account.refused(account.secret(leaf), old, "CertificateInvalid", "it is the old certificate")


def test_an_iam_certificate_by_its_arn(account: Account) -> None:
    old = account.old("iam")
    account.targets(old)
    [stored] = account.aws.state()["iam_certificates"]
    output = rotated(account.rotate(account.new(), stored["Arn"]), updated=3)
    assert output["oldCertificate"]["id"] == old and old not in account.certificates()


def test_no_such_old_certificate(account: Account) -> None:
    missing = "arn:aws:acm:us-east-1:000000000000:certificate/00000000-0000-4000-8000-000000000000"
    for old in (missing, "ASCA00000000000000000", "arn:aws:iam::000000000000:server-certificate/cloudfront/no"):
        account.refused(account.new(), old, "CertificateNotFound", old)
