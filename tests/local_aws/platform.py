"""Both halves of the local AWS and the deployed stack: what the demo and the rotation tests run on.

with LocalAws() as aws:
    aws.deploy()
    execution = aws.start({"newCertificate": "tls/www", "oldCertificate": arn})
    execution.wait()
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from . import built, pki
from .built import ROOT
from .faults import CONTROL, Proxy

# The operator's command-line tool.
CERTROTATE = built.FOLDER / "certrotate"
REGION = "us-east-1"
STACK = "certificate-rotation"
# The services that moto has and that ministack lacks or implements differently from AWS: see docs/local-aws.md.
CERTIFICATE_SERVICES = {
    "acm": "ACM",
    "cloudfront": "CLOUDFRONT",
    "iam": "IAM",
    "resourcegroupstaggingapi": "RESOURCE_GROUPS_TAGGING_API",
    "service-quotas": "SERVICE_QUOTAS",
}
# The services of the platform that functions call.
PLATFORM_SERVICES = ("S3", "SECRETS_MANAGER", "SSM", "SFN")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def client(service: str, endpoint: str, region: str = REGION, config: Config | None = None) -> Any:
    """A boto3 client for this endpoint."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


def end_with_parent() -> None:
    """Has Linux end this process when the one that started it is gone (PR_SET_PDEATHSIG of prctl(2)).

    A test worker whose runner is killed exits without any cleanup, and its servers would stay.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class LocalAws:
    """The platform (ministack) and the certificate services (moto), on free ports of 127.0.0.1.

    `services_only` starts no platform, for tests that run no functions. With `faults`, the calls of the functions go
    through proxies that `proxy` controls; calls of the tests do not.
    """

    def __init__(
        self,
        propagation_seconds: float = 1,
        wait_scale: float = 0.02,
        services_only: bool = False,
        faults: bool = False,
    ) -> None:
        self.propagation_seconds = propagation_seconds
        self.wait_scale = wait_scale
        self.services_only = services_only
        self.directory = Path(tempfile.mkdtemp(prefix="local-aws-"))
        self.logs = self.directory / "logs"
        self.platform_port, self.services_port, self.edge_port = free_port(), free_port(), free_port()
        self.platform = f"http://127.0.0.1:{self.platform_port}"
        self.services = f"http://127.0.0.1:{self.services_port}"
        # By upstream; without faults the functions call both halves directly.
        self.proxies = {url: f"http://127.0.0.1:{free_port()}" for url in (self.services, self.platform) if faults}
        self.proxy = Proxy(*self.proxies.values())
        self.authority = pki.Authority.root()
        self.intermediate = self.authority.intermediate()
        self.outputs: dict[str, str] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> LocalAws:
        # The servers run in their own sessions and do not get the signal that ends a test run. Raised as an exception,
        # it leads to __exit__, which stops them.
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.default_int_handler)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            # Each server is in its own session: the functions that ministack has started end with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                process.wait()
        self._processes.clear()
        # Each local AWS writes its own logs while it runs; the last one's logs are kept for reading.
        shutil.copytree(self.logs, ROOT / ".local" / "logs", dirs_exist_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> None:
        self.logs.mkdir()
        roots = self.directory / "roots.pem"
        roots.write_text(self.authority.certificate_pem)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environment |= CREDENTIALS | {"AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}
        # For command-line tools of the operator, which call both halves directly.
        self.environment = environment | {"AWS_ENDPOINT_URL": self.platform}
        self.environment |= {f"AWS_ENDPOINT_URL_{name}": self.services for name in CERTIFICATE_SERVICES.values()}
        # The functions and the operator's tools trust the throwaway authority.
        self.environment["SSL_CERT_FILE"] = str(roots)
        self._spawn(
            "certificate-services",
            [
                *(sys.executable, "-m", "local_aws.certificate_services", "--port", str(self.services_port)),
                *("--edge-port", str(self.edge_port), "--propagation-seconds", str(self.propagation_seconds)),
            ],
            environment | {"PYTHONPATH": str(ROOT / "tests")},
        )
        up = [f"{self.services}/control/state"]
        if not self.services_only:
            self._spawn_platform(environment, roots)
            up += [f"{self.platform}/_ministack/health", *(f"{url}{CONTROL}/health" for url in self.proxies.values())]
        for process, url in zip(self._processes, up, strict=True):
            wait_until_it_answers(process, url)

    def _spawn_platform(self, environment: dict[str, str], roots: Path) -> None:
        # The functions inherit ministack's environment; this is how they find the endpoints of the local AWS.
        upstreams = dict.fromkeys(CERTIFICATE_SERVICES.values(), self.services)
        upstreams |= dict.fromkeys(PLATFORM_SERVICES, self.platform)
        functions = {f"AWS_ENDPOINT_URL_{name}": self.proxies.get(url, url) for name, url in upstreams.items()}
        functions |= {"AWS_ENDPOINT_URL": self.platform, "SSL_CERT_FILE": str(roots)}
        functions["VIEWER_EDGE"] = f"127.0.0.1:{self.edge_port}"
        self.functions_environment = environment | functions
        own = {
            "GATEWAY_PORT": str(self.platform_port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "SFN_WAIT_SCALE": str(self.wait_scale),
            "TMPDIR": str(self.directory),
        }
        self._spawn("platform", [str(Path(sys.executable).parent / "ministack")], self.functions_environment | own)
        for name, (upstream, url) in zip(("services-proxy", "platform-proxy"), self.proxies.items(), strict=False):
            command = [sys.executable, "-m", "local_aws.fault_proxy", "--upstream", upstream]
            port = url.rpartition(":")[2]
            self._spawn(name, [*command, "--port", port], environment | {"PYTHONPATH": str(ROOT / "tests")})

    def _spawn(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.logs / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=end_with_parent,
                )
            )

    def client(self, service: str) -> Any:
        """A boto3 client for the half that has this service."""
        return client(service, self.services if service in CERTIFICATE_SERVICES else self.platform)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Calls the control API of the certificate services."""
        request = urllib.request.Request(
            f"{self.services}/control/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def state(self) -> Any:
        """The state of the certificate services, including every call."""
        return self.control("GET", "state")

    def put_into_store(self, store: str, leaf: pki.Leaf, name: str, tags: dict[str, str] | None = None) -> str:
        """Imports into ACM or uploads to IAM; returns the ARN or id by which CloudFront refers to it."""
        tagged = [{"Key": key, "Value": value} for key, value in ({"team": "web"} if tags is None else tags).items()]
        if store == "acm":
            imported = self.client("acm").import_certificate(
                Certificate=leaf.certificate_pem,
                PrivateKey=leaf.key_pem,
                CertificateChain=leaf.chain_pem,
                **({"Tags": tagged} if tagged else {}),
            )
            return str(imported["CertificateArn"])
        uploaded = self.client("iam").upload_server_certificate(
            Path="/cloudfront/",
            ServerCertificateName=name,
            CertificateBody=leaf.certificate_pem,
            PrivateKey=leaf.key_pem,
            CertificateChain=leaf.chain_pem,
            Tags=tagged,
        )
        return str(uploaded["ServerCertificateMetadata"]["ServerCertificateId"])

    @cached_property
    def template(self) -> Path:
        """The template with the functions that `make functions` builds."""
        return built.template(self.directory)

    def deploy(self, template: Path | None = None, tags: dict[str, str] | None = None, **parameters: object) -> None:
        """Packages and deploys the template as the README says, with the AWS CLI; with tags of the stack.

        The functions are those of `make functions`; with `built.TEMPLATE`, those of `make package`.
        """
        s3 = self.client("s3")
        bucket, packaged = "deployment-artifacts", self.directory / "packaged.yaml"
        s3.create_bucket(Bucket=bucket)
        self._aws(
            *("cloudformation", "package", "--template-file", str(template or self.template)),
            *("--s3-bucket", bucket, "--output-template-file", str(packaged)),
        )
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        self._aws(
            *("cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", STACK),
            *("--s3-bucket", bucket),
            *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
            *(["--parameter-overrides", *overrides] if overrides else []),
            *(["--tags", *(f"{key}={value}" for key, value in tags.items())] if tags else []),
        )
        stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def _aws(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).parent / "aws"), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=300)
        if done.returncode:
            shown = " ".join(arguments[:2])
            raise RuntimeError(f"aws {shown} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def start(self, request: Any, name: str) -> Execution:
        """Starts a rotation."""
        arn = self.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs["RotationStateMachineArn"], name=name, input=json.dumps(request)
        )["executionArn"]
        return Execution(self, arn)

    def execution(self, name: str) -> Execution:
        """A rotation that was started elsewhere."""
        machine = self.outputs["RotationStateMachineArn"]
        return Execution(self, machine.replace(":stateMachine:", ":execution:") + f":{name}")


