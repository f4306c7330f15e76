"""Records every call of a boto3 session: one JSON file each, scrubbed before it is written to disk.

The bytes are those on the wire, below the SDK's parsers, and each attempt of a call is a separate file.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from boto3 import Session

from .scrub import Scrubber

# Headers recorded with their value. All others are recorded by name only: they include signatures, tokens, addresses.
_HEADERS: Final = frozenset(
    (
        *("content-type", "content-length", "transfer-encoding", "etag", "if-match", "location", "retry-after"),
        *("x-amz-target", "x-amz-bucket-region", "x-amz-function-error", "x-amzn-errortype", "x-amzn-query-error"),
        *("x-amzn-query-mode", "x-amz-query-error"),
    )
)


class Recorder:
    """`Recorder(folder, scrubber).attach(session)` records the calls of the session's clients from then on."""

    def __init__(self, folder: Path, scrubber: Scrubber) -> None:
        self.folder = folder
        self.scrubber = scrubber
        folder.mkdir(parents=True, exist_ok=True)
        self._after: list[Callable[[dict[str, Any]], None]] = []
        self._lock = threading.Lock()
        self._certificates = 0
        self._count = len(list(folder.glob("[0-9]*.json")))
        # Request and response of a call are in the same thread; calls of several threads run in parallel.
        self._sent = threading.local()

    def attach(self, session: Session) -> None:
        """Call it before the session creates its clients: existing clients are not recorded."""
        session.events.register_last("before-send", self._remember)
        session.events.register_first("response-received", self._write)

    def after_call(self, callback: Callable[[dict[str, Any]], None]) -> None:
        """`callback` gets the record of each call; an exception from it reaches the caller."""
        self._after.append(callback)

    def _remember(self, request: Any, **_: Any) -> None:
        self._sent.request, self._sent.at = request, time.time()

    def _write(
        self, event_name: str, response_dict: dict[str, Any] | None, exception: Exception | None, **_: Any
    ) -> None:
        _, service, operation = event_name.split(".")
        request, at = self._sent.request, self._sent.at
        url = urlsplit(request.url)
        call: dict[str, Any] = {
            "service": service,
            "operation": operation,
            "time": round(at, 3),
            "seconds": round(time.time() - at, 3),
            "request": {
                "method": request.method,
                "path": url.path,
                "query": url.query,
                "headers": _headers(request.headers),
                "body": _text(request.body),
            },
        }
        if response_dict is None:
            call["failure"] = f"{type(exception).__name__}: {exception}"
        else:
            call["answer"] = {
                "status": response_dict["status_code"],
                "headers": _headers(response_dict["headers"]),
                "body": _text(response_dict["body"]),
            }
        with self._lock:
            scrubbed = self.scrubber.call(call)
            self._count += 1
            path = self.folder / f"{self._count:05}-{service}-{operation}.json"
            _write_json(path, scrubbed)
            if len(self.scrubber.certificates) > self._certificates:
                # A replay creates similar ones.
                self._certificates = len(self.scrubber.certificates)
                _write_json(self.folder / "certificates.json", self.scrubber.certificates)
        for callback in self._after:
            callback(scrubbed)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _headers(headers: Mapping[str, Any]) -> dict[str, str | None]:
    """Names in lower case; values only of those in `_HEADERS`."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {name: _text(value) if name in _HEADERS else None for name, value in sorted(lower.items())}


def _text(body: Any) -> str:
    if body is None:
        return ""
    if isinstance(body, str):
        return body
    if not isinstance(body, bytes | bytearray):
        return f"[a stream: {type(body).__name__}]"
    try:
        return body.decode()
    except UnicodeDecodeError:
        return f"[{len(body)} bytes]"
