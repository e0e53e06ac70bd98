"""Carries out one Step of a plan: groups one after the other, the Actions of a group together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import clusters.errors as errors
import clusters.live as live
from clusters.core.connection import Connection
from clusters.core.manifests import Manifest
from clusters.core.plan.steps import Action, Outcome, Step
from clusters.errors import ClusterError
from clusters.kube import loop, requests, writing
from clusters.kube.gate import gate_of
from clusters.kube.requests import Gate, Written


def carry_out(connection: Connection, step: Step) -> list[Outcome]:
    """Do what the Step says; one Outcome per Action that was tried, in order.

    A failing Action never stops its siblings; it stops the later groups if `step.stop_on_failure`. Never raises
    ClusterError: a cluster that cannot be reached at all gives an Outcome per Action that says so.
    """
    return loop.run(_carry_out(connection, step))


async def _carry_out(connection: Connection, step: Step) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for group in step.groups:
        done = await asyncio.gather(*(_act(connection, action) for action in group))
        outcomes.extend(done)
        if step.stop_on_failure and not all(outcome.ok for outcome in done):
            break
    return outcomes


class _Did(NamedTuple):
    """What a verb did: the object it left (None when gone), and whether that changed anything."""

    object: Manifest | None
    changed: bool | None = None
    warnings: tuple[str, ...] = ()


async def _act(connection: Connection, action: Action) -> Outcome:
    writes = action.verb != "get" and not action.dry_run
    known = action.resource_version or live.resource_version(connection.identity, action.key)
    if writes:
        live.hold(connection.identity, action.key)
    did = _Did(None)
    done = False
    try:
        did = await _VERBS[action.verb](gate_of(connection), action)
        done = True
        return Outcome(
            action, ok=True, object=did.object, changed=_changed(did, known, action), warnings=did.warnings
        )
    except ClusterError as error:
        return failed(action, error)
    finally:
        if writes:
            gone = done and action.verb == "delete" and did.object is None
            live.release(connection.identity, action.key, did.object, gone=gone)


def failed(action: Action, error: ClusterError) -> Outcome:
    return Outcome(
        action, ok=False, changed=False, code=error.code, message=error.message, permanent=error.permanent
    )


def _changed(did: _Did, known: str, action: Action) -> bool:
    """Whether the resourceVersion differs from the one known before; unknown counts as changed."""
    if did.changed is not None:
        return did.changed
    if action.dry_run:
        return False
    return did.object is None or not known or did.object["metadata"].get("resourceVersion") != known


def _of(written: Written) -> _Did:
    return _Did(written.object, True if written.created else None, written.warnings)


def _body(action: Action) -> Manifest:
    """The body with the apiVersion it is sent to."""
    body: Manifest = action.body
    if action.api_version and body.get("apiVersion") != action.api_version:
        return {**body, "apiVersion": action.api_version}
    return body


async def _apply(gate: Gate, action: Action) -> _Did:
    return _of(
        await writing.apply(
            gate,
            action.key,
            _body(action),
            manager=action.field_manager,
            force=action.force,
            strict=action.strict,
            dry_run=action.dry_run,
        )
    )


async def _create(gate: Gate, action: Action) -> _Did:
    written, made = await writing.create(
        gate,
        action.key,
        _body(action),
        manager=action.field_manager,
        strict=action.strict,
        dry_run=action.dry_run,
    )
    return _Did(written.object, made, written.warnings)


async def _replace(gate: Gate, action: Action) -> _Did:
    return _of(
        await writing.replace(
            gate,
            action.key,
            _body(action),
            action.resource_version,
            manager=action.field_manager,
            strict=action.strict,
            dry_run=action.dry_run,
        )
    )


async def _patch(gate: Gate, action: Action) -> _Did:
    return _of(
        await writing.patch(
            gate,
            action.key,
            action.body,
            patch_type=action.patch_type,
            subresource=action.subresource,
            manager=action.field_manager,
            dry_run=action.dry_run,
        )
    )


async def _delete(gate: Gate, action: Action) -> _Did:
    gone, changed = await writing.delete(
        gate,
        action.key,
        propagation=action.propagation,
        uid=action.uid,
        must_carry=action.must_carry,
        dry_run=action.dry_run,
    )
    return _Did(gone, changed)


async def _get(gate: Gate, action: Action) -> _Did:
    return _Did(await requests.get(gate, action.key, api_version=action.api_version, repeats=3), False)


async def _move_fields(gate: Gate, action: Action) -> _Did:
    if action.dry_run:
        raise errors.Invalid("moving managed fields cannot be tried without doing it")
    return _Did(*await writing.move_fields(gate, action.key, action.managers, action.field_manager))


_VERBS: dict[str, Callable[[Gate, Action], Awaitable[_Did]]] = {
    "apply": _apply,
    "create": _create,
    "replace": _replace,
    "patch": _patch,
    "delete": _delete,
    "get": _get,
    "move_fields": _move_fields,
}
