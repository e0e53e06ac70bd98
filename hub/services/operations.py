"""Operations: accept a request, end one, confirm what waits. The hall carries them out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, Max
from django.utils import timezone

import hub.services.approvals as approvals
import hub.services.audit as audit
import hub.services.leases as leases
import hub.services.looks as looks
from clusters.core.plan import parse_sync_options
from hub.core import specs
from hub.errors import HubError
from hub.models import Application, ManifestSet, SyncOperation
from hub.models.operation import UNFINISHED
from hub.services.actors import Actor
from hub.services.documents import InvalidDocument
from hub.services.looks import LEVEL_KNOWN, LEVEL_USER

RESOURCE = specs.record(
    {"group": specs.text(253), "kind": specs.text(63), "namespace": specs.text(63), "name": specs.text(253)},
    required=("kind", "name"),
)
REQUEST = specs.record(
    {
        "revisions": specs.texts,
        "dry_run": specs.flag,
        "prune": specs.flag,
        "force": specs.flag,
        "apply_all": specs.flag,
        "skip_hooks": specs.flag,
        "run_all_hooks": specs.flag,
        "resources": specs.list_of(RESOURCE),
        "labels": specs.text_map,
        "strategy": specs.text(8),
        "retry": specs.RETRY,
        "reason": specs.text(255),
        "sync_options": specs.texts,
    }
)


TAKEOVER = specs.record(
    {"dry_run": specs.flag, "resources": specs.list_of(RESOURCE), "reason": specs.text(255)}
)


def read_takeover(doc: Any) -> dict[str, Any]:
    """A checked takeover request. Raises InvalidDocument."""
    errors: specs.Errors = {}
    values = TAKEOVER(doc or {}, "", errors)
    if errors:
        raise InvalidDocument(errors, code="invalid", status=400)
    return dict(values)


def read_request(doc: Any) -> dict[str, Any]:
    """A checked sync request. Raises InvalidDocument."""
    errors: specs.Errors = {}
    values = REQUEST(doc or {}, "", errors)
    if not errors and values.get("strategy", "hook") not in {"hook", "apply"}:
        errors["strategy"] = ["must be hook or apply"]
    if "sync_options" not in errors and (wrong := parse_sync_options(values.get("sync_options"))[1]):
        errors["sync_options"] = list(wrong)
    if errors:
        raise InvalidDocument(errors, code="invalid", status=400)
    return dict(values)


@transaction.atomic
def request(
    actor: Actor, app: Application, values: Mapping[str, Any], *, kind: str = SyncOperation.Kind.SYNC
) -> tuple[SyncOperation, bool]:
    """Accept an operation; an equal request that is unfinished is joined instead (AP9).

    Returns (operation, created). Raises HubError `operation_running` when a different one is unfinished and may
    not be superseded (sync-semantics.md 3.11), `deletion_in_progress` while the Application is being deleted.
    """
    if app.deletion_requested_at and kind != SyncOperation.Kind.DELETE:
        raise HubError("deletion_in_progress", f"{app.name} is being deleted", status=409)
    unfinished = list(app.operations.select_for_update().filter(phase__in=UNFINISHED))
    for operation in unfinished:
        ending = operation.terminate_requested or operation.phase == SyncOperation.Phase.TERMINATING
        if not ending and operation.kind == kind and operation.request == dict(values):
            return operation, False
    operation = SyncOperation(
        application=app,
        kind=kind,
        number=next_number(app),
        initiator=actor.initiator(),
        request=dict(values),
    )
    for older in unfinished:
        if not supersedable(older):
            raise HubError(
                "operation_running",
                f"operation {older.number} of {app.name} is running: {older.wait.get('reason') or older.phase}",
                "wait for it, or terminate it",
                status=409,
            )
    _supersede(unfinished, operation)
    try:
        with transaction.atomic():
            operation.save(force_insert=True)
    except IntegrityError:
        raise HubError(
            "operation_running", f"another operation of {app.name} began", "try again", status=409
        ) from None
    for older in unfinished:
        SyncOperation.objects.filter(id=older.id).update(superseded_by=operation)
    Application.objects.filter(id=app.id).update(
        operation_phase=SyncOperation.Phase.QUEUED, operation_seq=operation.number
    )
    audit.record(
        actor,
        kind,
        resource="application",
        name=app.name,
        project=app.project.name,
        reason=str(values.get("reason", "")),
        after={"operation": operation.number, **values},
    )
    looks.ask([app.id], level=LEVEL_USER if actor.kind == "user" else LEVEL_KNOWN)
    return operation, True


def next_number(app: Application) -> int:
    """The next operation number of this Application: after the last row, whoever wrote it."""
    last = app.operations.aggregate(last=Max("number"))["last"] or 0
    app.operation_seq = max(last, app.operation_seq) + 1
    return app.operation_seq


def supersedable(operation: SyncOperation) -> bool:
    """Nothing of it runs: it is queued, waits to retry, or waits for people or a window (3.11)."""
    if operation.phase == SyncOperation.Phase.QUEUED:
        return True
    if operation.terminate_requested or hook_runs(operation):
        return False
    waiting_for = operation.wait.get("code", "")
    return operation.phase == SyncOperation.Phase.RUNNING and waiting_for in {
        "retry_pause",
        "approval",
        "window",
        "prune_confirmation",
        "hook_decision",
        "problem",
    }


def hook_runs(operation: SyncOperation) -> bool:
    """Whether a hook of the attempt that is under way runs: it is never interrupted by another operation (3.11)."""
    rests = operation.wait.get("code") == "retry_pause"
    return not rests and any(row.get("hook") and row.get("state") == "Running" for row in operation.results)


def _supersede(unfinished: list[SyncOperation], by: SyncOperation) -> None:
    for older in unfinished:
        SyncOperation.objects.filter(id=older.id).update(
            phase=SyncOperation.Phase.SUPERSEDED,
            finished_at=timezone.now(),
            message=f"superseded by operation {by.number}",
            wait={},
        )
        older.phase = SyncOperation.Phase.SUPERSEDED
        approvals.ended(older)


def takeover(actor: Actor, app: Application, values: Mapping[str, Any]) -> SyncOperation:
    """Take what others own and this Application wants: our keys on it, theirs off, their managed fields moved (5.3).

    `resources` choose; without them all of it. Nothing else is written, hooks and prunes are off. Raises HubError
    as `request` does.
    """
    return request(actor, app, values, kind=SyncOperation.Kind.TAKEOVER)[0]


@transaction.atomic
def terminate(actor: Actor, app: Application) -> SyncOperation:
    """Ask the running operation to end; one Step of the next pass does it (3.9). Raises `no_operation`."""
    operation = app.operations.filter(phase__in=UNFINISHED).order_by("number").first()
    if operation is None:
        raise HubError("no_operation", f"no operation of {app.name} is running", status=409)
    SyncOperation.objects.filter(id=operation.id).update(terminate_requested=True)
    audit.record(actor, "terminate", resource="application", name=app.name, project=app.project.name)
    looks.ask([app.id], level=LEVEL_KNOWN)
    operation.refresh_from_db()
    return operation


def make_way(actor: Actor, app: Application, deletion: Mapping[str, Any] | None) -> None:
    """The Application is to go: what runs is terminated, what only waits is replaced by the deletion (10.2 item 1).

    `deletion`: what was asked of it, None for a detach, which is no operation.
    """
    unfinished = list(app.operations.select_for_update().filter(phase__in=UNFINISHED))
    under_way = [operation for operation in unfinished if operation.kind == SyncOperation.Kind.DELETE]
    others = [operation for operation in unfinished if operation not in under_way]
    ids = [operation.id for operation in others]
    SyncOperation.objects.filter(id__in=ids).update(terminate_requested=True)
    if deletion is None:
        return
    for operation in under_way:
        # What was planned stays; the next attempt does as it is asked now.
        operation.request = {**operation.request, **deletion}
        operation.save(update_fields=["request"])
    if under_way:
        return
    operation = SyncOperation(
        application=app,
        kind=SyncOperation.Kind.DELETE,
        number=next_number(app),
        initiator=actor.initiator(),
        request={"retry": {"limit": -1}, **deletion},
    )
    _supersede([older for older in others if older.phase == SyncOperation.Phase.QUEUED], operation)
    operation.save(force_insert=True)
    SyncOperation.objects.filter(id__in=ids, phase=SyncOperation.Phase.SUPERSEDED).update(
        superseded_by=operation
    )
    Application.objects.filter(id=app.id).update(
        operation_phase=SyncOperation.Phase.QUEUED, operation_seq=operation.number
    )


@transaction.atomic
def confirm(actor: Actor, app: Application, digest: str, choice: str = "") -> SyncOperation:
    """Confirm what waits under this digest: prunes, a deletion, an open hook decision, or a prune plan.

    A prune plan of an operation that ended becomes a follow-up operation of kind prune for exactly those objects
    (sync-semantics.md 4.3). Raises HubError `nothing_to_confirm`, or `choice_needed` for a hook decision.
    """
    audit.record(
        actor,
        "confirm",
        resource="application",
        name=app.name,
        project=app.project.name,
        reason=digest,
        level=3,
    )
    operation = app.operations.filter(phase__in=UNFINISHED).order_by("number").first()
    if digest and operation is not None and operation.wait.get("digest") == digest:
        if operation.wait.get("code") == "hook_decision" and choice not in {"run", "skip"}:
            raise HubError(
                "choice_needed", "say whether the hooks run or are skipped", "choice=run or choice=skip"
            )
        if operation.wait.get("code") == "retry_pause" and choice != "skip":
            raise HubError(
                "choice_needed", "a deletion hook that failed runs again, or is skipped", "choice=skip"
            )
        entry = {
            "digest": digest,
            "by": actor.name,
            "choice": choice,
            "sources": operation.wait.get("sources", []),
        }
        operation.confirmed = [*operation.confirmed, entry]
        if operation.retry_at is not None:
            operation.retry_at = timezone.now()
        operation.save(update_fields=["confirmed", "retry_at"])
        looks.ask([app.id], level=LEVEL_KNOWN)
        return operation
    offers = app.operations.exclude(phase__in=UNFINISHED).filter(wait__has_key="prune_plan")
    for ended in offers.order_by("-number")[:20]:
        plan = ended.wait.get("prune_plan") or {}
        if len(digest) >= 12 and str(plan.get("digest") or "").startswith(digest):
            objects = plan["objects"]
            values = {"prune": True, "confirmed_prunes": objects, "keys": [entry["key"] for entry in objects]}
            return request(actor, app, values, kind=SyncOperation.Kind.PRUNE)[0]
    raise HubError(
        "nothing_to_confirm", f"nothing of {app.name} waits for {digest or 'a confirmation'}", status=409
    )


@transaction.atomic
def rollback(
    actor: Actor, app: Application, number: int, *, reason: str = "", until: str = "next-change"
) -> SyncOperation:
    """Go back to the state of an earlier operation and stay there: a Pin; auto-sync stays on (12 rule 11).

    `until`: next-change, manual, or an RFC 3339 time. Raises HubError `no_such_state` when the manifests of that
    operation are no longer kept.
    """
    target = (
        app.operations.filter(number=number, phase=SyncOperation.Phase.SUCCEEDED)
        .exclude(manifest_digest="")
        .first()
    )
    if target is not None and not leaves_state(target):
        target = None
    if target is None or not ManifestSet.objects.filter(digest=target.manifest_digest).exists():
        raise HubError(
            "no_such_state", f"operation {number} of {app.name} left no state to go back to", status=404
        )
    if until not in {"next-change", "manual"}:
        try:
            zoned = datetime.fromisoformat(until).tzinfo is not None
        except ValueError:
            zoned = False
        if not zoned:
            raise HubError(
                "invalid_until",
                f"{until!r} is neither next-change, manual nor a time with its zone",
                "until=2026-12-31T10:00:00Z",
            )
    before = app.pin or {}
    # The newest commit may be ahead of what was rendered: both are bad until something newer comes.
    newest = list(app.source_states.order_by("index").values_list("wanted", flat=True))
    excluded = [list(app.revisions), newest, *(before.get("excluded") or [])]
    pin = {
        "operation": number,
        "revisions": target.revisions,
        "digest": target.manifest_digest,
        "excluded": [
            list(row) for row in dict.fromkeys(tuple(row) for row in excluded if row != target.revisions)
        ],
        "excluded_digests": sorted(
            {app.manifest_digest, *before.get("excluded_digests", [])} - {target.manifest_digest}
        ),
        "by": actor.name,
        "reason": reason,
        "until": until,
        "at": timezone.now().isoformat(),
        # What holds again when this rollback is refused.
        "before": {name: value for name, value in before.items() if name != "before"},
    }
    Application.objects.filter(id=app.id).update(pin=pin)
    values = {"prune": True, "rollback_to": number, "reason": reason}
    return request(actor, app, values, kind=SyncOperation.Kind.ROLLBACK)[0]


def leaves_state(operation: SyncOperation) -> bool:
    """Whether a rollback may go back to it: it set the whole Application, not a part, and not in rehearsal (2.3, 9.3)."""
    whole = operation.kind in {SyncOperation.Kind.SYNC, SyncOperation.Kind.ROLLBACK}
    return whole and not any(operation.request.get(name) for name in ("dry_run", "resources", "labels"))


@transaction.atomic
def unpin(actor: Actor, app: Application) -> None:
    """Lift the Pin by hand; the newest Revision counts again. Raises HubError `not_pinned`."""
    if not app.pin:
        raise HubError("not_pinned", f"{app.name} is not pinned", status=409)
    Application.objects.filter(id=app.id).update(pin={})
    audit.record(
        actor,
        "unpin",
        resource="application",
        name=app.name,
        project=app.project.name,
        before={"pin": app.pin},
    )
    looks.ask([app.id], level=LEVEL_KNOWN)


def close_superseded(operation: SyncOperation, lease: leases.Lease) -> None:
    """Store the end of an operation that a newer one replaces, before that one begins. Raises LeaseLost.

    Fenced like every write of a pass: what another worker carries on, or somebody else ended, stays as it is.
    """
    mine = SyncOperation.objects.filter(
        Exists(Application.objects.filter(id=operation.application_id, fence=lease.fence)),
        id=operation.id,
        phase__in=UNFINISHED,
    )
    if not mine.update(
        phase=SyncOperation.Phase.SUPERSEDED, finished_at=timezone.now(), message=operation.message, wait={}
    ):
        raise leases.LeaseLost(str(operation.application_id))
    operation.phase = SyncOperation.Phase.SUPERSEDED
    approvals.ended(operation)


def show_unfinished(lease: leases.Lease) -> None:
    """A pass that stored an operation ended early: its row says that one is unfinished, so that the next pass loads it.

    The end of a pass says it otherwise, and a killed one is counted by its lease.
    """
    left = SyncOperation.objects.filter(application=lease.application_id, phase__in=UNFINISHED)
    Application.objects.filter(Exists(left), id=lease.application_id, fence=lease.fence).exclude(
        operation_phase__in=UNFINISHED
    ).update(operation_phase=SyncOperation.Phase.RUNNING)


def unfinished(application_id: uuid.UUID) -> list[SyncOperation]:
    """Running before queued: what the next pass carries on."""
    rows = SyncOperation.objects.filter(application_id=application_id, phase__in=UNFINISHED)
    return sorted(
        rows, key=lambda operation: (operation.phase == SyncOperation.Phase.QUEUED, operation.number)
    )
