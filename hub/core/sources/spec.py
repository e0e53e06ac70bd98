"""Source: one entry of an Application's `source` / `sources`, judged and read (sources.md 4.1, 4.2, 4.7, 4.9)."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hub.core.globs import Glob, InvalidGlob, compile_glob
from hub.core.sources.refs import SourceWarning, is_safe_ref
from hub.core.sources.urls import parse_url
from hub.errors import SourceError

TOOLS = ("helm", "kustomize", "directory", "plugin")
_FIXED = ("repoURL", "path", "targetRevision", "chart")
_TEXTS = {
    "repoURL": "repo_url",
    "path": "path",
    "targetRevision": "target_revision",
    "tagPrefix": "tag_prefix",
    "chart": "chart",
    "ref": "ref",
    "name": "name",
}
_REF = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_BUILD_VARIABLE = re.compile(r"ARGOCD_(?:APP|ENV)_[A-Z0-9_]*|KUBE_(?:VERSION|API_VERSIONS)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """One source as it is rendered. `path` has neither leading nor trailing `/`; "" is the root.

    `tools` holds the tool settings as written (`helm`, `kustomize`, `directory`, `plugin`), at most one of them
    once `check_source` passed. `number` counts from 1.
    """

    repo_url: str
    path: str = ""
    target_revision: str = ""
    tag_prefix: str = ""
    chart: str = ""
    ref: str = ""
    name: str = ""
    number: int = 1
    has_path: bool = True
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_oci(self) -> bool:
        return self.repo_url.startswith("oci://")

    @property
    def only_ref(self) -> bool:
        """Serves value files to other sources and yields no manifests itself."""
        return bool(self.ref) and not self.has_path

    @property
    def directory(self) -> DirectoryOptions:
        return DirectoryOptions.read(self.tools.get("directory") or {})


@dataclass(frozen=True, slots=True)
class DirectoryOptions:
    """`spec.source.directory`; patterns are compiled by `include_glob` and `exclude_glob`."""

    recurse: bool = False
    include: str = ""
    exclude: str = ""
    all_extensions: bool = False

    @staticmethod
    def read(settings: Mapping[str, Any]) -> DirectoryOptions:
        """Raises SourceError InvalidSource or InvalidGlob."""
        unfiltered = (
            settings.get("disableExtensionFilter") or settings.get("disable_extension_filter") or False
        )
        recurse = settings.get("recurse") or False
        for name, flag in (("recurse", recurse), ("disableExtensionFilter", unfiltered)):
            if not isinstance(flag, bool):
                raise SourceError("InvalidSource", f"directory.{name} must be true or false")
        include, exclude = settings.get("include") or "", settings.get("exclude") or ""
        for name, pattern in (("include", include), ("exclude", exclude)):
            if not isinstance(pattern, str):
                raise SourceError("InvalidSource", f"directory.{name} must be text")
        options = DirectoryOptions(recurse, include, exclude, unfiltered)
        _ = options.include_glob, options.exclude_glob
        return options

    @property
    def include_glob(self) -> Glob | None:
        return _glob("include", self.include)

    @property
    def exclude_glob(self) -> Glob | None:
        return _glob("exclude", self.exclude)


def _glob(field_name: str, pattern: str) -> Glob | None:
    if not pattern:
        return None
    try:
        return compile_glob(pattern)
    except InvalidGlob as error:
        raise SourceError(
            "InvalidGlob",
            f'{field_name} pattern "{pattern[:200]}" {error.reason}',
            f"look at character {error.position + 1}",
        ) from error


def parse_sources(spec: Mapping[str, Any], **url_rules: bool) -> tuple[Source, ...]:
    """The sources of an Application spec; `sources` wins over `source`. Raises the first of `source_errors`.

    Keys may be spelled as in Argo CD (`repoURL`) or as in our records (`repo_url`).
    """
    for error in source_errors(spec, **url_rules):
        raise error
    return tuple(_read(entry, number) for number, entry in enumerate(_entries(spec), 1))


def source_errors(spec: Mapping[str, Any], **url_rules: bool) -> Iterator[SourceError]:
    """Everything wrong with the sources of a spec, in order. `url_rules`: allow_http, allow_file of `parse_url`."""
    entries = _entries(spec)
    if not entries:
        yield SourceError("InvalidSource", "source or sources is required")
    sources: list[Source] = []
    for number, entry in enumerate(entries, 1):
        where = f"source {number}" if len(entries) > 1 else "source"
        try:
            source = _read(entry, number)
            sources.append(source)
            check_source(source, where, **url_rules)
        except SourceError as error:
            yield error
    yield from _reference_errors(sources)


def _entries(spec: Mapping[str, Any]) -> Sequence[Any]:
    several = spec.get("sources")
    if several:
        return several if isinstance(several, list) else [None]
    return [spec["source"]] if spec.get("source") is not None else []


def _read(entry: Any, number: int) -> Source:
    if not isinstance(entry, Mapping):
        raise SourceError("InvalidSource", f"source {number} must be an object")
    text: dict[str, str] = {}
    for theirs, ours in _TEXTS.items():
        found = entry.get(theirs) or entry.get(ours) or ""
        if not isinstance(found, str):
            raise SourceError("InvalidSource", f"source {number}: {theirs} must be text")
        text[ours] = found
    for name in TOOLS:
        if entry.get(name) is not None and not isinstance(entry[name], Mapping):
            raise SourceError("InvalidSource", f"source {number}: {name} must be an object")
    text["repo_url"] = text["repo_url"].strip()
    tools = {name: copy.deepcopy(dict(entry[name])) for name in TOOLS if entry.get(name) is not None}
    return Source(**text, number=number, has_path=bool(text["path"]), tools=tools)


def check_source(source: Source, where: str = "source", **url_rules: bool) -> None:
    """The rows of sources.md 4.9 that one source can break. Raises SourceError."""
    if not source.repo_url or not (source.has_path or source.chart or source.ref):
        raise SourceError("InvalidSource", f"{where}: repoURL and one of path, chart, ref are required")
    if source.ref and source.chart:
        raise SourceError("InvalidSource", f"{where}: ref and chart exclude each other")
    if source.chart and not source.target_revision:
        raise SourceError("InvalidSource", f"{where}: chart needs targetRevision")
    if source.ref and not _REF.fullmatch(source.ref):
        raise SourceError(
            "InvalidRef",
            f'sources[{source.number - 1}].ref "{source.ref[:80]}" may hold letters, digits, _ and - only',
        )
    if not source.is_oci and not (source.chart and "://" not in source.repo_url):
        parse_url(source.repo_url, **url_rules)
    check_path(source.path)
    if source.tag_prefix and not is_safe_ref(source.tag_prefix + "0"):
        raise SourceError(
            "InvalidRef", f'tagPrefix "{source.tag_prefix[:80]}" cannot begin the name of a tag'
        )
    tool_of(source)
    _ = source.directory


def check_path(path: str) -> None:
    """A path in a repository: relative, within the root, at most 1,024 bytes. Raises SourceError InvalidSource."""
    if path.startswith("/"):
        raise SourceError("InvalidSource", f'path "{path[:200]}" must be relative')
    if any(ord(sign) < 32 or sign == "\x7f" for sign in path) or len(path.encode("utf-8", "replace")) > 1024:
        raise SourceError("InvalidSource", "path holds control characters or is longer than 1,024 bytes")
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            raise SourceError("InvalidSource", f'path "{path[:200]}" is outside the repository')


def clean_path(path: str) -> str:
    """The path without `.`, `..`, empty parts; "" is the root. Only for paths that passed `check_path`."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def tool_of(source: Source) -> str:
    """The tool a source names, or "" when it is to be detected. Raises SourceError MultipleTools."""
    named = [name for name in TOOLS if name in source.tools]
    if len(named) > 1:
        titles = ", ".join(name.capitalize() for name in named)
        raise SourceError("MultipleTools", f"more than one tool is set: {titles}", "keep one of them")
    return named[0] if named else ""


