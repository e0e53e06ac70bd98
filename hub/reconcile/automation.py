"""What begins by itself: automated syncs and heals, through the gates of sync-semantics.md 9, with the reason kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from django.db.models import Exists, F, OuterRef
from django.utils import timezone

import hub.reconcile.approving as approving
import hub.reconcile.consent as consent
import hub.reconcile.hoping as hoping
import hub.reconcile.judging as judging
import hub.reconcile.operating as operating
import hub.reconcile.planning as planning
import hub.reconcile.sourcing as sourcing
from clusters.core.diff.fields import owners_at
from clusters.core.manifests import FIELD_MANAGER, Manifest, ResourceKey
from clusters.core.plan import Step, may_supersede, resource_options
from clusters.core.plan.retry import Unfinished
from clusters.core.plan.steps import Action
from clusters.services import carry_out
from hub.core.dependencies import dependencies_of
from hub.core.gates import (
    QUIET_S,
    Attempt,
    AutoSyncFacts,
    GateDecision,
    LeafHeals,
    after_heal,
    begin_anew,
    calm,
    decide_auto_sync,
    fight_message,
    heal_due,
    on_drift,
)
from hub.core.plans import protected_kinds, prune_budget
from hub.core.switches import is_automated
from hub.models import Application, SourceState, SyncOperation
from hub.reconcile.frame import Frame
from hub.reconcile.judging import Picture
from hub.reconcile.looking import Seen
from hub.reconcile.sourcing import Desired
from hub.reconcile.work import Work
from hub.services import hints, operations

MOST_ASKED_WHO = 10
DEPENDS_ON_PACE = timedelta(seconds=10)
DEPENDS_ON, ATTEMPTED = 5, 8  # gates of sync-semantics.md 9.1


def paused(frame: Frame) -> str:
    """Why nothing is compared and nothing done, empty when the Application is at work."""
    if reason := on_hold(frame):
        return reason
    return f"project {frame.app.project.name} is archived" if frame.app.project.archived else ""


def on_hold(frame: Frame) -> str:
    """Why even a deletion waits: somebody paused the Application or its Cluster."""
    if frame.app.annotations.get("argocd.argoproj.io/skip-reconcile") == "true":
        return "skip-reconcile on the application"
    return f"cluster {frame.app.cluster.name} is paused" if frame.app.cluster.paused else ""


def begin(frame: Frame, desired: Desired, seen: Seen, picture: Picture) -> Work | None:
    """The operation that starts by itself now, or None with the gate that said no kept in the row."""
    frame.memory.pop("timer", None)
    if picture.sync == "Synced":
        frame.memory.pop("drifted", None)
    _calm(frame, picture)
    frame.caches["came_true"] = hoping.came_true(frame, seen)
    decision = decide_auto_sync(_facts(frame, desired, picture, running=""))
    frame.app.gate = {} if decision.allowed else {"gate": decision.gate, "reason": decision.reason}
    if not decision.allowed:
        _look_again(frame, decision)
        waits = decision.gate == DEPENDS_ON or (decision.gate == ATTEMPTED and _refused(frame))
        return _defend(frame, desired, seen) if waits else None
    if decision.kind == "self-heal":
        return _heal(frame, desired, seen, picture)
    return _new(frame, SyncOperation.Kind.SYNC, "auto-sync", {"prune": _policy(frame.app)["prune"]}, desired)


def beside(frame: Frame, work: Work, desired: Desired, seen: Seen) -> Work | None:
    """A heal that may run while this operation waits for people, before its first write (9.1 gate 3)."""
    asks = work.operation.wait.get("code") in operating.ASKS_PEOPLE
    queued = work.operation.phase == SyncOperation.Phase.QUEUED
    return _defend(frame, desired, seen) if asks and queued else None


def _refused(frame: Frame) -> bool:
    """People said no to the newest Revision: what was synced last is what counts."""
    return bool((frame.memory.get("attempted") or {}).get("by_approval"))


def _defend(frame: Frame, desired: Desired, seen: Seen) -> Work | None:
    """While a newer Revision waits for another Application or for people, drift from what was synced last is healed
    (9.3)."""
    app = frame.app
    if not app.synced_digest or not _policy(app)["self_heal"]:
        return None
    synced = sourcing.load(frame, app.synced_digest, desired.catalogue, tuple(app.synced_revisions))
    if not synced.loaded:
        return None
    held = judging.judge(frame, synced, seen)
    facts = _facts(frame, synced, held, running="")
    decision = decide_auto_sync(replace(facts, attempt=Attempt("", succeeded=True), new_revision=False))
    work = None
    if decision.allowed and decision.kind == "self-heal":
        held.extras.clear()  # what the newer Revision adds or drops is its own affair
        # What a sync of chosen resources applied since is newer than what was synced last: nothing is taken back.
        applied = {key: row.desired_hash for key, row in frame.rows.items() if row.baseline}
        held.changed = {
            key for key in held.changed if applied.get(key, synced.hashes[key]) == synced.hashes[key]
        }
        if held.changed:
            work = _heal(frame, synced, seen, held)
    judging.judge(frame, desired, seen)
    return work


def supersede(frame: Frame, work: Work | None, desired: Desired, picture: Picture) -> Work | None:
    """A newer Revision with a changed plan ends an older operation that does nothing (3.11); else it goes on."""
    if work is None or desired.problem is not None or work.operation.manifest_digest in ("", desired.digest):
        return work
    operation = work.operation
    older = Unfinished(
        automated=consent.automated(operation),
        phase=cast(Literal["Queued", "Running", "Terminating"], operation.phase),
        attempt=operation.attempt,
        names_revision=bool(operation.request.get("revisions")),
        wait_code=str(operation.wait.get("code", "")),
        stalled=bool(operation.wait.get("stalled")),
        hook_running=operations.hook_runs(operation),
    )
    answer, reason = may_supersede(older, mode=planning.options_of(frame.app).supersede)
    facts = _facts(frame, desired, picture, running=str(operation.number), yields=True)
    if answer != "supersede" or not decide_auto_sync(facts).allowed:
        return work
    operating.end(frame, work, SyncOperation.Phase.SUPERSEDED, f"superseded by a newer revision: {reason}")
    operations.close_superseded(operation, frame.lease)
    return None


def after_operation(frame: Frame, work: Work) -> None:
    """A heal that ended counts for the pace of the next one (9.3); after a manual operation Git is asked (7.1)."""
    operation = work.operation
    if not work.ended:
        return
    if not consent.automated(operation):
        hints.poll_for(frame.app.id)
    heals = _heals(frame)
    if operation.kind != SyncOperation.Kind.SELF_HEAL:
        if not operation.request.get("dry_run"):
            _keep(frame, {key: begin_anew(held) for key, held in heals.items()})
        return
    ended = operation.finished_at or timezone.now()
    failed = operation.phase != SyncOperation.Phase.SUCCEEDED
    for parts in operation.request.get("keys") or ():
        key = ResourceKey(*parts)
        held = heals.get(str(key), LeafHeals())
        heals[str(key)] = after_heal(held, ended, wrote=key in work.changed, failed=failed)
    _keep(frame, heals)
    frame.memory["healed_at"] = ended.isoformat()


def _policy(app: Application) -> dict[str, Any]:
    automated = (app.sync_policy or {}).get("automated") or {}
    return {
        "on": is_automated(app.sync_policy),
        "prune": bool(automated.get("prune")),
        "self_heal": bool(automated.get("self_heal")),
        "allow_empty": bool(automated.get("allow_empty")),
    }


def _facts(
    frame: Frame, desired: Desired, picture: Picture, *, running: str, yields: bool = False
) -> AutoSyncFacts:
    app, policy = frame.app, _policy(frame.app)
    return AutoSyncFacts(
        automated=policy["on"],
        now=frame.now,
        self_heal=policy["self_heal"],
        prune=policy["prune"],
        allow_empty=policy["allow_empty"],
        paused=paused(frame),
        deleting=app.deletion_requested_at is not None,
        out_of_sync=picture.sync == "OutOfSync",
        fresh=not picture.kept and picture.sync != "Unknown",
        running=running,
        running_yields=yields,
        new_revision=picture.target_moved,
        waits_for=_waits_for(app) if picture.target_moved else (),
        window=consent.decide(frame, frame.now, manual=False),
        applies_left=len(picture.changed),
        prunes_left=len(_free_extras(frame, picture)),
        hooks_changed=bool(picture.counts.get("hooks")),
        attempt=_attempt(frame, desired),
        slow_retry=planning.options_of(app).slow_retry,
        would_delete_all=not desired.by_key and bool(picture.extras),
    )


def _free_extras(frame: Frame, picture: Picture) -> set[ResourceKey]:
    """Extras that an automated sync would really delete: not guarded, nothing that waits for a person (4.3)."""
    rules, options = frame.app.project.rules, planning.options_of(frame.app)
    guarded, budget = protected_kinds(rules), prune_budget(rules)
    free = set()
    for key in picture.extras:
        live = frame.caches.get("extras", {}).get(key) or {"metadata": {}}
        own, row = resource_options(options, None, live)[0], frame.rows.get(key)
        adopted = row is not None and row.adopted
        if key[:2] not in guarded and own.prune == "true" and not own.keep and not adopted:
            free.add(key)
    return set() if budget.broken(len(free), len(frame.rows)) else free


def _attempt(frame: Frame, desired: Desired) -> Attempt | None:
    held = frame.memory.get("attempted") or {}
    if held.get("identity") != planning.identity(frame.app, desired.digest):
        return None
    return Attempt(
        operation=str(held.get("number", "")),
        succeeded=held.get("phase") == "Succeeded",
        message=str(held.get("message", "")),
        ended_at=_time(held.get("at")),
        ended_by_approval=bool(held.get("by_approval")),
        cluster_fact_changed=bool(frame.caches.get("came_true")),
    )


def _waits_for(app: Application) -> list[str]:
    """Applications this one depends on that are not ready at their present target (12 rule 13)."""
    wanted = dependencies_of(app.sync_policy, app.annotations)
    if not wanted:
        return []
    names = [each.application for each in wanted]
    behind = SourceState.objects.filter(application=OuterRef("id")).exclude(wanted=F("revision"))
    found = Application.objects.filter(name__in=names).annotate(behind=Exists(behind))
    rows = {row.name: row for row in found}
    waiting = []
    for each in wanted:
        row = rows.get(each.application)
        # One that has not rendered its newest commit yet says nothing about it.
        if row is None or row.behind or not _is_ready(row, each.condition):
            waiting.append(each.application)
    return waiting


def _is_ready(row: Application, condition: str) -> bool:
    synced, healthy = row.sync_status == "Synced", row.health_status == "Healthy"
    if condition == "Succeeded":
        return row.operation_phase == "Succeeded" and row.synced_digest == row.manifest_digest
    return {"Synced": synced, "Healthy": healthy}.get(condition, synced and healthy)


def _new(frame: Frame, kind: str, name: str, request: dict[str, Any], desired: Desired) -> Work:
    app = frame.app
    operation = SyncOperation(
        application=app,
        number=app.operation_seq + 1,
        kind=kind,
        phase=SyncOperation.Phase.RUNNING,
        initiator={"kind": "automation", "name": name, "via": "self-heal" if kind == "self-heal" else "git"},
        request=request,
        started_at=timezone.now(),
    )
    return Work(operation, desired=desired)


def _heal(frame: Frame, desired: Desired, seen: Seen, picture: Picture) -> Work | None:
    """Heal what is due; what must wait has a timer. Only the keys that differ, hooks by policy (9.3)."""
    now = timezone.now()
    heals = _heals(frame)
    healed_at = _time(frame.memory.get("healed_at"))
    quiet = healed_at is None or now - healed_at > timedelta(seconds=QUIET_S)
    # What waits for a person waits at the next sync: it must not hold up a heal.
    extras = _free_extras(frame, picture) if _policy(frame.app)["prune"] else set()
    guarded = approving.guards_prunes(frame, extras)
    keys = sorted(picture.changed if guarded else picture.changed | extras)
    if not keys:
        needs = "pruning needs an Approval: a sync with prune asks for it"
        frame.app.gate = {"gate": 10, "reason": needs if guarded else "what is left waits for a person"}
        return None
    last_event = _last_event(frame, picture, now)
    managers = _managers(frame, seen, keys)
    due: list[ResourceKey] = []
    later: list[datetime] = []
    for key in keys:
        paths = [str(line["path"]) for line in _counted(frame, key)] or ["."]
        held = on_drift(heals.get(str(key), LeafHeals()), paths, now, managers.get(key, ""))
        heals[str(key)] = held
        at = heal_due(held, now, last_event, quiet)
        if at <= now:
            due.append(key)
        else:
            later.append(at)
    _keep(frame, heals)
    if later:
        frame.memory["timer"] = min(later).isoformat()
    if not due:
        frame.app.gate = {"gate": 8, "reason": f"self-heal waits until {min(later):%H:%M:%S}"}
        return None
    request = {"prune": _policy(frame.app)["prune"] and not guarded, "keys": [list(key) for key in due]}
    return _new(frame, SyncOperation.Kind.SELF_HEAL, "self-heal", request, desired)


def _last_event(frame: Frame, picture: Picture, now: datetime) -> datetime:
    """When the present difference came to be what it is: a pass that sees it again is no event."""
    held = frame.memory.get("drifted") or ["", None]
    if held[0] != picture.drift_digest:
        held = frame.memory["drifted"] = [picture.drift_digest, now.isoformat()]
    return _time(held[1]) or now


def _managers(frame: Frame, seen: Seen, keys: list[ResourceKey]) -> dict[ResourceKey, str]:
    """Who changed what drifted, from the managedFields of one GET each; also kept with the drift lines."""
    asked = [key for key in keys if seen.live.get(key) is not None and key in frame.rows][:MOST_ASKED_WHO]
    if not asked:
        return {}
    step = Step("adopt", "read who changed it", (tuple(Action("get", key) for key in asked),), False)
    found = {}
    for outcome in carry_out(frame.connection, step):
        if not outcome.ok or outcome.object is None:
            continue
        key = outcome.action.key
        for line in _counted(frame, key):
            owners = owners_at(outcome.object, str(line["path"])) - {FIELD_MANAGER}
            if owners:
                line["manager"] = found[key] = sorted(owners)[0]
                line["at"] = _written_at(outcome.object, found[key])
    return found


def _counted(frame: Frame, key: ResourceKey) -> list[dict[str, Any]]:
    """The lines of a difference that no rule ignores."""
    lines = frame.rows[key].drift if key in frame.rows else []
    return [line for line in lines if not line["ignored_by"]]


def _written_at(live: Manifest, manager: str) -> str:
    """When this manager last wrote, as managedFields tell."""
    entries = live["metadata"].get("managedFields") or ()
    return max(
        (str(each.get("time") or "") for each in entries if each.get("manager") == manager), default=""
    )


def _heals(frame: Frame) -> dict[str, LeafHeals]:
    return {key: LeafHeals.from_json(value) for key, value in (frame.memory.get("heals") or {}).items()}


def _keep(frame: Frame, heals: dict[str, LeafHeals]) -> None:
    kept = {key: value.to_json() for key, value in heals.items() if value != LeafHeals()}
    if kept:
        frame.memory["heals"] = kept
    else:
        frame.memory.pop("heals", None)


def _calm(frame: Frame, picture: Picture) -> None:
    """What time ends: counters without drift, fights without reversals. Fights that go on are told."""
    heals = {key: calm(value, frame.now) for key, value in _heals(frame).items()}
    _keep(frame, heals)
    fights = []
    for key, held in heals.items():
        message = fight_message(held, key, frame.now)
        if message:
            picture.conditions.append(("Fighting", message, "fighting"))
            fights.append(
                {
                    "key": key,
                    "field": held.fighting_path,
                    "manager": held.manager or "somebody",
                    "n": held.fighting_since.isoformat() if held.fighting_since else "",
                }
            )
    frame.memory["fights"] = fights


def _look_again(frame: Frame, decision: GateDecision) -> None:
    hopes = decision.gate == ATTEMPTED and bool((frame.memory.get("attempted") or {}).get("hopes"))
    moments = [decision.at, frame.now + hoping.PACE if hopes else None]
    if decision.gate == DEPENDS_ON:
        # Nobody tells when another Application becomes ready.
        moments.append(frame.now + DEPENDS_ON_PACE)
    if any(moments):
        frame.memory["timer"] = min(moment for moment in moments if moment is not None).isoformat()


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
