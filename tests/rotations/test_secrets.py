"""No private key is anywhere except in its source, however a rotation ends.

The same search runs over everything that all other tests have left, when their local AWS ends: see conftest.py.
"""

from __future__ import annotations

import time
from pathlib import Path

from local_aws.pki import key_pem
from local_aws.platform import as_json
from rotations.account import KEYS, Account
from rotations.leaks import assert_no_key_is_left, has_rotated, left_behind, search, traces


def test_each_form_of_a_key_is_found(account: Account) -> None:
    rsa = account.aws.authority.intermediate(key_type="RSA-2048").leaf("www.example.com", key_type="RSA-2048")
    for leaf in (account.leaf(), rsa):
        for trace in traces(leaf):
            places, _ = search(iter([("a", f'{{"b": "c\\n{trace}\\nd"}}'), ("e", rsa.certificate_pem)]), [leaf])
            assert places == {"a"}, trace


def test_no_key_is_left_behind(account: Account) -> None:
    # Runs rotations itself, successful and failed, so that the test is meaningful without the others.
    old, names = account.old(), ("www.example.com", "*.example.com")
    second = account.targets(old)[1]
    encoded, traditional = account.leaf(*names, days=30), account.leaf(*names, days=40)
    issuer = account.aws.authority.intermediate(key_type="RSA-2048")
    rsa = issuer.leaf(*names, key_type="RSA-2048")
    KEYS.append(rsa)
    pems = [
        f"{key_pem(traditional.key, 'SEC1')}{traditional.certificate_pem}{traditional.chain_pem}",
        f"{rsa.certificate_pem}{rsa.chain_pem}{key_pem(rsa.key, 'PKCS1')}",
    ]
    for content in (as_json(encoded), *pems):
        source = account.secret(content)
        account.fault("ImportCertificate", service="acm", code="InvalidParameterException", message="not taken")
        account.fault("UpdateDistribution", code="InvalidWebACLId", resource=second, times=1)
        assert account.rotate(source, old).error == "CertificateInvalid"
        assert account.rotate(source, old).error == "RolledBack"
        output = account.rotate(source, old).output
        assert output["outcome"] == "rotated"
        old = output["newCertificate"]["id"]
    stranger = account.secret(f"{account.leaf(*names).key_pem}{encoded.certificate_pem}{encoded.chain_pem}")
    assert account.rotate(stranger, old).error == "CertificateInvalid"
    assert account.rotate(account.secret(encoded.key_pem), old).error == "CertificateInvalid"

    assert has_rotated(account.aws)
    assert_no_key_is_left(account.aws)


def test_the_search_finds_a_key_that_was_left(account: Account) -> None:
    aws, leaf = account.aws, account.aws.intermediate.leaf("www.example.com")
    # The history contains the input; the error of the rotation does not repeat the key.
    execution = account.rotate(leaf.key_pem, account.old())
    assert (execution.error, "newCertificate" in execution.cause) == ("RequestInvalid", True)
    assert search(left_behind(aws), [leaf])[0] == {f"execution {execution.arn}"}

    s3, logs = aws.client("s3"), aws.client("logs")
    planted = {"Bucket": aws.outputs["RotationBucketName"], "Key": "rotations/planted.json"}
    s3.put_object(**planted, Body=as_json(leaf))
    log = {"logGroupName": "planted", "logStreamName": "planted"}
    logs.create_log_group(logGroupName="planted")
    logs.create_log_stream(**log)
    logs.put_log_events(**log, logEvents=[{"timestamp": int(time.time() * 1000), "message": f"read {leaf.key_pem!r}"}])
    file = Path(aws.directory / "planted.txt")
    file.write_text(str(list(leaf.key_pem.encode())))
    places, _ = search(left_behind(aws), [leaf])
    assert places == {
        f"execution {execution.arn}",
        *("object rotations/planted.json", "log planted", "file planted.txt"),
    }
    s3.delete_object(**planted)
    logs.delete_log_group(logGroupName="planted")
    file.unlink()
