"""A viewer that connects all the time: makes TLS handshakes with the edges for every name, as a browser does.

with Viewer(aws, ["www.example.com", "*.shop.example.com"]) as viewer:
    rotate()
assert viewer.failures == []
"""

from __future__ import annotations

import hashlib
import itertools
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from .platform import LocalAws

_THREADS = 3
# Leaves processor time to the rotation.
_PAUSE_SECONDS = 0.01


class Failure(NamedTuple):
    name: str
    reason: str


class Viewer:
    """Trusts only the local authority. Its results are complete when the `with` block has ended."""

    def __init__(self, aws: LocalAws, names: Iterable[str]) -> None:
        names = list(names)
        # by name: how many handshakes were started, and the fingerprints served, in the order they first appeared
        self.handshakes: Counter[str] = Counter()
        self.met: dict[str, list[str]] = {name: [] for name in names}
        self.failures: list[Failure] = []
        self._edge = ("127.0.0.1", aws.edge_port)
        self._context = ssl.create_default_context(cadata=aws.authority.certificate_pem)
        self._turns = itertools.cycle(names)
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._threads = ThreadPoolExecutor(_THREADS)
        self._looks: list[Future[None]] = []

    def __enter__(self) -> Viewer:
        self._looks = [self._threads.submit(self._look) for _ in range(_THREADS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._threads.shutdown()
        for look in self._looks:
            look.result()

    def _look(self) -> None:
        while not self._left.wait(_PAUSE_SECONDS):
            with self._lock:
                name = next(self._turns)
                self.handshakes[name] += 1
            try:
                fingerprint = self._shake_hands(name.replace("*", "any", 1))
            except OSError as error:
                with self._lock:
                    self.failures.append(Failure(name, str(error)))
                continue
            with self._lock:
                if fingerprint not in self.met[name]:
                    self.met[name].append(fingerprint)

    def _shake_hands(self, host: str) -> str:
        with (
            socket.create_connection(self._edge, timeout=10) as connection,
            self._context.wrap_socket(connection, server_hostname=host) as session,
        ):
            certificate = session.getpeercert(binary_form=True)
        return hashlib.sha256(certificate or b"").hexdigest()
