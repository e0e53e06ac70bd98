"""What the hub's file says about resources: custom health, ignored differences, excluded kinds, compare options.

The file `HUB_RESOURCE_RULES` is an argocd-cm (whole, or its data), or a map with our own health rules below `health`,
or both. It is read again when it changed; a file that cannot be read leaves what was good last.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import yaml
from django.conf import settings

from clusters.core.diff import NO_RESOURCE_RULES, ResourceRules, read_argocd_resources
from clusters.core.diff.documents import COMPARE_OPTIONS, EXCLUSIONS, IGNORE, KNOWN_TYPES
from clusters.core.health import read_argocd_health, read_health
from clusters.core.health.customs import CustomRule
from hub.errors import HubError

log = structlog.get_logger(__name__)
_LARGEST = 1024 * 1024
CUSTOMIZATIONS = "resource.customizations"
_PARTS = {
    "health.lua": "health",
    "ignoreDifferences": "ignoreDifferences",
    "knownTypeFields": "knownTypeFields",
}
_lock = threading.Lock()


@dataclass(frozen=True)
class FileRules:
    """The file, read."""

    health: dict[str, CustomRule] = field(default_factory=dict)
    resources: ResourceRules = NO_RESOURCE_RULES
    version: tuple[str, float, int] = ("", 0.0, 0)


_held = FileRules()


def current() -> FileRules:
    """The rules of the file as it is now."""
    global _held
    name = str(settings.HUB_RESOURCE_RULES)
    with _lock:
        try:
            found = Path(name).stat() if name else None
            version = (name, found.st_mtime, found.st_size) if found else ("", 0.0, 0)
            if _held.version != version:
                _held = read_file(name, version) if name else FileRules()
        except (OSError, HubError) as error:
            log.error("the resource rules cannot be read", file=name, error=str(error))
        return _held


def read_file(name: str, version: tuple[str, float, int] = ("", 0.0, 0)) -> FileRules:
    """The rules in a file. Raises OSError, or HubError `resource_rules_unreadable` with what is wrong."""
    path = Path(name)
    if path.stat().st_size > _LARGEST:
        raise _unreadable(name, f"it has more than {_LARGEST} bytes")
    try:
        doc: Any = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        if doc is not None and not isinstance(doc, dict):
            raise _unreadable(name, "it is no map")
        doc = _spread(doc or {})
        resources = read_argocd_resources(_decoded(doc))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _unreadable(name, str(error)) from None
    health = {**read_health(doc.get("health")), **read_argocd_health(doc)}
    return FileRules(health, resources, version)


def _spread(doc: dict[str, Any]) -> dict[str, Any]:
    """An argocd-cm that says all customizations in one text, `<group>/<Kind>` to a map, as one with a key for each."""
    data = doc.get("data") if doc.get("kind") == "ConfigMap" else doc
    old = data.get(CUSTOMIZATIONS) if isinstance(data, dict) else None
    if not isinstance(data, dict) or old is None:
        return doc
    entries = yaml.load(old, Loader=yaml.CSafeLoader) if isinstance(old, str) else old
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise ValueError(f"{CUSTOMIZATIONS} has to be a map of <group>/<Kind> to maps")
    spread = {
        f"{CUSTOMIZATIONS}.{part}.{str(kind).replace('/', '_')}": entry[name]
        for kind, entry in entries.items()
        for name, part in _PARTS.items()
        if name in entry
    }
    whole = {**spread, **data}
    return {**doc, "data": whole} if doc.get("kind") == "ConfigMap" else whole


def _decoded(doc: dict[str, Any]) -> dict[str, Any]:
    """The data of an argocd-cm: the values that we read are YAML in texts."""
    data = doc.get("data") if doc.get("kind") == "ConfigMap" else doc
    entries = data if isinstance(data, dict) else {}
    wanted = (EXCLUSIONS, COMPARE_OPTIONS, IGNORE, KNOWN_TYPES)
    return {
        str(key): yaml.load(value, Loader=yaml.CSafeLoader) if isinstance(value, str) else value
        for key, value in entries.items()
        if str(key).startswith(wanted)
    }


def _unreadable(name: str, why: str) -> HubError:
    return HubError("resource_rules_unreadable", f"{name}: {why}", "mend the file", status=500)
