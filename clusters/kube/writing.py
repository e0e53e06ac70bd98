"""One write with all its repeats (sync-semantics.md 4.1): what client-side apply took must be taken here as well.

`requests` repeats what the transport lost; here a write is repeated because of what the server said about it.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import clusters.errors as errors
import clusters.kube.requests as requests
from clusters.core import fields
from clusters.core.manifests import (
    FIELD_MANAGER,
    OPERATION_ANNOTATION,
    TRACKING_ANNOTATION,
    Manifest,
    ResourceKey,
)
from clusters.errors import ClusterError
from clusters.kube.requests import Gate, Propagation, Written
from clusters.kube.tuning import tuning

MOST_CONFLICTS = 3
MOST_REPAIRS = 10
_SETTLE_PAUSE = 0.1
_DEFINITIONS = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
}


async def apply(
    gate: Gate,
    key: ResourceKey,
    body: Manifest,
    *,
    manager: str = FIELD_MANAGER,
    force: bool = True,
    strict: bool = True,
    dry_run: bool = False,
) -> Written:
    """Server-side apply until it is accepted or finally refused. What was left out or merged is in `warnings`."""
    written = await _Apply(gate, key, body, manager, force, strict, dry_run).run()
    if not dry_run:
        note_definition(gate, key, body)
    return written


class _Apply:
    """The state of one apply between its repeats."""

    def __init__(
        self,
        gate: Gate,
        key: ResourceKey,
        body: Manifest,
        manager: str,
        force: bool,
        strict: bool,
        dry_run: bool,
    ) -> None:
        self.gate = gate
        self.key = key
        self.body = body
        self.options: dict[str, Any] = {
            "manager": manager,
            "force": force,
            "strict": strict,
            "dry_run": dry_run,
        }
        self.warnings: list[str] = []
        self.conflicts = 0
        self.repairs = 0
        self.asked_again = False
        self.bridged = False
        self.copied = False

    async def run(self) -> Written:
        while True:
            try:
                written = await requests.apply(self.gate, self.key, self.body, **self.options)
            except ClusterError as error:
                if not await self._mended(error):
                    raise
                continue
            return written._replace(warnings=(*self.warnings, *written.warnings))

    async def _mended(self, error: ClusterError) -> bool:
        """Whether the apply is to be sent again, after the body was repaired or the cause had time to pass."""
        if isinstance(error, errors.TimedOut):
            again, self.asked_again = not self.asked_again, True
            return again
        if isinstance(error, errors.Conflict):
            self.conflicts += 1
            return not error.permanent and self.conflicts <= MOST_CONFLICTS
        if isinstance(error, errors.Invalid) and self.repairs < MOST_REPAIRS:
            self.repairs += 1
            if (
                self._without_duplicates(error)
                or self._without_undeclared(error)
                or await self._bridge(error)
            ):
                return True
        if isinstance(error, errors.UndeclaredField | errors.KindNotServed | errors.Throttled):
            return await self._settled()
        return False

    async def _settled(self) -> bool:
        if not self.gate.catalogue.is_settling(self.key.group, self.key.kind):
            return False
        self.gate.catalogue.doubt()
        await tuning().sleep(_SETTLE_PAUSE)
        return True

    def _without_duplicates(self, error: ClusterError) -> bool:
        """Rule (b): of two entries of one key the last is kept, as client-side apply did."""
        found = fields.duplicate_lists(error.whole)
        changed = False
        for path, key in found:
            if fields.keep_last(self._own_body(), path, key):
                self.warnings.append(f"{path}{key} is given more than once: the last entry is applied")
                changed = True
        return changed

    def _without_undeclared(self, error: ClusterError) -> bool:
        """Rule (a), with Validate=false only: fields that the schema does not have are left out."""
        if self.options["strict"]:
            return False
        changed = False
        for path in fields.undeclared(error.whole):
            if fields.drop(self._own_body(), path):
                self.warnings.append(f"{path}{fields.LEFT_OUT}")
                changed = True
        return changed

    async def _bridge(self, error: ClusterError) -> bool:
        """Rule (c): a defaulted live field forbids the new value. Own it by one apply of the live value, then let it go."""
        field = fields.forbidden_default(error.causes).rpartition(".")[0]
        if not field or self.bridged:
            return False
        self.bridged = True
        live = fields.value_at(
            await requests.get(self.gate, self.key, api_version=self.body["apiVersion"]), field
        )
        if live is None:
            return False
        with_live = fields.with_value(self.body, field, live)
        if self.options["dry_run"]:
            self.body = with_live
            self.warnings.append(
                f".{field} takes two steps, which a dry run cannot show: judged with its live value"
            )
            return True
        await requests.apply(self.gate, self.key, with_live, **self.options)
        return True

    def _own_body(self) -> Manifest:
        if not self.copied:
            self.body, self.copied = copy.deepcopy(self.body), True
        return self.body


async def create(gate: Gate, key: ResourceKey, body: Manifest, **options: Any) -> tuple[Written, bool]:
    """POST once; (what is there, whether this call made it). A lost reply and a killed worker find their object again:
    one that carries the same operation, or the same tracking id, is ours (sync-semantics.md 3.7)."""
    try:
        return await requests.create(gate, key, body, **options), True
    except errors.AlreadyExists:
        found = await requests.get(gate, key, api_version=body["apiVersion"])
        if not _is_same(found, body, (OPERATION_ANNOTATION,)):
            raise
        return Written(found, False, ()), False
    except errors.Unavailable as lost:
        if (
            lost.status
            or isinstance(lost, errors.CircuitOpen | errors.CertificateInvalid)
            or options.get("dry_run")
        ):
            raise
    try:
        found = await requests.get(gate, key, api_version=body["apiVersion"])
    except errors.NotFound:
        return await requests.create(gate, key, body, **options), True
    if not _is_same(found, body, (OPERATION_ANNOTATION, TRACKING_ANNOTATION)):
        raise errors.AlreadyExists(f"{key} exists and is not the one that was to be created", status=409)
    return Written(found, True, ()), True


def _is_same(found: Manifest, body: Manifest, names: Collection[str]) -> bool:
    wanted = body["metadata"].get("annotations") or {}
    there = found["metadata"].get("annotations") or {}
    asked = [name for name in names if name in wanted]
    return bool(asked) and all(there.get(name) == wanted[name] for name in asked)


async def replace(
    gate: Gate, key: ResourceKey, body: Manifest, resource_version: str, **options: Any
) -> Written:
    """PUT over what is there, with its resourceVersion; POST when nothing is. A conflict reads anew, three times."""
    for conflicts in range(MOST_CONFLICTS + 1):
        if not resource_version or conflicts:
            try:
                found = await requests.get(gate, key, api_version=body["apiVersion"])
            except errors.NotFound:
                return (await create(gate, key, body, **options))[0]
            resource_version = found["metadata"]["resourceVersion"]
        versioned = {**body, "metadata": {**body["metadata"], "resourceVersion": resource_version}}
        try:
            written = await requests.replace(gate, key, versioned, **options)
        except errors.Conflict:
            if conflicts == MOST_CONFLICTS:
                raise
            continue
        if not options.get("dry_run"):
            note_definition(gate, key, body)
        return written
    raise AssertionError("unreachable")


async def patch(gate: Gate, key: ResourceKey, body: Any, **options: Any) -> Written:
    """PATCH; a conflict is repeated three times unless the patch is guarded by a resourceVersion of its own."""
    conflicts = 0
    while True:
        try:
            return await requests.patch(gate, key, body, **options)
        except errors.Conflict:
            conflicts += 1
            if conflicts > MOST_CONFLICTS or "resourceVersion" in repr(body):
                raise


async def delete(
    gate: Gate,
    key: ResourceKey,
    *,
    propagation: Propagation,
    uid: str = "",
    must_carry: str = "",
    dry_run: bool = False,
) -> tuple[Manifest | None, bool]:
    """(the object that is being deleted or None, whether this call changed something). Absent is success.

    `must_carry`: a GET right before must show that tracking id, and the DELETE carries the uid it saw
    (sync-semantics.md 7.3). NotOurs when the object is another one, or no longer ours.
    """
    try:
        if must_carry:
            live = await requests.get(gate, key, repeats=3)
            uid = _judge(key, live, uid, must_carry)
            if live["metadata"].get("deletionTimestamp"):
                return live, False
        gone = await _delete_once(gate, key, propagation, uid, dry_run)
    except errors.NotFound:
        return None, False
    if not dry_run and (key.group, key.kind) in _DEFINITIONS:
        gate.catalogue.doubt()
    return gone, True


def _judge(key: ResourceKey, live: Manifest, uid: str, must_carry: str) -> str:
    metadata = live["metadata"]
    if uid and metadata["uid"] != uid:
        raise errors.NotOurs(f"{key} was replaced by another object: left in place")
    if (metadata.get("annotations") or {}).get(TRACKING_ANNOTATION) != must_carry:
        raise errors.NotOurs(f"{key} no longer carries the tracking id it had: left in place")
    return str(metadata["uid"])


async def _delete_once(
    gate: Gate, key: ResourceKey, propagation: Propagation, uid: str, dry_run: bool
) -> Manifest | None:
    conflicts = 0
    while True:
        try:
            return await requests.delete(gate, key, propagation=propagation, uid=uid, dry_run=dry_run)
        except errors.TimedOut:
            conflicts += MOST_CONFLICTS
            if conflicts > MOST_CONFLICTS:
                raise
        except errors.Conflict as conflict:
            if uid and "UID in the precondition" in conflict.message:
                raise errors.NotOurs(f"{key} was replaced by another object: left in place") from None
            conflicts += 1
            if conflicts > MOST_CONFLICTS:
                raise


async def move_fields(
    gate: Gate, key: ResourceKey, managers: Collection[str], into: str
) -> tuple[Manifest, bool]:
    """Unite the managedFields entries of `managers` into `into`/Apply; (the object, whether it was patched)."""
    for conflicts in range(MOST_CONFLICTS + 1):
        live = await requests.get(gate, key, repeats=3)
        changes = fields.move_patch(live, managers, into=into)
        if not changes:
            return live, False
        try:
            written = await requests.patch(gate, key, changes, manager=into)
        except errors.Conflict:
            if conflicts == MOST_CONFLICTS:
                raise
            continue
        return written.object, True
    raise AssertionError("unreachable")


def note_definition(gate: Gate, key: ResourceKey, body: Manifest) -> None:
    """A written CRD or APIService makes discovery doubtful, and its kind restless for some seconds."""
    if (key.group, key.kind) not in _DEFINITIONS:
        return
    gate.catalogue.doubt()
    spec = body.get("spec") or {}
    kind = (spec.get("names") or {}).get("kind")
    if kind:
        gate.catalogue.changed(str(spec.get("group") or ""), str(kind))