@dataclass
class Execution:
    """A rotation that was started."""

    aws: LocalAws
    arn: str
    status: str = "RUNNING"
    error: str = ""
    cause: str = ""
    output: Any = None

    def running(self) -> bool:
        """Reads the status of the execution."""
        answer = self.aws.client("stepfunctions").describe_execution(executionArn=self.arn)
        self.status = answer["status"]
        self.error, self.cause = answer.get("error", ""), said(answer.get("cause", ""))
        if self.status == "SUCCEEDED":
            self.output = json.loads(answer["output"])
        return self.status == "RUNNING"

    def wait(self, seconds: float = 300) -> Execution:
        """Waits until the execution has ended."""
        deadline = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.arn} still runs after {seconds} s")
            time.sleep(0.05)
        return self


def said(cause: str) -> str:
    """The message in a cause: Step Functions gets a function's error as JSON."""
    return str(json.loads(cause)["errorMessage"]) if cause.startswith("{") else cause


def as_json(leaf: pki.Leaf) -> str:
    """The content of a source, in JSON."""
    return json.dumps(
        {"certificate": leaf.certificate_pem, "privateKey": leaf.key_pem, "certificateChain": leaf.chain_pem}
    )


def as_bundle(leaf: pki.Leaf) -> str:
    """The content of a source as one PEM text, with the blocks in an unusual order."""
    return f"The chain:\n{leaf.chain_pem}\nThe key:\n{leaf.key_pem}\nThe certificate:\n{leaf.certificate_pem}"


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(process: subprocess.Popen[bytes], url: str, seconds: float = 60) -> None:
    """Waits for a server to answer; fails if its process ends."""
    for _ in ticks(seconds):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}; see .local/logs")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            continue
    raise TimeoutError(f"nothing answers at {url} after {seconds} s")


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Waits until a condition holds; the limit is long enough for a busy machine."""
    for _ in ticks(seconds, every=0.02):
        if true():
            return
    raise TimeoutError(f"not true after {seconds} s")


def ticks(seconds: float, every: float = 0.1) -> Iterator[None]:
    """Yields at intervals until the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(every)
