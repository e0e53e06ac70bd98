"""Applications: create, change, look again, remove. One transaction each, with the audit inside."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

import hub.services.audit as audit
import hub.services.hints as hints
import hub.services.looks as looks
import hub.services.operations as operations
import hub.services.statements as statements
import hub.services.switches as switches
from clusters.models import Cluster
from hub.core import specs
from hub.core.dependencies import Dependency, closes_cycle, dependencies_of
from hub.core.sources import is_safe_ref, source_errors
from hub.core.switches import is_automated
from hub.core.versions import parse_range
from hub.errors import HubError
from hub.models import Application, Project, Repository, SourceState
from hub.services.actors import Actor
from hub.services.addresses import listed_commit, repository_for
from hub.services.documents import InvalidDocument
from hub.services.fences import judge_application
from notifications import services as notifications
from notifications.core.imports import TOLD_ANNOTATION

_PROJECT = statements.Prepared(lambda name: Project.objects.filter(name=name), "name")
_CLUSTERS = statements.Prepared(lambda text: Cluster.objects.filter(Q(name=text) | Q(server=text)), "name")
LEVEL_USER = looks.LEVEL_USER
LEVEL_KNOWN = looks.LEVEL_KNOWN


def document(app: Application) -> dict[str, Any]:
    """The document people write and read; `create` and `update` take the same shape."""
    return {
        "name": app.name,
        "project": app.project.name,
        "labels": app.labels,
        "annotations": app.annotations,
        "sources": specs.from_argo(app.sources),
        "destination": {"cluster": app.cluster.name, "namespace": app.destination_namespace},
        "sync_policy": app.sync_policy,
        "ignore_differences": specs.from_argo(app.ignore_differences),
        "on_delete": app.on_delete,
    }


def read(doc: Any, *, project: Project | None = None) -> dict[str, Any]:
    """A checked document as values for the record. Raises InvalidDocument with every error."""
    values, errors = specs.read_application(doc)
    if errors:
        raise InvalidDocument(errors)
    sources = specs.to_argo(values["sources"])
    for error in source_errors({"sources": sources}, allow_file=settings.HUB_ALLOW_LOOPBACK):
        errors.setdefault("sources", []).append(f"{error.code}: {error.message}")
    errors |= _git_errors(sources)
    found = project or next(iter(_PROJECT.rows(values["project"])), None)
    if found is None:
        errors["project"] = [f"project {values['project']} does not exist"]
    wanted = values["destination"]["cluster"]
    # A Cluster of another Project is as good as missing: nobody learns of it here (B3, rule 5).
    usable = {"", found.name if found else ""}
    clusters = [cluster for cluster in _CLUSTERS.rows(wanted) if cluster.scope in usable]
    if len(clusters) != 1:
        errors["destination.cluster"] = [
            f"{'no' if not clusters else 'more than one'} registered cluster is called {wanted}"
        ]
    if errors or found is None:
        raise InvalidDocument(errors)
    return {
        "name": values["name"],
        "project": found,
        "labels": values.get("labels", {}),
        "annotations": values.get("annotations", {}),
        "sources": sources,
        "cluster": clusters[0],
        "destination_namespace": values["destination"].get("namespace", ""),
        "sync_policy": values.get("sync_policy", {}),
        "ignore_differences": specs.to_argo(values.get("ignore_differences", [])),
        "on_delete": values.get("on_delete", Application.OnDelete.DETACH),
    }


def _git_errors(sources: Sequence[Mapping[str, Any]]) -> specs.Errors:
    """Texts that reach Git are one line, and a target is a ref name, a commit or a version range (F2)."""
    errors: specs.Errors = {}
    for index, source in enumerate(sources):
        for field in ("repoURL", "path", "targetRevision", "ref", "tagPrefix"):
            if any(sign in source.get(field, "") for sign in "\n\t"):
                errors[f"sources[{index}].{specs.from_argo({field: 0}).popitem()[0]}"] = ["must be one line"]
        target = source.get("targetRevision", "")
        if target and not is_safe_ref(target) and not _is_range(target):
            errors[f"sources[{index}].target_revision"] = ["is no branch, tag, commit or version range"]
    return errors


def _is_range(text: str) -> bool:
    try:
        parse_range(text)
    except ValueError:
        return False
    return True


def _refuse_cycle(values: Mapping[str, Any]) -> None:
    """Nobody waits for himself (sync-semantics.md 12 rule 13). Names only what the document itself names."""

    def lookup(names: list[str]) -> dict[str, list[Dependency]]:
        rows = Application.objects.filter(name__in=names).values_list("name", "sync_policy", "annotations")
        return {name: dependencies_of(policy, annotations or {}) for name, policy, annotations in rows}

    wanted = dependencies_of(values["sync_policy"], values["annotations"])
    if through := closes_cycle(values["name"], wanted, lookup):
        reason = "itself" if through == values["name"] else f"{through}, which waits for {values['name']}"
        raise InvalidDocument({"sync_policy.depends_on": [f"cannot wait for {reason}: a cycle never ends"]})


@transaction.atomic
def create(actor: Actor, doc: Any) -> Application:
    """Store a new Application and make it due. Raises InvalidDocument, or HubError `name_not_available`."""
    values = read(doc)
    judge_application(values)
    _refuse_cycle(values)
    app = Application(**values, next_look_at=timezone.now(), look_level=LEVEL_KNOWN, look_count=1)
    switches.created(actor, app)
    try:
        statements.insert([app])
    except IntegrityError:
        raise HubError(
            "name_not_available", f"the name {app.name} is not available", "choose another name", status=409
        ) from None
    _write_source_states(app, is_new=True)
    _take_over_told(app)
    audit.record(
        actor, "create", resource="application", name=app.name, project=app.project.name, after=document(app)
    )
    return app


@transaction.atomic
def update(
    actor: Actor, app: Application, doc: Any, *, expected_generation: int | None = None
) -> Application:
    """Replace the document. Raises HubError `stale` when somebody stored another generation meanwhile."""
    values = read(doc)
    if values["name"] != app.name:
        raise InvalidDocument({"name": ["cannot be changed: it is part of every tracking id"]})
    before, was_automated = document(app), is_automated(app.sync_policy)
    judge_application(values)
    _refuse_cycle(values)
    changed = Application.objects.filter(id=app.id, generation=expected_generation or app.generation).update(
        **{key: value for key, value in values.items() if key != "name"},
        generation=F("generation") + 1,
        updated_at=timezone.now(),
    )
    if not changed:
        raise HubError("stale", f"{app.name} was changed meanwhile", "read it again and repeat", status=412)
    app.refresh_from_db()
    _write_source_states(app)
    _take_over_told(app)
    audit.record(
        actor,
        "update",
        resource="application",
        name=app.name,
        project=app.project.name,
        before=before,
        after=document(app),
    )
    switches.changed(actor, app, was_automated, timezone.now())
    looks.ask([app.id], level=LEVEL_KNOWN)
    return app


def _take_over_told(app: Application) -> None:
    """What Argo CD wrote onto an application that moves here counts as told (notifications.md 3.1)."""
    if TOLD_ANNOTATION in app.annotations:
        notifications.import_told(
            {"metadata": {"annotations": app.annotations}}, str(app.id), app.project.name
        )


def _write_source_states(app: Application, *, is_new: bool = False) -> None:
    """One row per source, bound to the Repository that serves it in this Project (sources.md 2.6)."""
    kept = {} if is_new else {state.index: state for state in app.source_states.all()}
    serving = []
    for index, source in enumerate(app.sources):
        url = source["repoURL"]
        repository = repository_for(url, app.project, with_refs=is_new)
        target = source.get("targetRevision", "")
        state = kept.pop(index, None) or SourceState(application=app, index=index)
        moved = state.repository_id != (repository.id if repository else None)
        if state.pk is None or moved or state.target_revision != target:
            state.wanted = ""
            state.repository, state.target_revision = repository, target
            if state.pk is None:
                found = listed_commit(repository, target, source.get("tagPrefix", "")) if is_new else ("", "")
                state.wanted, state.ref_name = found
                statements.insert([state])
            else:
                # The other columns belong to polls and passes, which may be writing them now.
                state.save(update_fields=["wanted", "repository", "target_revision"])
        serving += [repository] if repository is not None else []
    if kept:
        SourceState.objects.filter(id__in=[state.id for state in kept.values()]).delete()
    hints.poll_of_change(serving)


def refresh(actor: Actor, app: Application, *, hard: bool = False) -> uuid.UUID:
    """Ask the repositories now and compare; `hard` also forgets what was rendered. The next look does it."""
    with transaction.atomic():
        looks.ask([app.id], level=LEVEL_USER)
        if hard:
            app.source_states.update(input_key="", inputs=[])
        Repository.objects.filter(source_states__application=app).update(next_poll_at=Now())
        audit.record(
            actor,
            "refresh",
            resource="application",
            name=app.name,
            project=app.project.name,
            reason="hard" if hard else "",
        )
    return app.id


@transaction.atomic
def request_deletion(
    actor: Actor, app: Application, mode: str = "", *, propagation: str = "", crds: Sequence[str] = ()
) -> None:
    """Remove an Application: `cascade` deletes its objects first, `detach` leaves them (sync-semantics.md 10).

    `propagation` foreground or background; `crds` names CustomResourceDefinitions that go too: they stay otherwise.
    Asked for again, it goes on with what was asked last.
    """
    mode = mode or app.on_delete
    if mode not in Application.OnDelete.values:
        raise HubError(
            "invalid_mode", f"{mode!r} is neither cascade nor detach", "?mode=cascade or ?mode=detach"
        )
    if propagation not in {"", "foreground", "background"}:
        raise HubError(
            "invalid_propagation",
            f"{propagation!r} is neither foreground nor background",
            "?propagation=background",
        )
    Application.objects.filter(id=app.id).update(
        on_delete=mode,
        deletion_requested_at=timezone.now(),
        deletion_requested_by=actor.initiator(),
        generation=F("generation") + 1,
        updated_at=timezone.now(),
    )
    asked = {name: value for name, value in (("propagation", propagation), ("crds", list(crds))) if value}
    operations.make_way(actor, app, asked if mode == Application.OnDelete.CASCADE else None)
    looks.ask([app.id], level=LEVEL_KNOWN)
    audit.record(
        actor,
        f"delete ({mode})",
        resource="application",
        name=app.name,
        project=app.project.name,
        level=3,
        after=asked or None,
    )
