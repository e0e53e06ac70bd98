"""A request to an object or a collection, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from clusters.sandbox.answers import Cause, invalid_options, required
from clusters.sandbox.backend import Backend, Options
from clusters.sandbox.faults import Asked
from clusters.sandbox.registry import Served


@dataclass(slots=True)
class Call:
    """One request to an object or a collection."""

    request: web.BaseRequest
    backend: Backend
    served: Served
    namespace: str
    name: str
    subresource: str
    user: str

    @property
    def query(self) -> Any:
        return self.request.query

    @property
    def partial(self) -> bool:
        return "as=PartialObjectMetadata" in self.request.headers.get("Accept", "")

    def options(self, *, apply: bool = False) -> Options:
        query = self.query
        manager = query.get("fieldManager") or ""
        if apply and not manager:
            raise invalid_options("PatchOptions", [required("fieldManager", "is required for apply patch")])
        if len(manager) > 128:
            cause = Cause("fieldManager", "Too long: may not be more than 128 bytes", "FieldValueTooLong")
            raise invalid_options("PatchOptions", [cause])
        agent = self.request.headers.get("User-Agent", "unknown").partition("/")[0][:128]
        return Options(
            manager=manager or agent,
            dry_run=query.get("dryRun") == "All",
            force=query.get("force") in ("true", "1"),
            validation=query.get("fieldValidation") or "Warn",
        )

    def asked(self) -> Asked:
        method = self.request.method
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method, "")
        if method == "PATCH" and "apply-patch" in self.request.headers.get("Content-Type", ""):
            verb = "apply"
        if not verb:
            verb = "get" if self.name else "watch" if self.query.get("watch") in ("1", "true") else "list"
        query = self.query if self.request.query_string else {}
        paged, versioned = bool(query.get("continue")), query.get("resourceVersion", "") not in ("", "0")
        return Asked(
            verb, self.served.group, self.served.resource, self.namespace, self.name, paged, versioned
        )
