"""One local AWS with the deployed stack for all tests of whole rotations; each test starts with an empty account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.translated import ORGANIZATION
from local_aws.platform import LocalAws
from rotations.account import SOURCE_BUCKET, Account
from rotations.leaks import assert_no_key_is_left


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    # A wait of 30 seconds takes 0.06 seconds; the 15 minutes between two polls of a quota request take 1.8 seconds.
    with LocalAws(propagation_seconds=0.3, wait_scale=0.002) as aws:
        aws.client("s3").create_bucket(Bucket=SOURCE_BUCKET)
        key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        # No scheduled run while tests count the executions that are started. Under the rules of an organization: other
        # files deploy without them.
        rules = ORGANIZATION | {
            "LookSchedule": "cron(0 0 1 1 ? 2199)",
            "ImportTags": "stage=test,CostCenter=0,team=none",
            "KeyArn": key,
        }
        aws.deploy(tags={"CostCenter": "42"}, SourceBucket=SOURCE_BUCKET, **rules)
        yield aws
        assert_no_key_is_left(aws)


@pytest.fixture
def account(local_aws: LocalAws) -> Account:
    local_aws.control("POST", "reset")
    return Account(local_aws)
