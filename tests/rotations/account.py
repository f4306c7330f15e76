"""An account on the local AWS for tests of whole rotations: sets it up, starts rotations, reads the results."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

from local_aws.pki import Leaf
from local_aws.platform import Execution, LocalAws, as_json, until

SOURCE_BUCKET = "certificate-sources"
IMPORTS = ("ImportCertificate", "UploadServerCertificate")
WRITES = (*IMPORTS, "UpdateDistribution", "UpdateDistributionTenant", "DeleteCertificate", "DeleteServerCertificate")
_numbers = itertools.count(1)
# Every private key that a test has put into a source or a store: test_secrets.py searches for them.
KEYS: list[Leaf] = []


class Account:
    """An account with distributions, certificates and sources."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.number = next(_numbers)

    def leaf(self, *names: str, days: float = 90, **how: Any) -> Leaf:
        """A certificate as from a public authority."""
        not_after = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        leaf = self.aws.intermediate.leaf(*(names or ("www.example.com",)), not_after=not_after, **how)
        KEYS.append(leaf)
        return leaf

    def stored(self, store: str, leaf: Leaf, **tags: str) -> str:
        """Puts a certificate into a store; returns its ARN or id."""
        return self.aws.put_into_store(store, leaf, f"certificate-{next(_numbers)}", tags or {"team": "web"})

    def old(self, store: str = "acm", *names: str, days: float = 20, **tags: str) -> str:
        """The certificate that is about to expire."""
        return self.stored(store, self.leaf(*(names or ("www.example.com", "*.example.com")), days=days), **tags)

    def secret(self, content: str | Leaf) -> str:
        """A secret with a name that no EventBridge rule matches; returns its name."""
        name = f"unwatched/{next(_numbers)}"
        text = as_json(content) if isinstance(content, Leaf) else content
        self.aws.client("secretsmanager").create_secret(Name=name, SecretString=text)
        return name

    def new(self, *names: str, days: float = 199) -> str:
        """A secret with a new certificate for these names."""
        return self.secret(self.leaf(*(names or ("www.example.com", "*.example.com")), days=days))

    def shorter(self, *names: str, days: float) -> str:
        """The same for a certificate that ends sooner than others, and was not clearly issued later."""
        not_before = dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)
        leaf = self.leaf(*(names or ("www.example.com", "*.example.com")), days=days, not_before=not_before)
        return self.secret(leaf)

    def seed(self, *distributions: dict[str, Any]) -> list[str]:
        """Creates distributions and waits until they are Deployed."""
        ids: list[str] = self.aws.control("POST", "seed", list(distributions))["ids"]
        self.settle()
        return ids

    def settle(self) -> None:
        """Waits until every distribution and tenant is Deployed."""

        def deployed() -> bool:
            state = self.aws.state()
            return all(one["status"] == "Deployed" for one in state["distributions"] + state["tenants"])

        until(deployed)

    def targets(self, certificate: str, count: int = 3) -> list[str]:
        """Creates distributions with one alias each."""
        return self.seed(*({"aliases": [f"site{n}.example.com"], "certificate": certificate} for n in range(count)))

    def with_policy(self, certificate: str) -> tuple[str, str, str]:
        """A primary and a staging distribution with a continuous-deployment policy: their ids, and its id."""
        cloudfront = self.aws.client("cloudfront")
        primary, staging = self.seed(
            {"aliases": ["www.example.com"], "certificate": certificate},
            {"aliases": [], "certificate": certificate, "staging": True},
        )
        name = self.distributions()[staging]["domain_name"]
        policy = cloudfront.create_continuous_deployment_policy(
            ContinuousDeploymentPolicyConfig={
                "StagingDistributionDnsNames": {"Quantity": 1, "Items": [name]},
                "Enabled": True,
                "TrafficConfig": {"Type": "SingleWeight", "SingleWeightConfig": {"Weight": 0.05}},
            }
        )["ContinuousDeploymentPolicy"]["Id"]
        read = cloudfront.get_distribution_config(Id=primary)
        config = read["DistributionConfig"] | {"ContinuousDeploymentPolicyId": policy}
        cloudfront.update_distribution(Id=primary, IfMatch=read["ETag"], DistributionConfig=config)
        self.settle()
        return primary, staging, policy

    def command(self, target: str, **command: Any) -> None:
        """Changes a distribution as another user."""
        self.aws.control("POST", f"distribution/{target}", command)

    def settings(self, **settings: Any) -> None:
        """Changes settings of the local AWS."""
        self.aws.control("POST", "settings", settings)

    def fault(self, operation: str, service: str = "cloudfront", **fault: Any) -> None:
        """Makes AWS return an error for the next matching calls."""
        self.aws.control("POST", "faults", {"service": service, "operation": operation, **fault})

    def rotate(self, new: str | None, old: str | None, seconds: float = 300, **fields: Any) -> Execution:
        """Starts a rotation and waits for its end."""
        return self.begin(new, old, **fields).wait(seconds)

    def begin(self, new: str | None, old: str | None, **fields: Any) -> Execution:
        """Starts a rotation."""
        return self.aws.start(request(new, old, **fields), f"test-{next(_numbers)}")

    def refused(self, new: str | None, old: str | None, error: str, *words: str, **fields: Any) -> str:
        """Starts a rotation that must be refused with this error and these words; returns the whole cause."""
        return self.refused_input(request(new, old, **fields), error, *words)

    def refused_input(self, given: Any, error: str, *words: str) -> str:
        """The same for any input."""
        before, made = self.world(), len(self.calls(*WRITES))
        execution = self.aws.start(given, f"test-{next(_numbers)}").wait()
        assert (execution.status, execution.error) == ("FAILED", error), f"{execution.error}: {execution.cause}"
        for word in words:
            assert word in execution.cause, f"{word!r} is not in: {execution.cause}"
        assert self.world() == before
        assert len(self.calls(*WRITES)) == made
        return execution.cause

    def distributions(self) -> dict[str, Any]:
        """All distributions, by id."""
        return {one["id"]: one for one in self.aws.state()["distributions"]}

    def certificates(self) -> set[str]:
        """The ids of all certificates in the stores."""
        state = self.aws.state()
        return {one["CertificateArn"] for one in state["acm_certificates"]} | {
            one["ServerCertificateId"] for one in state["iam_certificates"]
        }

    def calls(self, *operations: str) -> list[Any]:
        """The calls of these operations so far."""
        return [call for call in self.aws.state()["calls"] if call["operation"] in operations]

    def world(self) -> Any:
        """Everything that a refused rotation must not change."""
        state = self.aws.state()
        return {name: state[name] for name in ("distributions", "tenants", "acm_certificates", "iam_certificates")}

    def most_in_progress(self) -> int:
        """The most distributions that were between update and Deployed at the same time."""
        changed = [
            after["time"]
            for one in self.distributions().values()
            for before, after in itertools.pairwise(one["history"])
            if before["certificate"] != after["certificate"]
        ]
        lasts = self.aws.propagation_seconds
        return max((sum(start <= at < start + lasts for start in changed) for at in changed), default=0)

    def config(self, target: str) -> Any:
        """A distribution's configuration as boto3 reads it."""
        return self.aws.client("cloudfront").get_distribution_config(Id=target)["DistributionConfig"]

    def serving(self, *targets: str) -> list[str]:
        """The certificates that these targets serve."""
        distributions = self.distributions()
        return [distributions[target]["certificate"] for target in targets]


def request(new: str | None, old: str | None, **fields: Any) -> Any:
    """An input for the state machine, without the fields that are None."""
    given = {"newCertificate": new, "oldCertificate": old} | fields
    return {name: value for name, value in given.items() if value is not None}
