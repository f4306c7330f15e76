"""`make demo`: a certificate is rotated on the local AWS, with the real template and the real functions.

Shows what each target is doing while the rotation runs, then a table read back from the local CloudFront, then what
the contract promises and whether it was kept. Ends with 1 if anything was not.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from local_aws.pki import Leaf, key_pem
from local_aws.platform import Execution, LocalAws, as_json

SECRET = "tls/www"
POLICIES = ["TLSv1.2_2021", "TLSv1.2_2019", "TLSv1.3_2025"]


@dataclass
class Scene:
    """What the demo sets up, and how it was before the rotation."""

    old: str
    old_leaf: Leaf
    new_leaf: Leaf
    targets: list[str]
    bystander: str
    before: dict[str, Any] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["acm", "iam"], default="acm")
    parser.add_argument("--distributions", type=int, default=6)
    options = parser.parse_args()
    if not 1 <= options.distributions <= 400:
        parser.error("--distributions must be from 1 to 400")
    # Wide enough for the closing table where nobody tells how wide the output is.
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)

    # A wait of 30 seconds takes 0.3; an update reaches the edges in one second instead of some minutes.
    with LocalAws(propagation_seconds=1, wait_scale=0.01) as aws:
        console.print("[bold]The local AWS is up.[/] Deploying infra/template.yaml …")
        aws.deploy()
        console.print(f"Deployed: {aws.outputs['RotationStateMachineArn']}")
        scene = seed(aws, options.store, options.distributions)
        request = {"newCertificate": SECRET, "oldCertificate": scene.old}
        console.print(f"\nRotating with the input {json.dumps(request)}\n")
        rotation = aws.start(request, name="demo")
        watch(console, aws, scene, rotation)
        return conclude(console, aws, scene, rotation)


def seed(aws: LocalAws, store: str, count: int) -> Scene:
    """Distributions with the old certificate, one with another, and a secret with the new certificate."""
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
    aws.client("secretsmanager").create_secret(Name=SECRET, SecretString=as_json(new))
    time.sleep(aws.propagation_seconds + 0.2)  # New distributions are InProgress too.
    scene = Scene(served, old, new, targets, bystander)
    scene.before = {target: configuration(aws, target) for target in [*targets, bystander]}
    return scene


def configuration(aws: LocalAws, target: str) -> dict[str, Any]:
    """A distribution's configuration, as boto3 reads it."""
    config: dict[str, Any] = aws.client("cloudfront").get_distribution_config(Id=target)["DistributionConfig"]
    return config


def served_by(viewer: dict[str, Any]) -> str:
    """The certificate of a viewer certificate, in either store."""
    return str(viewer.get("ACMCertificateArn") or viewer.get("IAMCertificateId") or "CloudFront's own")


def watch(console: Console, aws: LocalAws, scene: Scene, rotation: Execution) -> None:
    """Shows a line per target until the rotation has ended: in place on a terminal, else each change on a line."""
    began = time.monotonic()
    seen: dict[str, tuple[str, float]] = {}

    def look() -> Table:
        now = time.monotonic() - began
        table = Table("target", "state", "since", "aliases", box=None)
        for distribution in aws.state()["distributions"]:
            target = distribution["id"]
            if target not in scene.targets:
                continue
            moved = distribution["certificate"] != scene.old
            state = distribution["status"] if moved else "waiting"
            if seen.get(target, ("",))[0] != state:
                seen[target] = (state, now)
                if not console.is_terminal:
                    console.print(f"{now:6.1f} s  {target}  {state}")
            style = {"waiting": "dim", "InProgress": "yellow", "Deployed": "green"}[state]
            aliases = ", ".join(distribution["aliases"])
            table.add_row(target, f"[{style}]{state}[/]", f"{seen[target][1]:.1f} s", aliases)
        return table

    if console.is_terminal:
        with Live(look(), console=console, refresh_per_second=8) as live:
            while rotation.running():
                live.update(look())
                time.sleep(0.1)
            live.update(look())
    else:
        while rotation.running():
            look()
            time.sleep(0.1)
        look()
    console.print(f"\nThe rotation took {time.monotonic() - began:.1f} s and ended {rotation.status}.")


def conclude(console: Console, aws: LocalAws, scene: Scene, rotation: Execution) -> int:
    """The closing table, the output, and the promises of the contract, each kept or not."""
    if rotation.status != "SUCCEEDED":
        # Causes have brackets in them, which are markup to rich.
        console.print(f"[red]{rotation.error}[/]\n{escape(rotation.cause)}")
        return 1
    state = aws.state()
    after = {distribution["id"]: distribution for distribution in state["distributions"]}
    table = Table("target", "aliases", "certificate before", "certificate now", "TLS policy", "status")
    for target in [*scene.targets, scene.bystander]:
        config = configuration(aws, target)
        viewer = config["ViewerCertificate"]
        was = served_by(scene.before[target]["ViewerCertificate"])
        table.add_row(
            target,
            ", ".join(config["Aliases"].get("Items", [])),
            short(was),
            short(served_by(viewer)) if was != served_by(viewer) else "the same",
            viewer["MinimumProtocolVersion"],
            after[target]["status"],
        )
    console.print(table)
    console.print_json(json.dumps(rotation.output))

    promises = kept(aws, scene, rotation, state)
    for promise, is_kept in promises.items():
        console.print(f"[green]✓[/] {promise}" if is_kept else f"[red]✗ {promise}[/]")
    return 0 if all(promises.values()) else 1


def kept(aws: LocalAws, scene: Scene, rotation: Execution, state: dict[str, Any]) -> dict[str, bool]:
    """Each promise, and what the world says of it."""
    output = rotation.output
    after = {distribution["id"]: distribution for distribution in state["distributions"]}
    new = output["newCertificate"]["id"]
    count = len(scene.targets)
    imports = [c for c in state["calls"] if c["operation"] in ("ImportCertificate", "UploadServerCertificate")]
    left = {one["CertificateArn"] for one in state["acm_certificates"]}
    left |= {one["ServerCertificateId"] for one in state["iam_certificates"]}
    moved_at = sorted(after[target]["history"][-1]["time"] for target in scene.targets)
    gaps = [later - earlier for earlier, later in zip(moved_at, moved_at[1:], strict=False)]
    counts = {"total": count, "updated": count, "alreadyCurrent": 0, "drifted": 0, "gone": 0, "failed": 0}
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
        # Two were put there by the demo itself.
        "The new certificate was imported once": len(imports) == 3 and output["newCertificate"]["imported"],
        "The old certificate is deleted": output["oldCertificate"]["deleted"] and scene.old not in left,
        "The private key is not in the execution's history": not holds_key(aws, rotation, scene.new_leaf),
    }


def without_certificate(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration less what names the certificate; TLS policy and SSL method stay in."""
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
    """Is any line of the key in the history of the execution?"""
    pages = aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=rotation.arn)
    history = json.dumps([page["events"] for page in pages], default=str)
    return any(line in history for line in key_pem(leaf.key).splitlines()[1:-1])


def short(certificate: str) -> str:
    """The part of an ARN or id that tells it from others."""
    return certificate.rsplit("/", 1)[-1][:21]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; the local AWS is stopped.")
