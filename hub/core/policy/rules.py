"""The rules document of a Project, read (access-and-api.md 1.1): compiled patterns, and every error by path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hub.core.globs import Glob, InvalidGlob
from hub.core.policy.patterns import kind_glob, place_glob, source_glob
from hub.core.windows import Window, read_windows

Errors = dict[str, list[str]]


class Place(NamedTuple):
    """One destination entry; an absent half is None and never matches."""

    server: Glob | None
    name: Glob | None
    namespace: Glob | None

    def matches(self, server: str, name: str, namespace: str) -> bool:
        here = (self.server is not None and bool(server) and self.server.matches(server)) or (
            self.name is not None and bool(name) and self.name.matches(name)
        )
        return here and self.namespace is not None and self.namespace.matches(namespace)


class Kind(NamedTuple):
    """One entry of a kind list; without name it covers all."""

    group: Glob
    kind: Glob
    name: Glob | None = None

    def matches(self, group: str, kind: str, name: str) -> bool:
        if not (self.group.matches(group) and self.kind.matches(kind)):
            return False
        return self.name is None or self.name.matches(name)


@dataclass(frozen=True, slots=True)
class Lists:
    """An allow and a deny list. `allow` None means that the list is absent. A deny always beats an allow (PR4)."""

    allow: tuple[Any, ...] | None = None
    deny: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one Project. `closed`: the document could not be read, nothing is permitted."""

    sources: Lists = Lists()
    source_namespaces: tuple[Glob, ...] = ()
    destinations: Lists = Lists()
    cluster_kinds: Lists = Lists()
    namespaced_kinds: Lists = Lists()
    windows: tuple[Window, ...] = ()
    only_project_clusters: bool = False
    switches: Mapping[str, bool] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    closed: str = ""


_SWITCHES = frozenset({"automated", "prune", "plugins"})
_LIMITS = frozenset({"applications", "repositories", "robots", "clusters"})


def read_rules(doc: object) -> tuple[Rules, Errors]:
    """Rules and errors. With an error the Rules are closed: a fence that cannot be read lets nothing through."""
    errors: Errors = {}
    if doc is None:
        return Rules(), errors
    if not isinstance(doc, Mapping):
        return Rules(closed="the rules are not a map"), {"": ["must be a map"]}
    windows, window_errors = read_windows(doc.get("windows"))
    rules = Rules(
        sources=_lists(doc, "sources", _pattern(source_glob), errors),
        source_namespaces=_list(doc, "source_namespaces", _pattern(place_glob), errors) or (),
        destinations=_lists(doc, "destinations", _place, errors),
        cluster_kinds=_lists(doc, "cluster_kinds", _kind, errors),
        namespaced_kinds=_lists(doc, "namespaced_kinds", _kind, errors),
        windows=windows,
        only_project_clusters=_flag(doc, "only_project_clusters", errors),
        switches=_table(doc, "switches", _SWITCHES, bool, errors),
        limits=_table(doc, "limits", _LIMITS, int, errors),
    )
    broken = sorted(errors)
    if broken:
        rules = Rules(
            windows=windows, closed=f"the rules cannot be read at {broken[0]}: {errors[broken[0]][0]}"
        )
    return rules, {**errors, **window_errors}


def _wrong(errors: Errors, path: str, sentence: str) -> None:
    errors.setdefault(path, []).append(sentence)


def _flag(doc: Mapping[str, Any], name: str, errors: Errors) -> bool:
    value = doc.get(name, False)
    if not isinstance(value, bool):
        _wrong(errors, name, "must be true or false")
        return True
    return value


def _table(
    doc: Mapping[str, Any], name: str, known: frozenset[str], of: type, errors: Errors
) -> Mapping[str, Any]:
    value = doc.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _wrong(errors, name, "must be a map")
        return {}
    for key, held in value.items():
        if key not in known:
            _wrong(errors, f"{name}.{key}", f"is not known; known are {', '.join(sorted(known))}")
        elif type(held) is not of or (isinstance(held, int) and held < 0):
            _wrong(
                errors,
                f"{name}.{key}",
                "must be true or false" if of is bool else "must be a number of at least 0",
            )
    return dict(value)


def _lists(doc: Mapping[str, Any], name: str, read: Callable[[Any], Any], errors: Errors) -> Lists:
    value = doc.get(name)
    if value is None:
        return Lists()
    if not isinstance(value, Mapping) or set(value) - {"allow", "deny"}:
        _wrong(errors, name, "must be a map of allow and deny")
        return Lists()
    allow = _list(value, "allow", read, errors, f"{name}.")
    return Lists(allow, _list(value, "deny", read, errors, f"{name}.") or ())


def _list(
    doc: Mapping[str, Any], name: str, read: Callable[[Any], Any], errors: Errors, prefix: str = ""
) -> tuple[Any, ...] | None:
    value = doc.get(name)
    if value is None:
        return None
    path = prefix + name
    if not isinstance(value, Sequence) or isinstance(value, str):
        _wrong(errors, path, "must be a list")
        return ()
    found = []
    for index, entry in enumerate(value):
        try:
            found.append(read(entry))
        except InvalidGlob as error:
            _wrong(errors, f"{path}.{index}", f"{error.reason} (at {error.position})")
        except ValueError as error:
            _wrong(errors, f"{path}.{index}", str(error))
    return tuple(found)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} must be text")
    if value.startswith("!"):
        hint = "it would deny everything" if value == "!*" else "write it into the deny list without the !"
        raise ValueError(f"{value[:60]!r}: {hint}")
    return value


def _pattern(compiled: Callable[[str], Glob]) -> Callable[[Any], Glob]:
    return lambda value: compiled(_text(value, "a pattern"))


def _place(value: Any) -> Place:
    if not isinstance(value, Mapping) or set(value) - {"server", "name", "namespace"}:
        raise ValueError("must be a map of server or name, and namespace")
    if value.get("server") is None and value.get("name") is None:
        raise ValueError("needs a server or a name")
    if value.get("namespace") is None:
        raise ValueError("needs a namespace; * is any")
    found = [
        place_glob(_text(value[part], part)) if value.get(part) is not None else None
        for part in Place._fields
    ]
    return Place(*found)


def _kind(value: Any) -> Kind:
    if not isinstance(value, Mapping) or set(value) - {"group", "kind", "name"}:
        raise ValueError("must be a map of group, kind and name")
    if not value.get("kind"):
        raise ValueError("needs a kind; * is any")
    name = value.get("name")
    return Kind(
        kind_glob(_text(value.get("group") or "", "group")),
        kind_glob(_text(value["kind"], "kind")),
        kind_glob(_text(name, "name")) if name else None,
    )
