"""Faults that a test or a benchmark asks for: slow, failing, refusing, lying servers.

A Fault says for which requests it holds and what happens to them. They are set by Python
(`cluster.faults.add(...)`) or over HTTP (`POST /sandbox/faults`), and are tried in the order of adding.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from clusters.sandbox.answers import ApiError, qualified

SORTS = ("latency", "status", "drop", "expire", "trickle", "cut_watch", "deny", "not_ready")


@dataclass(slots=True)
class Fault:
    """One fault.

    `sort`: latency (`seconds` before the answer); status (answer `code`, `message`, `retry_after`); drop (close the
    connection without an answer); expire (410 to reads with a resourceVersion and to watches); trickle (send bodies
    in small pieces, `seconds` between them); cut_watch (end a watch after `seconds`, inside a line); deny (an
    admission webhook named `message` denies writes); not_ready (pods never become ready).
    Which requests: `verb` (get, list, watch, create, update, patch, apply, delete; empty = all), `group` and
    `resource` (empty = all), `namespace`, `name` (a regular expression), `page` (only lists with a continue token).
    `times`: how often it happens, -1 for ever. `id` names it for removal.
    """

    sort: str
    verb: str = ""
    group: str | None = None
    resource: str = ""
    namespace: str = ""
    name: str = ""
    page: bool = False
    times: int = -1
    seconds: float = 0.0
    code: int = 500
    message: str = ""
    reason: str | None = None
    retry_after: int | None = None
    id: str = ""

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise ValueError(f"unknown fault {self.sort!r}; known: {', '.join(SORTS)}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is, as far as faults are concerned."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    paged: bool = False
    versioned: bool = False


class Faults:
    """The faults of one cluster."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self.count = 0

    def add(self, sort: str, **values: Any) -> Fault:
        """Set a fault; its fields are those of Fault. Raises ValueError for unknown ones."""
        unknown = values.keys() - {f.name for f in fields(Fault)}
        if unknown:
            raise ValueError(f"unknown field {sorted(unknown)[0]!r} of a fault")
        fault = Fault(sort, **values)
        self.count += 1
        fault.id = fault.id or str(self.count)
        self.active.append(fault)
        return fault

    def clear(self, identity: str = "") -> None:
        """Remove one fault, or all."""
        self.active[:] = [fault for fault in self.active if identity and fault.id != identity]

    def listed(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self.active]

    def take(self, sort: str, asked: Asked) -> Fault | None:
        """The first fault of this sort that holds for a request; it is used up once."""
        for fault in self.active:
            if fault.sort == sort and fault.times and _holds(fault, asked):
                if fault.times > 0:
                    fault.times -= 1
                return fault
        return None

    def refusal(self, asked: Asked) -> ApiError | None:
        """The answer of a `status` fault, if one holds."""
        fault = self.take("status", asked)
        if fault is None:
            return None
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if fault.code == 429 and not fault.message:
            text = "Too many requests, please try again later."
            return ApiError(429, text, headers=headers or {"Retry-After": "1"}, plain=True)
        what = qualified(asked.resource, asked.group)
        default = (
            f"{what} is forbidden: a fault of the sandbox" if fault.code == 403 else "a fault of the sandbox"
        )
        return ApiError(fault.code, fault.message or default, reason=fault.reason, headers=headers)

    def denial(self, operation: str, group: str, resource: str, metadata: dict[str, Any]) -> ApiError | None:
        """The answer of an admission webhook that denies this write."""
        if not self.active:
            return None
        asked = Asked(
            operation.lower(), group, resource, metadata.get("namespace", ""), metadata.get("name", "")
        )
        fault = self.take("deny", asked)
        if fault is None:
            return None
        code = 403 if fault.code == 500 else fault.code
        text = f'admission webhook "{fault.id}.sandbox.io" denied the request: {fault.message or "denied"}'
        return ApiError(code, text, reason=fault.reason or "")

    def unready(self, namespace: str, name: str) -> bool:
        """Whether a pod is kept from becoming ready."""
        return self.take("not_ready", Asked("", "", "pods", namespace, name)) is not None


def _holds(fault: Fault, asked: Asked) -> bool:
    if fault.verb and asked.verb != fault.verb:
        return False
    if fault.group is not None and fault.group != asked.group:
        return False
    if fault.resource and fault.resource != asked.resource:
        return False
    if fault.namespace and fault.namespace != asked.namespace:
        return False
    if fault.page and not asked.paged:
        return False
    if fault.sort == "expire" and not asked.versioned and asked.verb != "watch":
        return False
    return not fault.name or re.search(fault.name, asked.name) is not None
