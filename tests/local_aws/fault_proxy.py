"""A proxy between the functions and one half of the local AWS that injects faults: microburst, with a seed.

    PYTHONPATH=tests python -m local_aws.fault_proxy --upstream http://127.0.0.1:4567 --port 4667

microburst returns errors in the envelope of each AWS protocol, so the SDK takes them for errors of the service.
microburst itself draws from one random sequence, so the outcome of a call depends on the order of arrival. Here the
nth call of an operation has the same outcome for the same seed, whatever other calls come in between.
Two more differences: a call in which microburst finds no resource, such as every call to CloudFront, has its path as
resource; and a cut response is one of known length, which microburst does not relay, or no response at all.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from typing import Any

from aiohttp import web
from microburst.app import make_app
from microburst.core.context import RequestContext
from microburst.core.pipeline import Microburst
from microburst.forward import HOP_BY_HOP, ResponseFault, Upstream
from microburst.rules import Decision, Rule, RuleEngine

from .faults import CONTROL, KEPT


class SeededEngine(RuleEngine):
    """Decides by the seed and by the number of calls of the same operation since the rules were set."""

    def __init__(self) -> None:
        super().__init__()
        self.seed = ""
        self._seen: Counter[tuple[str | None, str | None]] = Counter()

    def set_rules(self, data: list[dict[str, Any]]) -> list[Rule]:
        self._seen.clear()
        return super().set_rules(data)

    def decide(self, info: RequestContext) -> Decision | None:
        call = (info.service, info.operation)
        self._seen[call] += 1
        info.resource = info.resource or info.path
        # All random draws of one decision are made without an await in between, and from this generator.
        random.seed(f"{self.seed} {call} {self._seen[call]}")
        return super().decide(info)


class CuttingUpstream(Upstream):
    """Closes the connection within a response of known length, or before all of it: `response: {abort_frac: 0}`."""

    async def relay(
        self, request: web.Request, body: bytes | None, mutator: ResponseFault | None = None, data: Any = None
    ) -> web.StreamResponse:
        if mutator is None or mutator.abort_frac is None:
            return await super().relay(request, body, mutator, data)
        assert self.session is not None and request.transport is not None
        url, headers = self.base_url + request.rel_url.raw_path_qs, self._outbound_headers(request)
        payload = request.content if body is None else body
        async with self.session.request(request.method, url, headers=headers, data=payload) as answer:
            whole = await answer.read()
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=kept)
        response.content_length = len(whole)
        if part := whole[: int(len(whole) * mutator.abort_frac)]:
            await response.prepare(request)
            await response.write(part)
            # close() sends what was written, unlike abort().
            request.transport.close()
        else:
            request.transport.abort()
        return response


class SeededMicroburst(Microburst):
    """microburst whose control API also accepts PUT /_microburst/seed with any text."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream, resign=False, fired_capacity=KEPT)
        self.engine = SeededEngine()
        self.upstream = CuttingUpstream(upstream, stats=self.stats)

    async def handle_control(self, request: web.Request) -> web.StreamResponse:
        if (request.method, request.path) == ("PUT", f"{CONTROL}/seed"):
            self.engine.seed = await request.text()
            return web.json_response({"seed": self.engine.seed})
        return await super().handle_control(request)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True, help="where calls go that no rule takes")
    parser.add_argument("--port", required=True, type=int, help="port of 127.0.0.1 to listen on")
    arguments = parser.parse_args()
    # No access log: the upstream logs the requests.
    web.run_app(make_app(SeededMicroburst(arguments.upstream)), host="127.0.0.1", port=arguments.port, access_log=None)


if __name__ == "__main__":
    main()
