"""Custom health rules (sync-semantics.md 8.3): those of the hub in its file, those of a Project in its rules.

A Project's rules stand below `health` in its document and come before the hub's for the same kind.
"""

from __future__ import annotations

import uuid

import hub.services.resource_rules as resource_rules
from clusters.core.health import RuleBook, read_health
from clusters.core.health.customs import CustomRule
from clusters.core.manifests import Manifest
from hub.models import Project

_books: dict[uuid.UUID, tuple[int, dict[str, CustomRule], RuleBook]] = {}


def book_of(project: Project) -> RuleBook:
    """The rules that count for the Applications of a Project; read once per version of either."""
    shared = resource_rules.current().health
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
