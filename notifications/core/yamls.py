"""YAML of people's configuration: safe values only, bounded, with the place of an error.

Scalars where text is expected are taken as their text (`when: true`), so that no quoting rule changes a meaning.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from notifications.core.govalues import go_text
from notifications.errors import ConfigError

MAX_YAML = 256 * 1024
_MAX_EVENTS = 20_000
_MAX_DEPTH = 40


class _Loader(yaml.SafeLoader):
    """Dates stay texts; JSON has none."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str, loader: type[yaml.SafeLoader] = _Loader) -> Any:
    """One document as plain values. ConfigError (`syntax`, `too_large`) with line and column."""
    if len(text) > MAX_YAML:
        raise ConfigError("too_large", "a configuration text may have 256 KiB")
    try:
        _scan(text)
        return yaml.load(text, loader)  # noqa: S506 (a subclass of SafeLoader)
    except yaml.MarkedYAMLError as problem:
        place = problem.problem_mark or problem.context_mark
        line, column = (place.line + 1, place.column + 1) if place else (1, 1)
        raise ConfigError("syntax", f"not valid YAML: {problem.problem}", line=line, column=column) from None
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise ConfigError("syntax", f"not valid YAML: {str(problem)[:200]}") from None


def _scan(text: str) -> None:
    """Refuses what would grow: aliases, depth, too many nodes."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(
                "unsupported", "anchors and aliases are not supported here", "write the value out"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH or count > _MAX_EVENTS:
            raise ConfigError("too_large", "a configuration text nested too deep or with too many parts")


def as_text(value: Any) -> str:
    """A scalar as its text, as YAML's readers in Go take it; a list or map as JSON; null as ""."""
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return go_text(value)
