"""Subscriptions as documents that people write and read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from django.db import IntegrityError, transaction

from notifications.core import catalogue
from notifications.core.digests import read_digest
from notifications.core.events import SEVERITIES
from notifications.core.routing.subscriptions import split_recipient
from notifications.errors import ConfigError
from notifications.models import Service, Subscription, Trigger
from notifications.services.configured import check_selector

_LISTS = ("destinations", "triggers", "events", "projects", "namespaces")
_TEXTS = ("app_selector", "cluster_selector", "mention")
FIELDS = ("name", "owner", *_LISTS, *_TEXTS, "minimum_severity", "enabled", "until", "digest")


def document(row: Subscription) -> dict[str, Any]:
    """The document of a row; `save` takes the same shape."""
    found = {name: getattr(row, name) for name in FIELDS}
    return {**found, "until": row.until.isoformat() if row.until else None}


def save(given: Mapping[str, Any], row: Subscription | None = None) -> Subscription:
    """Create, or replace `row` (its name and owner stay). ConfigError says which field and why."""
    values = read(given)
    if row is not None:
        values |= {"name": row.name, "owner": row.owner}
    made = row or Subscription()
    for name, value in values.items():
        setattr(made, name, value)
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError:
        raise ConfigError("name_not_available", f"the name {made.name} is not available") from None
    return made


def read(given: Mapping[str, Any]) -> dict[str, Any]:
    """A checked document. A project that owns it hears of itself alone, where its services may be used."""
    if unknown := sorted(set(given) - set(FIELDS)):
        raise ConfigError("shape", f"unknown field {unknown[0][:40]!r}", f"known: {', '.join(FIELDS)}")
    values: dict[str, Any] = {name: _texts(given, name) for name in _LISTS}
    values |= {name: _text(given, name) for name in ("name", "owner", *_TEXTS)}
    for name in ("app_selector", "cluster_selector"):
        check_selector(values[name])
    values["digest"] = given.get("digest") or {}
    read_digest(values["digest"])
    if len(values["mention"]) > 200:
        raise ConfigError("shape", "mention is too long", "for example <!here>")
    if not values["name"]:
        raise ConfigError("shape", "a subscription needs a name")
    if not values["destinations"]:
        raise ConfigError("shape", "destinations is empty", "for example slack:#ops")
    if not values["triggers"] and not values["events"]:
        raise ConfigError("shape", "name triggers or events", "for example events: [sync-failed]")
    values["minimum_severity"] = _text(given, "minimum_severity") or "info"
    if values["minimum_severity"] not in SEVERITIES:
        raise ConfigError("shape", f"minimum_severity is one of {', '.join(SEVERITIES)}")
    values["enabled"] = given.get("enabled", True)
    if not isinstance(values["enabled"], bool):
        raise ConfigError("shape", "enabled is true or false")
    values["until"] = _moment(given.get("until"))
    if values["owner"]:
        values["projects"] = [values["owner"]]
    for place in values["destinations"]:
        _check_place(place, values["owner"])
    _check_triggers(values["triggers"], values["owner"])
    return values


def _check_triggers(names: list[str], owner: str) -> None:
    """A name that nothing has would be silence for ever."""
    written = Trigger.objects.filter(name__in=names, project__in=["", owner]).values_list("name", flat=True)
    known = {*catalogue.default_triggers(), *catalogue.default_native()}
    for name in names:
        if name not in {*written, *known}:
            raise ConfigError(
                "unknown_trigger", f"there is no trigger {name[:60]!r}", f"known: {', '.join(sorted(known))}"
            )


def _check_place(place: str, owner: str) -> None:
    name, recipient = split_recipient(place)
    service = (Service.objects.filter(name=name, project=owner).first() if owner else None) or (
        Service.objects.filter(name=name, project="").first()
    )
    if service is None:
        raise ConfigError("unknown_service", f"there is no service {name[:60]!r}", "slack:#ops names one")
    if not owner or service.project == owner:
        return
    allowed = any(fnmatchcase(recipient, str(glob)) for glob in service.recipients or ["*"])
    if not allowed or not any(fnmatchcase(owner, str(glob)) for glob in service.projects or ["*"]):
        raise ConfigError("not_allowed", f"{name} may not be used for {recipient[:60]!r} by project {owner}")


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    value = given.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ConfigError("shape", f"{name} is a list of texts")
    return value


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name) or ""
    if not isinstance(value, str) or len(value) > 4096:
        raise ConfigError("shape", f"{name} is a text")
    return value


def _moment(value: object) -> datetime | None:
    if value in (None, ""):
        return None
    wrong = ConfigError("shape", "until is a time with its zone", "for example 2027-01-31T12:00:00Z")
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise wrong from None
    if moment.tzinfo is None:
        raise wrong
    return moment