def _reference_errors(sources: Sequence[Source]) -> Iterator[SourceError]:
    refs = [source.ref for source in sources if source.ref]
    for ref in sorted({ref for ref in refs if refs.count(ref) > 1}):
        yield SourceError("InvalidRef", f'two sources have ref "{ref[:80]}"')
    known = ", ".join(f"${ref}" for ref in refs) or "none"
    for source in sources:
        helm = source.tools.get("helm") or {}
        files = [item.get("path") for item in _list(helm, "fileParameters") if isinstance(item, Mapping)]
        for text in (*_list(helm, "valueFiles"), *files):
            name = str(text).partition("/")[0]
            if (
                name.startswith("$")
                and name[1:] not in refs
                and not _BUILD_VARIABLE.fullmatch(name[1:].strip("{}"))
            ):
                yield SourceError("InvalidRef", f"value file uses {name[:80]}, known refs are: {known}")


def _list(settings: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = settings.get(name)
    return found if isinstance(found, list) else []


def with_overrides(source: Source, patch: Any, file: str) -> tuple[Source, tuple[SourceWarning, ...]]:
    """A source with one `.argocd-source*.yaml` merged in (RFC 7386), and a warning for each unknown key.

    Where the source comes from cannot be overridden. Raises SourceError InvalidSource.
    """
    if patch is None:
        return source, ()
    if not isinstance(patch, Mapping):
        raise SourceError("InvalidSource", f"{file} must be an object")
    tools = merge_patch(source.tools, {name: patch[name] for name in TOOLS if name in patch})
    if not all(isinstance(settings, Mapping) for settings in tools.values()):
        raise SourceError("InvalidSource", f"{file}: each tool must be an object")
    unknown = sorted(str(key) for key in patch if key not in TOOLS and key not in _FIXED)
    warnings = tuple(SourceWarning("UnknownOverride", f"{file}: {key[:80]} is ignored") for key in unknown)
    return replace(source, tools=tools), warnings


def merge_patch(target: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386): null removes, objects merge, all else replaces."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
