"""Reading the documents people send: an Application or a Project as JSON, checked as a whole, all errors at once.

`read_application(doc)` and `read_project(doc)` return (values, errors): values ready for the record, errors as
{path: [sentence]} (access-and-api.md AP2, AP13). Unknown fields are refused, so that a typo is never silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from clusters.core.durations import parse_duration

Errors = dict[str, list[str]]
Reader = Callable[[Any, str, Errors], Any]

_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def _wrong(errors: Errors, path: str, sentence: str) -> None:
    errors.setdefault(path, []).append(sentence)


def text(limit: int = 1000, *, pattern: re.Pattern[str] | None = None, what: str = "text") -> Reader:
    def read(value: Any, path: str, errors: Errors) -> Any:
        if not isinstance(value, str):
            _wrong(errors, path, f"must be text, found {_kind(value)}")
        elif len(value) > limit:
            _wrong(errors, path, f"has {len(value)} characters, at most {limit} are allowed")
        elif any(ord(character) < 32 and character not in "\n\t" for character in value):
            _wrong(errors, path, "holds control characters")
        elif any("\ud800" <= character <= "\udfff" for character in value):
            _wrong(errors, path, "holds half of a character")
        elif pattern is not None and value and not pattern.fullmatch(value):
            _wrong(errors, path, f"{value!r} is not {what}")
        return value

    return read


def flag(value: Any, path: str, errors: Errors) -> Any:
    if not isinstance(value, bool):
        _wrong(errors, path, f"must be true or false, found {_kind(value)}")
    return value


def number(value: Any, path: str, errors: Errors) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        _wrong(errors, path, f"must be a whole number, found {_kind(value)}")
    elif abs(value) > 2**31:
        _wrong(errors, path, "is out of range")
    return value


def duration(value: Any, path: str, errors: Errors) -> Any:
    """`90s`, `5m`, `1h30m`; what cannot be read is refused here and not replaced by the usual later."""
    text(32)(value, path, errors)
    if isinstance(value, str) and parse_duration(value) is None:
        _wrong(errors, path, "must be a time such as 30s, 5m or 1h30m")
    return value


def at_least(least: int) -> Reader:
    def read(value: Any, path: str, errors: Errors) -> Any:
        number(value, path, errors)
        if isinstance(value, int) and value < least:
            _wrong(errors, path, f"must be {least} or more")
        return value

    return read


def anything(value: Any, _path: str, _errors: Errors) -> Any:
    """Judged elsewhere (hub.core.sources answers for tools that wait)."""
    return value


def texts(value: Any, path: str, errors: Errors) -> Any:
    return list_of(text())(value, path, errors)


def text_map(value: Any, path: str, errors: Errors) -> Any:
    if not isinstance(value, Mapping):
        _wrong(errors, path, f"must be a map of texts, found {_kind(value)}")
        return {}
    if len(value) > 200:
        _wrong(errors, path, "has more than 200 entries")
    for key, item in value.items():
        text(4096)(item, f"{path}.{key}", errors)
    return dict(value)


def list_of(reader: Reader, limit: int = 500) -> Reader:
    def read(value: Any, path: str, errors: Errors) -> Any:
        if not isinstance(value, list):
            _wrong(errors, path, f"must be a list, found {_kind(value)}")
            return []
        if len(value) > limit:
            _wrong(errors, path, f"has {len(value)} entries, at most {limit} are allowed")
            return []
        return [reader(item, f"{path}[{index}]", errors) for index, item in enumerate(value)]

    return read


def record(fields: Mapping[str, Reader], *, required: tuple[str, ...] = (), nullable: bool = False) -> Reader:
    """A map with exactly these fields; absent ones stay absent."""

    def read(value: Any, path: str, errors: Errors) -> Any:
        if value is None and nullable:
            return None
        if not isinstance(value, Mapping):
            _wrong(errors, path, f"must be a map, found {_kind(value)}")
            return {}
        prefix = f"{path}." if path else ""
        for key in value:
            if key not in fields:
                _wrong(errors, f"{prefix}{key}", f"is not a field; known are {', '.join(sorted(fields))}")
        for key in required:
            if value.get(key) in (None, ""):
                _wrong(errors, f"{prefix}{key}", "is required")
        return {
            key: reader(value[key], f"{prefix}{key}", errors)
            for key, reader in fields.items()
            if key in value and not (value[key] is None and key not in required)
        }

    return read


def _kind(value: Any) -> str:
    names = {
        dict: "a map",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "nothing" if value is None else names.get(type(value), type(value).__name__)


DIRECTORY = record(
    {"recurse": flag, "include": text(512), "exclude": text(512), "disable_extension_filter": flag}
)
SOURCE = record(
    {
        "repo_url": text(1000),
        "path": text(1024),
        "target_revision": text(255),
        "tag_prefix": text(255),
        "ref": text(63),
        "chart": text(253),
        "directory": DIRECTORY,
        "helm": anything,
        "kustomize": anything,
        "plugin": anything,
    },
    required=("repo_url",),
)
AUTOMATED = record({"enabled": flag, "prune": flag, "self_heal": flag, "allow_empty": flag}, nullable=True)
RETRY = record(
    {
        # -1 is endless (sync-semantics.md 3.10).
        "limit": at_least(-1),
        "duration": duration,
        "factor": at_least(1),
        "max_duration": duration,
        "refresh": flag,
    }
)
SYNC_POLICY = record(
    {
        "automated": AUTOMATED,
        "sync_options": texts,
        "retry": RETRY,
        "managed_namespace_metadata": record({"labels": text_map, "annotations": text_map}),
        "depends_on": list_of(
            record({"application": text(253), "condition": text(16)}, required=("application",))
        ),
    }
)
IGNORE = record(
    {
        "group": text(253),
        "kind": text(253),
        "name": text(253),
        "namespace": text(253),
        "json_pointers": texts,
        "jq_path_expressions": texts,
        "managed_fields_managers": texts,
    },
    required=("kind",),
)
APPLICATION = record(
    {
        "name": text(
            253, pattern=_DNS_SUBDOMAIN, what="a DNS subdomain (lower case letters, digits, - and .)"
        ),
        "project": text(253),
        "labels": text_map,
        "annotations": text_map,
        "sources": list_of(SOURCE, 20),
        "destination": record(
            {
                "cluster": text(500),
                "namespace": text(
                    63, pattern=_DNS_LABEL, what="a namespace (lower case letters, digits and -)"
                ),
            },
            required=("cluster",),
        ),
        "sync_policy": SYNC_POLICY,
        "ignore_differences": list_of(IGNORE, 200),
        "on_delete": text(8, pattern=re.compile("cascade|detach"), what="cascade or detach"),
    },
    required=("name", "project", "sources", "destination"),
)


def read_application(document: Any) -> tuple[dict[str, Any], Errors]:
    """An Application document; `source` is accepted for a list of one."""
    errors: Errors = {}
    if isinstance(document, Mapping) and "source" in document:
        document = {**{key: value for key, value in document.items() if key != "source"}} | {
            "sources": [*(document.get("sources") or []), document["source"]]
        }
    values = APPLICATION(document, "", errors)
    if not errors and not values.get("sources"):
        _wrong(errors, "sources", "at least one source is required")
    return values, errors


_CAMEL = {
    "repo_url": "repoURL",
    "target_revision": "targetRevision",
    "tag_prefix": "tagPrefix",
    "disable_extension_filter": "disableExtensionFilter",
    "json_pointers": "jsonPointers",
    "jq_path_expressions": "jqPathExpressions",
    "managed_fields_managers": "managedFieldsManagers",
}
_SNAKE = {camel: snake for snake, camel in _CAMEL.items()}


def to_argo(value: Any) -> Any:
    """Field names of sources and ignore rules as Argo CD writes them: the form that is stored and read by the core."""
    return _renamed(value, _CAMEL)


def from_argo(value: Any) -> Any:
    """The reverse of `to_argo`, for answers of the API."""
    return _renamed(value, _SNAKE)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if isinstance(value, Mapping):
        # Tool settings keep their own words below the first level.
        return {
            names.get(key, key): _renamed(item, names)
            if key in {"directory"} or isinstance(item, list)
            else item
            for key, item in value.items()
        }
    return value
