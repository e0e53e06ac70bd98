"""One text, many documents: how a file is cut and decoded before its values are built (sources.md 5)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clusters.core.manifests.build import Builder, DuplicateKeys
from clusters.core.manifests.errors import DEFAULT_LIMITS, Limits, ManifestError, ManifestWarning
from clusters.core.manifests.keys import Manifest
from clusters.core.manifests.scalars import integer, json_number

_SEPARATOR = re.compile(r"^---(.*)$", re.MULTILINE)
_DIRECTIVE = re.compile(r"(?:[ \t]*(?:#.*)?\r?\n)*%")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Documents:
    """What a text holds: objects in order, the first line of each, and what was odd."""

    objects: tuple[Manifest, ...] = ()
    warnings: tuple[ManifestWarning, ...] = ()
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """One document of any shape, before anyone asks whether it is an object."""

    value: Any = field(repr=False)
    line: int
    number: int


def load_documents(
    data: bytes, *, path: str = "", duplicate_keys: DuplicateKeys = "error", limits: Limits = DEFAULT_LIMITS
) -> Documents:
    """All objects of a YAML or JSON text. Empty documents are skipped; a document that is no map is an error.

    Raises ManifestError with file, line and document.
    """
    values, warnings = read_values(data, path=path, duplicate_keys=duplicate_keys, limits=limits)
    for item in values:
        if not isinstance(item.value, dict):
            shape = "a list" if isinstance(item.value, list) else "a single value"
            message = f"document {item.number} is {shape}, not an object"
            raise ManifestError(message, path=path, line=item.line, document=item.number)
    return Documents(tuple(v.value for v in values), tuple(warnings), tuple(v.line for v in values))


def read_values(
    data: bytes, *, path: str, duplicate_keys: DuplicateKeys, limits: Limits = DEFAULT_LIMITS
) -> tuple[list[Value], list[ManifestWarning]]:
    """Every document that is not null, whatever its shape. Raises ManifestError."""
    text = decode(data, path)
    if text.lstrip()[:1] == "{":
        found = _json_stream(text, path, duplicate_keys, limits)
        if found is not None:
            return found
    builder = Builder(path, limits, duplicate_keys)
    values: list[Value] = []
    for number, (line, chunk) in enumerate(split_documents(text, path), 1):
        if number > limits.documents:
            raise _too_many_documents(path, line, limits)
        if _DIRECTIVE.match(chunk):
            at = line + chunk.partition("%")[0].count("\n")
            raise ManifestError(
                "%YAML and %TAG directives are not supported", hint="remove the line", path=path, line=at
            )
        if chunk.strip():
            values += [
                Value(v, line, number) for v in builder.documents(chunk, line, number) if v is not None
            ]
    return values, builder.warnings


def decode(data: bytes, path: str) -> str:
    """UTF-8 with or without mark, UTF-16 with mark. Raises ManifestError with the line of the first bad byte."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ManifestError(
            f"byte {error.start} is not {encoding[:6].upper()}", path=path, line=line
        ) from None


def split_documents(text: str, path: str) -> Iterator[tuple[int, str]]:
    """(first line, text) of each part between lines that begin with `---`."""
    start, line = 0, 1
    for match in _SEPARATOR.finditer(text):
        chunk = text[start : match.start()]
        yield line, chunk
        line += chunk.count("\n")
        rest = match.group(1).strip()
        if rest and not rest.startswith("#"):
            hint = "write the document on the next line"
            raise ManifestError(
                f"invalid document separator: ---{rest[:40]}", hint=hint, path=path, line=line
            )
        start = match.end()
    yield line, text[start:]


def _json_stream(
    text: str, path: str, duplicate_keys: DuplicateKeys, limits: Limits
) -> tuple[list[Value], list[ManifestWarning]] | None:
    """JSON objects in a row, or None when the text is not that (a YAML flow map begins likewise)."""
    repeated: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            seen: set[str] = set()
            repeated.extend(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return result

    decoder = json.JSONDecoder(
        object_pairs_hook=pairs, parse_int=integer, parse_float=_float, parse_constant=_refuse
    )
    values: list[Value] = []
    warnings: list[ManifestWarning] = []
    position = _skip_space(text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return None
        part, position = text[position:end], _skip_space(text, end)
        if not isinstance(value, dict) or (_SURROGATE.search(part) and not _is_text(value)):
            return None
        if len(values) >= limits.documents:
            raise _too_many_documents(path, line, limits)
        values.append(Value(value, line, len(values) + 1))
        if repeated and duplicate_keys == "error":
            raise _json_duplicate(part, repeated[0], path, line, len(values))
        warnings += [
            ManifestWarning("DuplicateKeyWarning", f'key "{key[:100]}" appears twice', path, line)
            for key in repeated
        ]
        repeated.clear()
        check_size(value, path, line, len(values), limits)
    return values, warnings


def check_size(value: Any, path: str, line: int, number: int, limits: Limits) -> None:
    """The limits of the YAML reader, for values that JSON built. Raises ManifestError."""
    nodes, level, depth = 0, [value], 0
    while level:
        depth += 1
        nodes += len(level)
        if depth > limits.depth + 1 or nodes > limits.nodes:
            what = (
                f"is nested deeper than {limits.depth} levels"
                if depth > limits.depth
                else f"holds more than {limits.nodes:,} values"
            )
            raise ManifestError(what, path=path, line=line, document=number)
        for item in level:
            if isinstance(item, str) and len(item) > limits.scalar_bytes:
                raise ManifestError(
                    f"a text is longer than {limits.scalar_bytes:,} bytes",
                    path=path,
                    line=line,
                    document=number,
                )
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]


def _json_duplicate(part: str, key: str, path: str, line: int, number: int) -> ManifestError:
    """The line is found by reading the object again as YAML, which JSON nearly is."""
    try:
        for _ in Builder(path, DEFAULT_LIMITS, "error").documents(part, line, number):
            break
    except ManifestError as error:
        if "appears twice" in error.message:
            return error
    return ManifestError(f'key "{key[:100]}" appears twice', path=path, line=line, document=number)


def _too_many_documents(path: str, line: int, limits: Limits) -> ManifestError:
    message = f"holds more than {limits.documents:,} documents (HUB_MAX_DOCUMENTS)"
    return ManifestError(message, code="LimitExceeded", path=path, line=line)


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _float(text: str) -> int | float:
    return json_number(float(text))


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not a number that JSON can hold")


def _is_text(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
