"""Custom health rules (sync-semantics.md 8.3): those of the hub in a file, those of a Project in its rules.

The file `HUB_HEALTH_RULES` is an argocd-cm (whole, or its data), or a map with our own rules below `health`, or both.
A Project's rules stand below `health` in its document and come before the hub's for the same kind.
"""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import structlog
import yaml
from django.conf import settings

from clusters.core.health import RuleBook, read_argocd_health, read_health
from clusters.core.health.customs import CustomRule
from clusters.core.manifests import Manifest
from hub.errors import HubError
from hub.models import Project

log = structlog.get_logger(__name__)
_LARGEST = 1024 * 1024
_lock = threading.Lock()
_file: tuple[tuple[str, float, int], dict[str, CustomRule]] | None = None
_books: dict[uuid.UUID, tuple[int, dict[str, CustomRule], RuleBook]] = {}


def book_of(project: Project) -> RuleBook:
    """The rules that count for the Applications of a Project; read once per version of either."""
    shared = system_rules()
    held = _books.get(project.id)
    if held is None or held[0] != project.generation or held[1] is not shared:
        own = read_health((project.rules or {}).get("health"))
        # Own rules first: an earlier glob comes before a later one.
        book = RuleBook({**own, **{key: rule for key, rule in shared.items() if key not in own}})
        held = _books[project.id] = (project.generation, shared, book)
    return held[2]


def speaks_of(obj: Manifest) -> bool:
    """Whether a rule that this process has used is for the kind of `obj`: then its status may mean anything."""
    return any(book.find(obj) is not None for _, _, book in tuple(_books.values()))


def system_rules() -> dict[str, CustomRule]:
    """The rules of the file, read again when it changed. A file that cannot be read leaves the last good ones."""
    global _file
    name = str(settings.HUB_HEALTH_RULES)
    with _lock:
        try:
            found = Path(name).stat() if name else None
            version = (name, found.st_mtime, found.st_size) if found else ("", 0.0, 0)
            if _file is None or _file[0] != version:
                _file = version, read_file(name) if name else {}
        except (OSError, HubError) as error:
            log.error("the custom health rules cannot be read", file=name, error=str(error))
            if _file is None:
                _file = (name, 0.0, 0), {}
        return _file[1]


def read_file(name: str) -> dict[str, CustomRule]:
    """The rules in a file. Raises OSError, or HubError `health_rules_unreadable` when it is no map in YAML or JSON."""
    path = Path(name)
    if path.stat().st_size > _LARGEST:
        raise _unreadable(name, f"it has more than {_LARGEST} bytes")
    try:
        doc: Any = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(name, str(error)) from None
    if doc is not None and not isinstance(doc, dict):
        raise _unreadable(name, "it is no map")
    return {**read_health((doc or {}).get("health")), **read_argocd_health(doc or {})}


def _unreadable(name: str, why: str) -> HubError:
    return HubError("health_rules_unreadable", f"HUB_HEALTH_RULES={name}: {why}", "mend the file", status=500)
