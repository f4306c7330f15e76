"""The certificate services of the local AWS: CloudFront, ACM, IAM, Service Quotas, the tagging API and the rest of moto
on one port.

    python -m local_aws.certificate_services --port 4567 [--edge-port 4568] [--propagation-seconds 2]

moto implements the protocols and most of what AWS does. This package replaces moto's backends and responses where a
rotation depends on the details. The control API is documented in `local_aws.control`.
"""

from __future__ import annotations

import argparse
import os
import threading
import warnings
from collections.abc import Iterable
from typing import Any

from moto.acm import urls as acm_urls
from moto.acm.models import acm_backends
from moto.cloudfront import urls as cloudfront_urls
from moto.cloudfront.models import cloudfront_backends
from moto.iam import urls as iam_urls
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.resourcegroupstaggingapi import urls as tagging_urls
from moto.servicequotas import urls as servicequotas_urls
from werkzeug.serving import make_server

from . import control
from .acm import Acm, AcmResponse
from .cloudfront import CloudFront
from .cloudfront_wire import CloudFrontXmlResponse
from .edge import Edge
from .iam import Iam, IamCertificatesResponse
from .quotas import QuotasResponse
from .state import ACCOUNT, Settings, world
from .tagging import TaggingResponse


def install() -> None:
    """Registers this package's backends and responses with moto in place of moto's own."""
    # moto warns of error codes that are not in the service model; AWS returns such codes: Throttling, MalformedXML.
    warnings.filterwarnings("ignore", message="Exception.* does not match an error shape")
    # moto's default account is a different one, and moto would use the access key's account before it.
    os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT
    for backends, backend, urls in (
        (cloudfront_backends, CloudFront, cloudfront_urls),
        (acm_backends, Acm, acm_urls),
        (iam_backends, Iam, iam_urls),
    ):
        backends.backend = backend
        # moto looks for a service's URL paths in the module next to its backend.
        backend._url_module = urls  # type: ignore[method-assign, assignment]
    acm_urls.url_paths = {"{0}/$": AcmResponse.dispatch}
    iam_urls.url_paths = {"{0}/$": IamCertificatesResponse.dispatch}
    servicequotas_urls.url_paths = {"{0}/$": QuotasResponse.dispatch}
    tagging_urls.url_paths = {"{0}/$": TaggingResponse.dispatch}
    # moto lists every path it handles. One pattern is enough: the service model tells the operations apart anyway.
    cloudfront_urls.url_paths = {"{0}/(?P<path>.+)$": CloudFrontXmlResponse.dispatch}


class Application:
    """Serves the control API under /control/ and moto everywhere else."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/control/"):
            return control.app(environ, start_response)
        return self._moto(environ, start_response)  # type: ignore[no-any-return]


class QuietRequestHandler(MotoRequestHandler):
    """Logs errors but not requests; requests are in /control/state."""

    def log_request(self, *args: Any, **kwargs: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--edge-port", type=int, help="CloudFront's edges listen here; 0 takes a free one")
    parser.add_argument("--propagation-seconds", type=float, default=0.0, help="from InProgress to Deployed")
    parser.add_argument("--in-use-lag-seconds", type=float, default=0.0, help="a released certificate stays in use")
    arguments = parser.parse_args()

    install()
    world.start_with(Settings(arguments.propagation_seconds, arguments.in_use_lag_seconds))
    server = make_server("127.0.0.1", arguments.port, Application(), threaded=True, request_handler=QuietRequestHandler)
    print(f"certificate services on http://127.0.0.1:{server.server_port}", flush=True)
    if arguments.edge_port is not None:
        edge = Edge(arguments.edge_port)
        threading.Thread(target=edge.serve_forever, daemon=True).start()
        print(f"edges on 127.0.0.1:{edge.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
