"""The control API: what a test or the demo needs and no AWS API offers. JSON over HTTP, on the server's port.

GET  /control/state                everything: distributions, tenants, certificates, quotas and requests to raise
                                   them, faults, every call with service, operation, resource, status and time, and how
                                   often the edges served which certificate for which name
POST /control/reset                empties the account and restores the settings the server was started with
POST /control/settings             {"propagation_seconds": n, "in_use_lag_seconds": n,
                                    "outdated_tags": {ARN: {KEY: VALUE}},
                                    "quotas": {CODE: value | null | "absent"},
                                    "quota_decision": {CODE | "*": "approve" | "deny" | "hold", "after_seconds": n}}
                                   outdated_tags: what GetResources returns in place of the tags of this resource, or
                                   for one that does not exist; {}: it is not in the index
                                   null: GetServiceQuota has no applied value but there is a default; "absent": neither
POST /control/quota-request/ID     {"status": "APPROVED" | "DENIED" | "CASE_OPENED" | "CASE_CLOSED" | ...}
GET  /control/distribution/ID      one distribution, with its configuration as XML ("document"); not logged as a call
GET  /control/tenant/ID            the same for a distribution tenant
POST /control/distribution/ID      a change by another user: see `control_commands.apply`
POST /control/tenant/ID            the same for a distribution tenant
POST /control/faults               {"service": "cloudfront", "operation": "UpdateDistribution",
                                    "code": "Throttling", "status": 400, "message": "...",
                                    "resource": ID, "times": n, "skip": n, "every": n, "probability": p,
                                    "rate": n, "burst": n, "after_effect": bool, "latency_seconds": n}: service and
                                    operation (a pattern: "Get*") are required; with a rate, the first `burst` calls
                                    succeed, then `rate` a second, and the fault applies to the rest; without a code
                                    the call is only slow; services: cloudfront, acm, iam, service-quotas,
                                    resourcegroupstaggingapi
DELETE /control/faults             removes all faults
POST /control/acm/in-use           {"arn": ..., "by": [ARN, ...]}: users outside CloudFront; [] removes them
POST /control/seed                 [{"aliases": [...], "certificate": ARN or id, "staging"?, "enabled"?, "comment"?,
                                     "http_version"?, "ssl_support_method"?, "minimum_protocol_version"?,
                                     "connection_mode"?, "tags"? {KEY: VALUE}}, ...] -> {"ids": [...]}
"""

from __future__ import annotations

import uuid
from typing import Any
from xml.etree.ElementTree import Element

from flask import Flask, jsonify, request
from moto.core.base_backend import BackendDict

from . import acm, cloudfront, control_commands, edge_certificates, iam
from .cloudfront import Distribution, Tenant
from .document import build, items, serialize, text
from .errors import AwsError
from .quotas import QUOTAS, ledger
from .state import Fault, as_json, world

app = Flask(__name__)
app.json.sort_keys = False  # type: ignore[attr-defined]


@app.errorhandler(AwsError)
def _refused(error: AwsError) -> Any:
    return jsonify(error=error.code, message=error.message), 400


@app.errorhandler(ValueError)
@app.errorhandler(KeyError)
@app.errorhandler(TypeError)
def _misused(error: Exception) -> Any:
    return jsonify(error=type(error).__name__, message=str(error)), 400


@app.get("/control/state")
def state() -> Any:
    with world.lock:
        return jsonify(
            distributions=[_distribution(one) for one in cloudfront.backend().distributions.values()],
            tenants=[_tenant(one) for one in cloudfront.backend().tenants.values()],
            acm_certificates=[
                acm.described(backend.get_certificate(arn)) | {"Region": region, "Tags": dict(bundle.tags)}
                for region, backend in acm.backends().items()
                for arn, bundle in backend.bundles.items()
            ],
            iam_certificates=[
                {
                    name: value if isinstance(value, str) else value.isoformat()
                    for name, value in certificate.metadata().items()
                }
                | {"Tags": certificate.tags, "InUseBy": world.users_of(certificate.id)}
                for certificate in iam.backend().certificates.values()
            ],
            quota_requests=[
                as_json(one) | {"quota": one.quota.code, "service": one.quota.service} for one in ledger.requests
            ],
            quotas={code: ledger.applied[code] for code in QUOTAS},
            settings=as_json(world.settings),
            faults=[as_json(fault) for fault in world.faults],
            calls=[as_json(call) for call in world.calls],
            handshakes=[
                {"name": name, "fingerprint": fingerprint, "count": count}
                for (name, fingerprint), count in world.handshakes.items()
            ],
        )


def _resource(resource: Distribution | Tenant) -> dict[str, Any]:
    return {
        "id": resource.id,
        "arn": resource.arn,
        "status": resource.status,
        "etag": resource.etag,
        "certificate": resource.certificate,
        "versions": len(resource.history),
        "history": resource.history,
        "domains": resource.domains,
        "edge": resource.edge,
    }


def _distribution(distribution: Distribution) -> dict[str, Any]:
    return _resource(distribution) | {
        "aliases": distribution.aliases,
        "domain_name": distribution.domain_name,
        "viewer_certificate": distribution.viewer._asdict(),
        "staging": distribution.staging,
        "tenant_only": distribution.tenant_only,
        "continuous_deployment_policy_id": distribution.policy_id,
        "comment": text(distribution.document, "Comment"),
        "http_version": text(distribution.document, "HttpVersion"),
    }


