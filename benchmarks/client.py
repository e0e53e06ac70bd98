"""A plain client of an API server for benchmarks: one request at a time, or a watch in a thread."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks.raw_replay import Target


class Client:
    """`request` on a kept connection. Raises RuntimeError for answers of 400 and above."""

    def __init__(self, target: Target) -> None:
        self._target = target
        parts = urlsplit(target.url)
        self._host, self._port, self._prefix = parts.hostname or "", parts.port or 443, parts.path
        self._tls = parts.scheme == "https"
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls:
            return http.client.HTTPSConnection(self._host, self._port, context=self._target.tls, timeout=600)
        return http.client.HTTPConnection(self._host, self._port, timeout=600)

    def request(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        headers = {"Authorization": f"Bearer {self._target.token}", "Content-Type": kind}
        self._connection.request(
            method, f"{self._prefix}/{path}", json.dumps(body) if body else None, headers
        )
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return json.loads(data)

    def edit(self, path: str, patch: Any) -> Any:
        """A merge patch, as `kubectl edit` sends it."""
        return self.request(
            "PATCH", f"{path}?fieldManager=kubectl-edit", patch, "application/merge-patch+json"
        )

    def watch(self, path: str) -> Watch:
        connection = Client(self._target)
        return Watch(connection, path)


class Watch:
    """Events of one watch as they arrive, with the time of arrival."""

    def __init__(self, client: Client, path: str) -> None:
        self.events: list[tuple[float, dict[str, Any]]] = []
        self._client, self._path = client, path
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._opened.wait(10)

    def _run(self) -> None:
        client = self._client
        headers = {"Authorization": f"Bearer {client._target.token}"}
        mark = "&" if "?" in self._path else "?"
        client._connection.request("GET", f"{client._prefix}/{self._path}{mark}watch=1", None, headers)
        answer = client._connection.getresponse()
        self._opened.set()
        while (line := answer.readline()).endswith(b"\n"):  # a cut line is the end of the stream
            self.events.append((time.perf_counter(), json.loads(line)["object"]))
