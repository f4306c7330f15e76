"""Creates the resources of a run: always with the run's name, and with its tag where AWS supports tags.

Nothing is remembered here: what must be removed is found by name and tag, as the sweeper does, so that a lost response
or a killed run leaves nothing that is not found.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from .names import TAG, Run
from .preflight import MOZILLA, REGION, Pair, Refused

ROOT: Final = Path(__file__).resolve().parents[2]
TEMPLATE: Final = ROOT / "infra" / "template.yaml"
# The folder into which Lambda unpacks a package.
ROOTS_FILE = "/var/task/roots.pem"
# Managed-CachingDisabled: multi-tenant distributions accept cache policies only.
_CACHE_POLICY: Final = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
_BEHAVIOR: Final = {"TargetOriginId": "origin", "ViewerProtocolPolicy": "https-only", "CachePolicyId": _CACHE_POLICY}
# Reserved by IANA. No viewer is sent to it.
_ORIGIN: Final = "example.com"
_FUNCTION: Final = b"function handler(event) { return event.request; }\n"
# CloudFront returns these until a resource is visible to it.
_NOT_VISIBLE: Final = frozenset(("InvalidViewerCertificate", "InvalidWebACLId", "InvalidFunctionAssociation"))
_VISIBLE_SECONDS: Final = 300
_SILENCE_SECONDS: Final = 120
# No run waits longer than this: CloudFront deploys within minutes, a stack takes up to 15 minutes.
PATIENCE_SECONDS: Final = 3600


class Failed(Exception):
    """An expected result did not occur; the text says which."""


@dataclass
class Account:
    """An AWS account as one run uses it."""

    session: boto3.Session
    run: Run
    # Between two polls of what takes minutes.
    poll_seconds: float = 15
    # prints what is being waited for, at intervals
    tell: Callable[[str], None] = lambda _: None
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """One client for each service; it retries throttled calls for a while."""
        if service not in self._clients:
            # AWS has hosts with a prefix for some calls (sync-states…); other endpoints do not.
            prefix = "AWS_ENDPOINT_URL" not in os.environ
            config = Config(retries={"mode": "adaptive", "max_attempts": 10}, inject_host_prefix=prefix)
            self._clients[service] = self.session.client(service, config=config)
        return self._clients[service]

    def named(self, what: str) -> str:
        """The name of a resource of this run."""
        return f"{self.run.name}-{what}"

    @property
    def tags(self) -> list[dict[str, str]]:
        """The tags of every resource."""
        return [{"Key": TAG, "Value": self.run.name}]

    def until(self, what: str, true: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """Polls until the result is true; returns it."""
        began = told = time.monotonic()
        while not (came := true()):
            if time.monotonic() - began > seconds:
                raise Failed(f"{what}: not so after {seconds:.0f} s.")
            told = self.tell_now_and_then(told, f"waiting for {what}")
            time.sleep(self.poll_seconds)
        return came

    def tell_now_and_then(self, told: float, what: str) -> float:
        """Prints it if nothing was printed for some minutes; returns the time of the last output."""
        if time.monotonic() - told < _SILENCE_SECONDS:
            return told
        self.tell(f"  {what}")
        return time.monotonic()

    # Certificates

    def import_certificate(self, pair: Pair) -> str:
        """Imports into ACM; returns the ARN."""
        chain = {"CertificateChain": pair.chain_pem} if pair.chain_pem else {}
        answer = self.client("acm").import_certificate(
            Certificate=pair.leaf_pem, PrivateKey=pair.key_pem, Tags=self.tags, **chain
        )
        return str(answer["CertificateArn"])

    def upload_certificate(self, what: str, pair: Pair) -> str:
        """Uploads to IAM; returns the id by which CloudFront refers to it."""
        chain = {"CertificateChain": pair.chain_pem} if pair.chain_pem else {}
        answer = self.client("iam").upload_server_certificate(
            Path="/cloudfront/",
            ServerCertificateName=self.named(what),
            CertificateBody=pair.leaf_pem,
            PrivateKey=pair.key_pem,
            Tags=self.tags,
            **chain,
        )
        return str(answer["ServerCertificateMetadata"]["ServerCertificateId"])

    def put_secret(self, what: str, pair: Pair) -> str:
        """A secret with a new certificate; returns its name, which begins with the run's name and a slash."""
        name = f"{self.run.name}/{what}"
        content = {"certificate": pair.leaf_pem, "privateKey": pair.key_pem, "certificateChain": pair.chain_pem}
        self.client("secretsmanager").create_secret(
            Name=name,
            SecretString=json.dumps({part: pem for part, pem in content.items() if pem}),
            Tags=self.tags,
        )
        return name

    # What distributions are associated with

    def make_bucket(self, what: str, for_logs: bool = False) -> str:
        """A private bucket, created with its tags; CloudFront's standard logs need one that has ACLs enabled."""
        name = self.named(what)
        self.client("s3").create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"Tags": self.tags},
            ObjectOwnership="BucketOwnerPreferred" if for_logs else "BucketOwnerEnforced",
        )
        return name

    def make_web_acl(self) -> str:
        """A web ACL without rules; returns its ARN."""
        answer = self.client("wafv2").create_web_acl(
            Name=self.named("web-acl"),
            Scope="CLOUDFRONT",
            DefaultAction={"Allow": {}},
            VisibilityConfig={
                "SampledRequestsEnabled": False,
                "CloudWatchMetricsEnabled": False,
                "MetricName": self.named("web-acl"),
            },
            Tags=self.tags,
        )
        return str(answer["Summary"]["ARN"])

    def make_function(self) -> str:
        """A published CloudFront function that passes every request on; returns its ARN."""
        cloudfront, name = self.client("cloudfront"), self.named("function")
        made = cloudfront.create_function(
            Name=name,
            FunctionConfig={"Comment": name, "Runtime": "cloudfront-js-2.0"},
            FunctionCode=_FUNCTION,
            Tags={"Items": self.tags},
        )
        published = cloudfront.publish_function(Name=name, IfMatch=made["ETag"])
        return str(published["FunctionSummary"]["FunctionMetadata"]["FunctionARN"])

    # Distributions

    def make_distribution(self, what: str, certificate: str, aliases: list[str], **more: Any) -> str:
        """A small distribution without traffic; returns its id."""
        return self._create(
            self._config(what, certificate) | {"Aliases": items(aliases), "PriceClass": "PriceClass_100"} | more
        )

    def make_template(self, what: str, certificate: str) -> str:
        """A multi-tenant distribution; returns its id."""
        return self._create(self._config(what, certificate) | {"ConnectionMode": "tenant-only"})

    def make_tenant(self, what: str, template: str, domain: str, certificate: str) -> str:
        """A tenant with its own certificate; returns its id."""
        answer = self.client("cloudfront").create_distribution_tenant(
            DistributionId=template,
            Name=self.named(what),
            Domains=[{"Domain": domain}],
            Customizations={"Certificate": {"Arn": certificate}},
            Tags={"Items": self.tags},
        )
        return str(answer["DistributionTenant"]["Id"])

    def _config(self, what: str, certificate: str) -> dict[str, Any]:
        return {
            "CallerReference": self.named(what),
            "Comment": self.named(what),
            "Enabled": True,
            # Distributions that share a certificate should have the same HTTP version.
            "HttpVersion": "http2",
            "Origins": items(
                [
                    {
                        "Id": "origin",
                        "DomainName": _ORIGIN,
                        "CustomOriginConfig": {
                            "HTTPPort": 80,
                            "HTTPSPort": 443,
                            "OriginProtocolPolicy": "https-only",
                            "OriginSslProtocols": items(["TLSv1.2"]),
                        },
                    }
                ]
            ),
            "DefaultCacheBehavior": _BEHAVIOR,
            "ViewerCertificate": viewer_certificate(certificate),
        }

    def _create(self, config: dict[str, Any]) -> str:
        cloudfront = self.client("cloudfront")
        deadline = time.monotonic() + _VISIBLE_SECONDS
        while True:
            try:
                answer = cloudfront.create_distribution_with_tags(
                    DistributionConfigWithTags={"DistributionConfig": config, "Tags": {"Items": self.tags}}
                )
            except ClientError as error:
                # A resource created a moment ago may not be visible to CloudFront yet.
                if error.response["Error"]["Code"] in _NOT_VISIBLE and time.monotonic() < deadline:
                    time.sleep(self.poll_seconds)
                    continue
                raise _not_created(config, error) from error
            return str(answer["Distribution"]["Id"])

    def config(self, distribution: str) -> tuple[Any, str]:
        """A distribution's configuration and its ETag."""
        answer = self.client("cloudfront").get_distribution_config(Id=distribution)
        return answer["DistributionConfig"], answer["ETag"]

    def edit(self, distribution: str, **changes: Any) -> Any:
        """Changes a distribution; returns the configuration before the change."""
        config, etag = self.config(distribution)
        self.client("cloudfront").update_distribution(
            Id=distribution, IfMatch=etag, DistributionConfig=config | changes
        )
        return config

    def tenant(self, tenant: str) -> Any:
        """A tenant as returned by CloudFront."""
        return self.client("cloudfront").get_distribution_tenant(Identifier=tenant)["DistributionTenant"]

    def serves(self, target: str) -> str:
        """The certificate in the configuration of a distribution or tenant."""
        if target.startswith("dt_"):
            return str(self.tenant(target)["Customizations"]["Certificate"]["Arn"])
        viewer = self.config(target)[0]["ViewerCertificate"]
        return str(viewer.get("ACMCertificateArn") or viewer.get("IAMCertificateId", ""))

    def wait_until_deployed(self, *targets: str) -> None:
        """Waits until all targets are Deployed."""
        cloudfront = self.client("cloudfront")

        def deployed(target: str) -> bool:
            if target.startswith("dt_"):
                return bool(self.tenant(target)["Status"] == "Deployed")
            return bool(cloudfront.get_distribution(Id=target)["Distribution"]["Status"] == "Deployed")

        waiting = list(targets)

        def all_deployed() -> bool:
            waiting[:] = [target for target in waiting if not deployed(target)]
            return not waiting

        self.until(f"{', '.join(targets)} to be Deployed", all_deployed)

    # The stack

    def deploy(self, artifacts: str, template: Path, roots: Path | None, **parameters: str) -> dict[str, str]:
        """Packages and deploys the template as the README says; returns the stack's outputs."""
        with tempfile.TemporaryDirectory() as directory:
            if roots:
                template = with_roots(template, roots, Path(directory))
            self._deploy(template, Path(directory) / "packaged.yaml", artifacts, parameters)
        stack = self.client("cloudformation").describe_stacks(StackName=self.run.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def _deploy(self, template: Path, packaged: Path, artifacts: str, parameters: dict[str, str]) -> None:
        self._aws(
            *("cloudformation", "package", "--template-file", str(template)),
            *("--s3-bucket", artifacts, "--output-template-file", str(packaged)),
        )
        self._aws(
            *("cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", self.run.name),
            *("--s3-bucket", artifacts),
            *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
            *("--tags", f"{TAG}={self.run.name}"),
            *("--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())),
        )

    def _aws(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("aws")), *arguments]
        environment = os.environ | {"AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            lines = re.split(r"[\r\n]+", (done.stderr or done.stdout).strip())
            said = " ".join(line.strip() for line in lines if not line.startswith("Uploading to"))
            raise Failed(f"aws {' '.join(arguments[:2])} failed: {said[-600:]}{self._stack_says()}")

    def _stack_says(self) -> str:
        """CloudFormation's reason why the stack was not created."""
        try:
            events = self.client("cloudformation").describe_stack_events(StackName=self.run.name)["StackEvents"]
        except ClientError:
            return ""
        failed = [e for e in events if e["ResourceStatus"].endswith("_FAILED") and "ResourceStatusReason" in e]
        return "".join(f"\n  {e['LogicalResourceId']}: {e['ResourceStatusReason']}" for e in reversed(failed))

    def physical(self, logical: str) -> str:
        """The physical id of a resource of the stack."""
        detail = self.client("cloudformation").describe_stack_resource(
            StackName=self.run.name, LogicalResourceId=logical
        )
        return str(detail["StackResourceDetail"]["PhysicalResourceId"])


def with_roots(template: Path, roots: Path, folder: Path) -> Path:
    """Writes the template and its packages to a folder, with functions that also trust these roots.

    `SSL_CERT_FILE` replaces the roots with which a program trusts AWS, so Mozilla's roots are included.
    """
    text, globals_ = template.read_text(), "Globals:\n  Function:\n"
    if globals_ not in text:
        raise Failed("infra/template.yaml has no room for the roots of a private authority any more.")
    environment = f"    Environment:\n      Variables:\n        SSL_CERT_FILE: {ROOTS_FILE}\n"
    text = text.replace(globals_, globals_ + environment)
    [definition] = re.findall("DefinitionUri: (.+)", text)
    text = text.replace(definition, str((template.parent / definition).resolve()))
    for uri in re.findall("CodeUri: (.+)", text):
        package = template.parent / uri
        copy = folder / package.parent.name / package.name
        copy.parent.mkdir()
        shutil.copy(package, copy)
        with zipfile.ZipFile(copy, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("roots.pem", MOZILLA.read_text() + "\n" + roots.read_text())
        text = text.replace(uri, str(copy))
    written = folder / template.name
    written.write_text(text)
    return written


def _not_created(config: dict[str, Any], error: ClientError) -> Exception:
    """Why a distribution was not created, and what to do about it."""
    code = error.response["Error"]["Code"]
    if code == "CNAMEAlreadyExists":
        aliases = ", ".join(config["Aliases"]["Items"])
        return Refused(
            f"Another distribution has {aliases} as its alias already: "
            "give a DOMAIN that CloudFront does not serve yet."
        )
    if code == "AccessDenied":
        return Refused(
            f"This account may not create distributions. AWS says: {words(error)} If the account must be verified "
            "first, ask AWS Support for it (account and billing, no charge); if a right is missing, grant "
            "cloudfront:CreateDistribution and cloudfront:TagResource."
        )
    return Failed(f"The distribution {config['Comment']} was not created. AWS says: {words(error)}")


def viewer_certificate(certificate: str) -> dict[str, Any]:
    """The fields of ViewerCertificate for a certificate in either store."""
    name = "ACMCertificateArn" if certificate.startswith("arn:") else "IAMCertificateId"
    return {name: certificate, "SSLSupportMethod": "sni-only", "MinimumProtocolVersion": "TLSv1.2_2021"}


def with_function(arn: str) -> dict[str, Any]:
    """The cache behavior of every distribution here, with a CloudFront function for viewer requests."""
    return _BEHAVIOR | {"FunctionAssociations": items([{"EventType": "viewer-request", "FunctionARN": arn}])}


def items(entries: list[Any]) -> dict[str, Any]:
    """A list as CloudFront requires it."""
    return {"Quantity": len(entries), **({"Items": entries} if entries else {})}


def words(error: ClientError) -> str:
    """The error of AWS as a sentence."""
    said = error.response["Error"]
    return f"{said['Code']}: {said['Message']}".rstrip(".") + "."


def pages(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """All entries of a list operation."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, [])