def _tenant(tenant: Tenant) -> dict[str, Any]:
    return _resource(tenant) | {
        "name": tenant.name,
        "distribution_id": tenant.distribution_id,
    }


@app.post("/control/reset")
def reset() -> Any:
    with world.lock:
        BackendDict.reset()
        ledger.reset()
        world.reset()
        edge_certificates.forget()
    return jsonify({})


@app.post("/control/settings")
def settings() -> Any:
    wanted = dict(request.get_json())
    with world.lock:
        for code, value in wanted.pop("quotas", {}).items():
            ledger.applied[QUOTAS[code].code] = value
        decisions = dict(wanted.pop("quota_decision", {}))
        ledger.after_seconds = decisions.pop("after_seconds", ledger.after_seconds)
        if not set(decisions.values()) <= {"approve", "deny", "hold"}:
            raise ValueError("a quota decision is approve, deny or hold")
        ledger.decisions.update(decisions)
        if unknown := wanted.keys() - vars(world.settings).keys():
            raise ValueError(f"unknown setting {', '.join(sorted(unknown))}")
        vars(world.settings).update(wanted)
        return jsonify(as_json(world.settings))


@app.post("/control/quota-request/<request_id>")
def decide_quota_request(request_id: str) -> Any:
    with world.lock:
        requests = {one.id: one for one in ledger.requests}
        ledger.decide(requests[request_id], request.get_json()["status"])
    return jsonify({})


@app.get("/control/distribution/<distribution_id>")
def show_distribution(distribution_id: str) -> Any:
    with world.lock:
        distribution = cloudfront.backend().distribution(distribution_id)
        return jsonify(_distribution(distribution) | {"document": serialize(distribution.document)})


@app.get("/control/tenant/<tenant_id>")
def show_tenant(tenant_id: str) -> Any:
    with world.lock:
        tenant = cloudfront.backend().tenant(tenant_id)
        return jsonify(_tenant(tenant) | {"document": serialize(tenant.document)})


@app.post("/control/distribution/<distribution_id>")
def change_distribution(distribution_id: str) -> Any:
    with world.lock:
        distribution = cloudfront.backend().distribution(distribution_id)
        control_commands.apply(cloudfront.backend(), distribution, request.get_json())
        return jsonify(_distribution(distribution))


@app.post("/control/tenant/<tenant_id>")
def change_tenant(tenant_id: str) -> Any:
    with world.lock:
        tenant = cloudfront.backend().tenant(tenant_id)
        control_commands.apply(cloudfront.backend(), tenant, request.get_json())
        return jsonify(_tenant(tenant))


@app.post("/control/faults")
def add_fault() -> Any:
    fault = Fault(**request.get_json())
    with world.lock:
        world.faults.append(fault)
    return jsonify(as_json(fault))


@app.delete("/control/faults")
def clear_faults() -> Any:
    with world.lock:
        world.faults.clear()
    return jsonify({})


@app.post("/control/acm/in-use")
def set_in_use() -> Any:
    wanted = request.get_json()
    with world.lock:
        world.other_users[wanted["arn"]] = list(wanted["by"])
    return jsonify({})


@app.post("/control/seed")
def seed() -> Any:
    with world.lock:
        created = [_seeded(**wanted) for wanted in request.get_json()]
        return jsonify(ids=[distribution.id for distribution in created])


def _seeded(tags: dict[str, str] | None = None, **wanted: Any) -> Distribution:
    tagged = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
    return cloudfront.backend().create(_seeded_config(**wanted), tagged)


def _seeded_config(
    certificate: str = "",
    aliases: list[str] | None = None,
    staging: bool = False,
    enabled: bool = True,
    comment: str = "",
    http_version: str = "http2",
    ssl_support_method: str = "sni-only",
    minimum_protocol_version: str = "TLSv1.2_2021",
    connection_mode: str | None = None,
) -> Element:
    if certificate:
        source = "ACMCertificateArn" if certificate.startswith("arn:") else "IAMCertificateId"
        viewer = {
            source: certificate,
            "SSLSupportMethod": ssl_support_method,
            "MinimumProtocolVersion": minimum_protocol_version,
        }
    else:
        viewer = {"CloudFrontDefaultCertificate": "true"}
    return build(
        "DistributionConfig",
        {
            "CallerReference": str(uuid.uuid4()),
            "Aliases": items("Aliases", "CNAME", aliases or []),
            "Origins": items(
                "Origins",
                "Origin",
                [
                    {
                        "Id": "origin",
                        "DomainName": "origin.example.com",
                        "OriginPath": "",
                        "CustomHeaders": {"Quantity": 0},
                        "CustomOriginConfig": {
                            "HTTPPort": 80,
                            "HTTPSPort": 443,
                            "OriginProtocolPolicy": "https-only",
                            "OriginSslProtocols": items("OriginSslProtocols", "SslProtocol", ["TLSv1.2"]),
                        },
                    }
                ],
            ),
            "DefaultCacheBehavior": {
                "TargetOriginId": "origin",
                "ViewerProtocolPolicy": "redirect-to-https",
                "Compress": True,
                "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",
            },
            "Comment": comment,
            "Enabled": enabled,
            "ViewerCertificate": viewer,
            "HttpVersion": http_version,
            "Staging": staging,
            "ConnectionMode": connection_mode,
        },
    )
