"""Operations: accept a request, end one, confirm what waits. The hall carries them out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from hub.core import specs
from hub.errors import HubError
from hub.models import Application, SyncOperation
from hub.models.operation import UNFINISHED
from hub.services import audit, looks
from hub.services.actors import Actor
from hub.services.applications import LEVEL_KNOWN, LEVEL_USER
from hub.services.documents import InvalidDocument

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


def read_request(doc: Any) -> dict[str, Any]:
    """A checked sync request. Raises InvalidDocument."""
    errors: specs.Errors = {}
    values = REQUEST(doc or {}, "", errors)
    if values.get("strategy", "hook") not in {"hook", "apply"}:
        errors["strategy"] = ["must be hook or apply"]
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
        if operation.kind == kind and operation.request == dict(values):
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
    """The next operation number of this Application; the counter lives in its row."""
    Application.objects.filter(id=app.id).update(operation_seq=F("operation_seq") + 1)
    app.operation_seq = Application.objects.values_list("operation_seq", flat=True).get(id=app.id)
    return app.operation_seq


def supersedable(operation: SyncOperation) -> bool:
    """Nothing of it runs: it is queued, waits to retry, or waits for people or a window (3.11)."""
    if operation.phase == SyncOperation.Phase.QUEUED:
        return True
    waiting_for = operation.wait.get("code", "")
    return operation.phase == SyncOperation.Phase.RUNNING and waiting_for in {
        "retry",
        "approval",
        "window",
        "confirmation",
        "stalled",
    }


def _supersede(unfinished: list[SyncOperation], by: SyncOperation) -> None:
    for older in unfinished:
        SyncOperation.objects.filter(id=older.id).update(
            phase=SyncOperation.Phase.SUPERSEDED,
            finished_at=timezone.now(),
            message=f"superseded by operation {by.number}",
            wait={},
        )


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


@transaction.atomic
def confirm(actor: Actor, app: Application, digest: str, choice: str = "") -> SyncOperation:
    """Confirm the waiting prune, deletion or hook decision that carries this digest (access-and-api.md 4.2)."""
    operation = app.operations.filter(phase__in=UNFINISHED).order_by("number").first()
    if operation is None or operation.wait.get("digest") != digest:
        raise HubError(
            "nothing_to_confirm", f"nothing of {app.name} waits for {digest or 'a confirmation'}", status=409
        )
    operation.confirmed = [*operation.confirmed, {"digest": digest, "by": actor.name, "choice": choice}]
    operation.save(update_fields=["confirmed"])
    audit.record(
        actor,
        "confirm",
        resource="application",
        name=app.name,
        project=app.project.name,
        reason=digest,
        level=3,
    )
    looks.ask([app.id], level=LEVEL_KNOWN)
    return operation


def close_superseded(operation: SyncOperation) -> None:
    """Store the end of an operation that a newer one replaces, before that one begins."""
    SyncOperation.objects.filter(id=operation.id, phase__in=UNFINISHED).update(
        phase=SyncOperation.Phase.SUPERSEDED, finished_at=timezone.now(), message=operation.message, wait={}
    )


def unfinished(application_id: uuid.UUID) -> list[SyncOperation]:
    """Running before queued: what the next pass carries on."""
    rows = SyncOperation.objects.filter(application_id=application_id, phase__in=UNFINISHED)
    return sorted(
        rows, key=lambda operation: (operation.phase == SyncOperation.Phase.QUEUED, operation.number)
    )
