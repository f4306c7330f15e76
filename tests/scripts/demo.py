"""`make demo`: rotates a certificate on the local AWS, with the real template and the real functions.

It runs certrotate as an operator would: list, plan, start, watch, report. Then it prints a table read from the local
CloudFront, and which promises were kept. All the while a viewer makes TLS handshakes with the local edges, for every
name that a target serves. Exits with 1 if a promise was not kept.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from local_aws.pki import Leaf, key_pem
from local_aws.platform import CERTROTATE, ROOT, Execution, LocalAws, as_json
from local_aws.viewer import Viewer

SECRET = "tls/www"
TENANT_DOMAIN = "customer.example.com"
POLICIES = ["TLSv1.2_2021", "TLSv1.2_2019", "TLSv1.3_2025"]


@dataclass
class Scene:
    """What the demo sets up, and its state before the rotation."""

    old: str
    old_leaf: Leaf
    new_leaf: Leaf
    targets: list[str]
    names: list[str]
    bystander: str
    before: dict[str, Any] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["acm", "iam"], default="acm")
    parser.add_argument("--distributions", type=int, default=6)
    options = parser.parse_args()
    if not 1 <= options.distributions <= 400:
        parser.error("--distributions must be from 1 to 400")
    # Wide enough for the closing table if the width of the output is not known.
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)

    # A wait of 30 seconds takes 0.15 seconds; an update reaches the edges in half a second instead of some minutes.
    with LocalAws(propagation_seconds=0.5, wait_scale=0.005) as aws:
        console.print("[bold]The local AWS is up.[/] Deploying infra/template.yaml …")
        aws.deploy()
        console.print(f"Deployed: {aws.outputs['RotationStateMachineArn']}")
        scene = seed(aws, options.store, options.distributions)
        certrotate(console, aws, "list")
        certrotate(console, aws, "plan", SECRET, "--old", scene.old)
        start = ("start", SECRET, "--old", scene.old, "--name", "demo", "--yes", "--interval", "1")
        with Viewer(aws, scene.names) as viewer:
            certrotate(console, aws, *start)
        certrotate(console, aws, "report", "demo")
        certrotate(console, aws, "report", "demo", "--html", str(ROOT / ".local" / "report.html"))
        return conclude(console, aws, scene, aws.execution("demo").wait(), viewer)


def seed(aws: LocalAws, store: str, count: int) -> Scene:
    """Distributions with the old certificate, with ACM also a tenant and its distribution, a distribution with another
    certificate, and a secret with the new one."""
    names = ["www.example.com", "*.example.com", "*.shop.example.com"]
    day = dt.timedelta(days=1)
    now = dt.datetime.now(dt.UTC)
    old = aws.intermediate.leaf(*names, not_after=now + 20 * day)
    new = aws.intermediate.leaf(*names, "example.com", not_after=now + 199 * day)
    other = aws.intermediate.leaf("www.example.org", not_after=now + 90 * day)
    served = aws.put_into_store(store, old, "www-2026")
    foreign = aws.put_into_store(store, other, "example-org-2026")
    aliases = [["www.example.com", "static.example.com"], ["*.shop.example.com"]]
    aliases += [[f"site{n}.example.com"] for n in range(3, count + 1)]
    wanted = [
        {
            "aliases": aliases[n],
            "certificate": served,
            "comment": f"Demo {n + 1}",
            "minimum_protocol_version": POLICIES[n % len(POLICIES)],
        }
        for n in range(count)
    ]
    wanted.append({"aliases": ["www.example.org"], "certificate": foreign, "comment": "Somebody else's"})
    *targets, bystander = aws.control("POST", "seed", wanted)["ids"]
    served_names = [alias for some in aliases[:count] for alias in some]
    # Multi-tenant distributions accept certificates from ACM only.
    if store == "acm":
        targets += seed_tenant(aws, served)
        served_names.append(TENANT_DOMAIN)
    aws.client("secretsmanager").create_secret(Name=SECRET, SecretString=as_json(new))
    time.sleep(aws.propagation_seconds + 0.2)  # New distributions are InProgress too.
    scene = Scene(served, old, new, targets, served_names, bystander)
    scene.before = {target: configuration(aws, target) for target in [*targets, bystander]}
    return scene


def seed_tenant(aws: LocalAws, certificate: str) -> list[str]:
    """A multi-tenant distribution, and a tenant of it with the same certificate."""
    wanted = {"certificate": certificate, "comment": "Demo template", "connection_mode": "tenant-only"}
    [template] = aws.control("POST", "seed", [wanted])["ids"]
    created = aws.client("cloudfront").create_distribution_tenant(
        DistributionId=template,
        Name="customer",
        Domains=[{"Domain": TENANT_DOMAIN}],
        Customizations={"Certificate": {"Arn": certificate}},
        Parameters=[{"Name": "greeting", "Value": "hello"}],
    )
    return [template, created["DistributionTenant"]["Id"]]


def configuration(aws: LocalAws, target: str) -> dict[str, Any]:
    """The configuration of a distribution or tenant as boto3 reads it."""
    cloudfront = aws.client("cloudfront")
    if target.startswith("dt_"):
        tenant = cloudfront.get_distribution_tenant(Identifier=target)["DistributionTenant"]
        return {name: value for name, value in tenant.items() if name not in ("LastModifiedTime", "Status")}
    config: dict[str, Any] = cloudfront.get_distribution_config(Id=target)["DistributionConfig"]
    return config


def certrotate(console: Console, aws: LocalAws, *arguments: str) -> int:
    """Runs a command of the operator's tool; its output goes to this program's output."""
    console.print(f"\n[bold]$ certrotate {' '.join(arguments)}[/]")
    return subprocess.run([CERTROTATE, *arguments], env=aws.environment).returncode


def by_id(state: dict[str, Any]) -> dict[str, Any]:
    """Distributions and tenants by id."""
    return {one["id"]: one for one in state["distributions"] + state["tenants"]}


def names_of(resource: dict[str, Any]) -> str:
    """The names that a distribution or tenant serves; a multi-tenant distribution has none."""
    return ", ".join(resource["domains"]) or "its tenants'"


def conclude(console: Console, aws: LocalAws, scene: Scene, rotation: Execution, viewer: Viewer) -> int:
    """Prints the closing table, the output, and which promises were kept."""
    shaken, failed = viewer.handshakes.total(), len(viewer.failures)
    console.print(f"Meanwhile a viewer shook hands {shaken} times for {len(scene.names)} names; {failed} failed.")
    for failure in viewer.failures[:3]:
        console.print(f"[red]{failure.name}[/]: {escape(failure.reason)}")
    if rotation.status != "SUCCEEDED":
        # Causes contain brackets, which are markup in rich.
        console.print(f"[red]{rotation.error}[/]\n{escape(rotation.cause)}")
        return 1
    state = aws.state()
    after = by_id(state)
    table = Table(
        Column("target", no_wrap=True), "names", "certificate before", "certificate now", "TLS policy", "status"
    )
    for target in [*scene.targets, scene.bystander]:
        resource = after[target]
        was, now = resource["history"][0]["certificate"], resource["certificate"]
        policy = resource.get("viewer_certificate", {}).get("minimum_protocol_version", "its template's")
        changed = short(now) if was != now else "the same"
        table.add_row(target, names_of(resource), short(was), changed, policy, resource["status"])
    console.print(table)

    promises = kept(aws, scene, rotation, viewer, state)
    for promise, is_kept in promises.items():
        console.print(f"[green]✓[/] {promise}" if is_kept else f"[red]✗ {promise}[/]")
    return 0 if all(promises.values()) else 1


def kept(aws: LocalAws, scene: Scene, rotation: Execution, viewer: Viewer, state: dict[str, Any]) -> dict[str, bool]:
    """Each promise, and whether the state of the account confirms it."""
    output, after = rotation.output, by_id(state)
    new = output["newCertificate"]["id"]
    count = len(scene.targets)
    imports = [c for c in state["calls"] if c["operation"] in ("ImportCertificate", "UploadServerCertificate")]
    left = {one["CertificateArn"] for one in state["acm_certificates"]}
    left |= {one["ServerCertificateId"] for one in state["iam_certificates"]}
    moved_at = sorted(after[target]["history"][-1]["time"] for target in scene.targets)
    the_two = {scene.old_leaf.fingerprint, scene.new_leaf.fingerprint}
    gaps = [later - earlier for earlier, later in zip(moved_at, moved_at[1:], strict=False)]
    counts = {
        "total": count,
        "updated": count,
        "alreadyCurrent": 0,
        "drifted": 0,
        "gone": 0,
        "failed": 0,
        "excluded": 0,
    }
    return {
        "The output says rotated, and counts every target as updated": (
            output["outcome"] == "rotated" and output["targets"] == counts
        ),
        "The fingerprints of the output are those of the two certificates": (
            output["oldCertificate"]["fingerprint"] == f"sha256:{scene.old_leaf.fingerprint}"
            and output["newCertificate"]["fingerprint"] == f"sha256:{scene.new_leaf.fingerprint}"
        ),
        "Every target serves the new certificate and is Deployed": all(
            after[target]["certificate"] == new and after[target]["status"] == "Deployed" for target in scene.targets
        ),
        "Nothing but the certificate changed in any of them": all(
            without_certificate(configuration(aws, target)) == without_certificate(scene.before[target])
            for target in scene.targets
        ),
        "The distribution with another certificate was not touched": (
            after[scene.bystander]["versions"] == 1
            and configuration(aws, scene.bystander) == scene.before[scene.bystander]
        ),
        "Never more than one target was between update and Deployed": all(
            gap >= aws.propagation_seconds for gap in gaps
        ),
        "No viewer met a failed handshake or a certificate that was neither of the two": (
            not viewer.failures and all(met and set(met) <= the_two for met in viewer.met.values())
        ),
        # Two were imported by the demo.
        "The new certificate was imported once": len(imports) == 3 and output["newCertificate"]["imported"],
        "The old certificate is deleted": output["oldCertificate"]["deleted"] and scene.old not in left,
        "The private key is not in the execution's history": not holds_key(aws, rotation, scene.new_leaf),
    }


def without_certificate(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without its certificate; TLS policy and SSL method stay."""
    if "Customizations" in config:
        return config | {"Customizations": config["Customizations"] | {"Certificate": None}}
    names = {
        "ACMCertificateArn",
        "IAMCertificateId",
        "Certificate",
        "CertificateSource",
        "CloudFrontDefaultCertificate",
    }
    viewer = {name: value for name, value in config["ViewerCertificate"].items() if name not in names}
    return config | {"ViewerCertificate": viewer}


def holds_key(aws: LocalAws, rotation: Execution, leaf: Leaf) -> bool:
    """Whether a line of the key is in the history of the execution."""
    pages = aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=rotation.arn)
    history = json.dumps([page["events"] for page in pages], default=str)
    return any(line in history for line in key_pem(leaf.key).splitlines()[1:-1])


def short(certificate: str) -> str:
    """The distinctive part of an ARN or id."""
    return certificate.rsplit("/", 1)[-1][:21]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; the local AWS is stopped.")
