"""One simulated cluster without its HTTP: store, kinds, clock, admission. The modules beside it act on it."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from clusters.sandbox.answers import ApiError, details_of, not_found, qualified
from clusters.sandbox.faults import Faults
from clusters.sandbox.registry import Registry, Served
from clusters.sandbox.store import Store
from clusters.sandbox.strategies import Addresses

Manifest = dict[str, Any]


class Timer(Protocol):
    """Run a function in the thread of the server, now or after some seconds."""

    def __call__(self, delay: float, work: Callable[[], None]) -> Any: ...


@dataclass(frozen=True, slots=True)
class Options:
    """The query of a write: who writes and how. `validation`: Strict, Warn or Ignore."""

    manager: str = "sandbox"
    dry_run: bool = False
    force: bool = False
    validation: str = "Strict"
    warnings: list[str] = field(default_factory=list)


class Backend:
    """The state of one cluster. All methods run in the thread of the server's loop."""

    def __init__(
        self, name: str, later: Timer, *, ready_after: float = 0.1, keep_history: int = 5000
    ) -> None:
        self.name = name
        self.later = later
        self.ready_after = ready_after
        self.store = Store(keep=keep_history)
        self.registry = Registry()
        self.addresses = Addresses()
        self.faults = Faults()
        self.tokens: dict[str, str] = {}
        self.stages: set[tuple[str, str]] = set()
        self.closed = False
        self._second = (0, "")
        self.store.listeners.append(self._serve_custom_kinds)

    def now(self) -> str:
        """This second in RFC 3339."""
        second = int(time.time())
        if second != self._second[0]:
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._second = (second, text)
        return self._second[1]

    def after(self, seconds: float) -> str:
        return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def new_uid(self) -> str:
        return str(uuid.UUID(int=random.getrandbits(128), version=4))

    def served(self, api_version: str, kind: str) -> Served:
        """The kind of an object. Raises ApiError 404 when it is not served."""
        found = self.registry.by_kind(api_version, kind)
        if found is None:
            raise ApiError(404, "404 page not found", plain=True)
        return found

    def get(self, served: Served, namespace: str, name: str) -> Manifest:
        """The stored object. Raises ApiError 404."""
        obj = self.store.get(served.group, served.resource, namespace, name)
        if obj is None:
            raise not_found(served.resource, served.group, name)
        return obj

    def admit(self, operation: str, served: Served, obj: Manifest) -> None:
        """Refuse what admission refuses: unknown or terminating namespaces, and denials set as faults."""
        metadata = obj["metadata"]
        if operation == "CREATE" and served.namespaced:
            self._admit_namespace(served, metadata["namespace"], metadata["name"])
        denial = self.faults.denial(operation, served.group, served.resource, metadata)
        if denial is not None:
            raise denial

    def _admit_namespace(self, served: Served, namespace: str, name: str) -> None:
        held = self.store.get("", "namespaces", "", namespace)
        if held is None:
            raise not_found("namespaces", "", namespace)
        if held["metadata"].get("deletionTimestamp"):
            what = f'{qualified(served.resource, served.group)} "{name}" is forbidden'
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            details = details_of(name, served.group, served.resource, causes=[cause])
            raise ApiError(403, f"{what}: {why}", details=details)

    def _serve_custom_kinds(self, table: Any, change: Any) -> None:
        if table.resource != "customresourcedefinitions" or table.group != "apiextensions.k8s.io":
            return
        old, new = change.old, change.new
        if change.gone:
            self.registry.forget(new["metadata"]["name"])
        elif _established(new) and (old is None or not _established(old) or old["spec"] != new["spec"]):
            self.registry.define(new)


def _established(crd: Manifest) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
