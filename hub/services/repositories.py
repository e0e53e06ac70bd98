"""Repositories: register, change, remove. Credentials go in and never come out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

import hub.services.audit as audit
import hub.services.looks as looks
from hub.core import specs
from hub.core.sources import normalise_url, parse_url
from hub.errors import HubError, SourceError
from hub.models import Application, Project, Repository, SourceState
from hub.services.actors import Actor
from hub.services.addresses import repository_for
from hub.services.applications import LEVEL_KNOWN
from hub.services.documents import InvalidDocument

CREDENTIALS = ("username", "password", "bearer_token", "ssh_private_key", "client_key_pem", "proxy_url")
DOCUMENT = specs.record(
    {
        "url": specs.text(1000),
        "project": specs.text(253),
        "username": specs.text(255),
        "password": specs.text(4096),
        "bearer_token": specs.text(4096),
        "ssh_private_key": specs.text(16384),
        "known_hosts": specs.text(65536),
        "ca_pem": specs.text(262144),
        "client_certificate_pem": specs.text(65536),
        "client_key_pem": specs.text(16384),
        "proxy_url": specs.text(1000),
    },
    required=("url",),
)


def read(doc: Any, *, existing: Repository | None = None) -> dict[str, Any]:
    """A checked document. Userinfo in the URL moves into the credential fields (sources.md 2.4)."""
    errors: specs.Errors = {}
    if existing is not None and isinstance(doc, dict):
        doc = {"url": existing.url, "project": existing.project.name if existing.project else "", **doc}
    values: dict[str, Any] = DOCUMENT(doc, "", errors)
    if errors:
        raise InvalidDocument(errors)
    try:
        url = parse_url(values["url"], allow_file=settings.HUB_ALLOW_LOOPBACK)
    except SourceError as error:
        raise InvalidDocument(
            {"url": [f"{error.code}: {error.message}"]}, code="invalid_url", status=400
        ) from None
    values["url"], values["normal_url"] = url.url, normalise_url(url.url)
    if url.scheme in {"https", "http"} and url.username:
        values.setdefault("username", url.username)
        values.setdefault("password", url.password)
    name = values.pop("project", "")
    project = Project.objects.filter(name=name).first() if name else None
    if name and project is None:
        raise InvalidDocument({"project": [f"project {name} does not exist"]})
    values["project"] = project
    return values


@transaction.atomic
def create(actor: Actor, doc: Any) -> Repository:
    """Register a Repository and make it due for its first poll; waiting Applications are bound to it."""
    values = read(doc)
    repository = Repository(next_poll_at=timezone.now())
    for field, value in values.items():
        setattr(repository, field, value)
    try:
        with transaction.atomic():
            repository.save(force_insert=True)
    except IntegrityError:
        raise HubError(
            "name_not_available",
            f"{repository.url} is registered already",
            "change the existing one",
            status=409,
        ) from None
    _bind(repository.normal_url)
    _audit(actor, "create", repository, after=values)
    return repository


@transaction.atomic
def update(
    actor: Actor, repository: Repository, doc: Any, *, expected_generation: int | None = None
) -> Repository:
    """Change fields; an absent or empty credential keeps the stored one, null removes it.

    What a poll writes meanwhile stays: only the columns of the document are stored. Raises HubError `stale`.
    """
    values = read({key: value for key, value in dict(doc).items() if value is not None}, existing=repository)
    removed = {key for key in CREDENTIALS if key in doc and doc[key] is None}
    for field, value in values.items():
        if field not in CREDENTIALS or value:
            setattr(repository, field, value)
    for field in removed:
        setattr(repository, field, "")
    # In the order of polls: what tracks it first, then its own row.
    list(repository.source_states.select_for_update().order_by("id").values_list("id"))
    current = Repository.objects.select_for_update().filter(id=repository.id)
    generation, served = current.values_list("generation", "normal_url").get()
    if generation != (expected_generation or repository.generation):
        raise HubError("stale", f"{repository.url} was changed meanwhile", "read it again", status=412)
    repository.generation += 1
    repository.failures, repository.next_poll_at, repository.wait_until = 0, timezone.now(), None
    # Not checked since: so it is polled once even while nobody uses it.
    repository.checked_at = None
    changed = {field for field in values if field not in CREDENTIALS or values[field]} | removed
    if served != repository.normal_url:
        # What another server listed says nothing of this one.
        repository.refs, repository.refs_digest = {}, ""
        changed |= {"refs", "refs_digest"}
    changed |= {"generation", "failures", "next_poll_at", "wait_until", "checked_at"}
    repository.save(update_fields=changed)
    _bind(served, repository.normal_url)
    _audit(actor, "update", repository, after=values)
    return repository


@transaction.atomic
def delete(actor: Actor, repository: Repository) -> None:
    """Remove a Repository that no Application uses. Raises HubError `in_use` with their number."""
    used = Application.objects.filter(source_states__repository=repository).distinct()
    if count := used.count():
        names = ", ".join(used.values_list("name", flat=True)[:5])
        raise HubError(
            "in_use", f"{count} applications use {repository.url}: {names}", "move them first", status=409
        )
    _audit(actor, "delete", repository)
    repository.delete()


def _bind(*addresses: str) -> None:
    """Who serves the sources of these addresses may have changed: each gets the Repository its Project may use now."""
    concerned = Q(repository__isnull=True) | Q(repository__normal_url__in=addresses)
    moved = []
    for state in SourceState.objects.filter(concerned).select_related("application__project").order_by("id"):
        app = state.application
        url = app.sources[state.index].get("repoURL", "") if state.index < len(app.sources) else ""
        serving = repository_for(url, app.project) if url else None
        if state.repository_id != (serving.id if serving else None):
            SourceState.objects.filter(id=state.id).update(repository=serving, wanted="")
            moved.append(app.id)
    looks.ask(moved, level=LEVEL_KNOWN)


def poll_now(actor: Actor, repository: Repository) -> None:
    """Make a Repository due; the poll itself is a task."""
    Repository.objects.filter(id=repository.id).update(next_poll_at=timezone.now(), failures=F("failures"))
    _audit(actor, "probe", repository)


def _audit(actor: Actor, action: str, repository: Repository, after: dict[str, Any] | None = None) -> None:
    shown = {
        key: value if isinstance(value, str) else str(value or "")
        for key, value in (after or {}).items()
        if key != "normal_url"
    }
    audit.record(
        actor,
        action,
        resource="repository",
        name=repository.url,
        project=repository.project.name if repository.project else "",
        after=shown,
        level=2,
    )
