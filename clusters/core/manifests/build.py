"""From parser events to plain values, within limits that hold before anything large exists (sources.md 5).

The C parser yields events without recursion, so a million-deep file costs nothing: the first event beyond a limit
ends the work. Aliases are expanded into separate values, and their size is known before they are copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from clusters.core.manifests.errors import Limits, ManifestError, ManifestWarning
from clusters.core.manifests.scalars import TAG_PREFIX, key_text, plain, tagged

DuplicateKeys = Literal["error", "warn"]
HAS_C_PARSER: bool = bool(getattr(yaml, "__with_libyaml__", False))
_LOADER: Any = yaml.CSafeLoader if HAS_C_PARSER else yaml.SafeLoader
_NOTHING = object()
_MERGE = object()


class _List:
    """A sequence that is being read."""

    __slots__ = ("anchor", "height", "start", "value")

    def __init__(self, anchor: str | None, start: int) -> None:
        self.anchor, self.start, self.height = anchor, start, 1
        self.value: list[Any] = []


class _Map:
    """A mapping that is being read: the key that waits for its value, and which keys came by `<<` only."""

    __slots__ = ("anchor", "height", "key", "merged", "start", "value")

    def __init__(self, anchor: str | None, start: int) -> None:
        self.anchor, self.start, self.height = anchor, start, 1
        self.value: dict[str, Any] = {}
        self.key: Any = _NOTHING
        self.merged: set[str] = set()


class Builder:
    """Reads the documents of one file; counters and limits hold for the file as a whole."""

    def __init__(self, path: str, limits: Limits, duplicate_keys: DuplicateKeys) -> None:
        self.path, self.limits, self.duplicate_keys = path, limits, duplicate_keys
        self.warnings: list[ManifestWarning] = []
        self.nodes = self.aliases = self.expanded = 0
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        self._stack: list[_List | _Map] = []
        self._first_line = self._document = 0

    def documents(self, text: str, first_line: int, number: int) -> Iterator[Any]:
        """The value of the one document in `text`; nothing when it is empty. Raises ManifestError."""
        self._anchors, self._stack = {}, []
        self._first_line, self._document = first_line, number
        root: Any = _NOTHING
        ended = False
        for event in self._events(text):
            kind = type(event)
            if kind is DocumentEndEvent:
                if event.explicit:
                    break  # what follows `...` is dropped
                ended = True
            elif kind is DocumentStartEvent:
                if ended:
                    raise self._error(event, "a second document begins here without a line ---")
            elif (value := self._value(event, kind)) is not _NOTHING:
                if self._stack:
                    self._attach(value, event)
                else:
                    root = value
        if root is not _NOTHING:
            yield root

    def _events(self, text: str) -> Iterator[Any]:
        loader = None
        try:
            loader = _LOADER(text)
            while loader.check_event():
                yield loader.get_event()
        except yaml.reader.ReaderError as error:
            line = text.encode(errors="replace")[: error.position].count(b"\n")
            raise self._error(None, f"{error.reason} (character {error.character:#x})", line=line) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(None, error.problem or "no YAML", line=mark.line if mark else 0) from None
        finally:
            if loader is not None:
                loader.dispose()

    def _value(self, event: Any, kind: type[Event]) -> Any:
        """The value that this event completes, or _NOTHING."""
        if kind is ScalarEvent:
            self._count(event)
            value = self._scalar(event)
            if event.anchor:
                self._anchors[event.anchor] = (value, 1, 0)
            return value
        if kind is MappingStartEvent or kind is SequenceStartEvent:
            self._open(event, kind)
            return _NOTHING
        if kind is MappingEndEvent or kind is SequenceEndEvent:
            return self._close()
        return self._alias(event) if kind is AliasEvent else _NOTHING

    def _open(self, event: Any, kind: type[Event]) -> None:
        self._count(event)
        self._refuse_tag(event)
        if len(self._stack) >= self.limits.depth:
            raise self._error(event, f"is nested deeper than {self.limits.depth} levels")
        if self._stack and isinstance(self._stack[-1], _Map) and self._stack[-1].key is _NOTHING:
            raise self._error(event, "a list or map cannot be a key")
        frame = _Map if kind is MappingStartEvent else _List
        self._stack.append(frame(event.anchor, self.nodes + self.expanded))

    def _close(self) -> Any:
        frame = self._stack.pop()
        if frame.anchor:
            size = self.nodes + self.expanded - frame.start + 1
            self._anchors[frame.anchor] = (frame.value, size, frame.height)
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, frame.height + 1)
        return frame.value

    def _count(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            raise self._error(event, f"holds more than {self.limits.nodes:,} values")

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        limit = self.limits.scalar_bytes
        if len(text) > limit // 4 and len(text.encode()) > limit:
            raise self._error(event, f"a text is longer than {limit:,} bytes")
        if event.tag is None:
            if not event.implicit[0]:
                return text
            if text == "<<" and self._expects_key():
                return _MERGE
            return self._resolved(event, plain, text)
        self._refuse_tag(event)
        if event.tag == TAG_PREFIX + "merge" and text == "<<" and self._expects_key():
            return _MERGE
        return self._resolved(event, tagged, event.tag, text)

    def _resolved(self, event: Any, resolve: Any, *args: str) -> Any:
        try:
            return resolve(*args)
        except ValueError as error:
            raise self._error(event, str(error)) from None

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1], _Map) and self._stack[-1].key is _NOTHING

    def _alias(self, event: Any) -> Any:
        name = event.anchor
        if name not in self._anchors:
            raise self._error(event, f"alias *{name} has no anchor before it")
        value, size, height = self._anchors[name]
        self.aliases += 1
        self.expanded += size
        if self.aliases > self.limits.aliases:
            raise self._error(event, f"holds more than {self.limits.aliases:,} aliases")
        if self.expanded > self.limits.expanded_nodes:
            raise self._error(event, f"aliases expand to more than {self.limits.expanded_nodes:,} nodes")
        if len(self._stack) + height > self.limits.depth:
            raise self._error(event, f"is nested deeper than {self.limits.depth} levels")
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, height + 1)
        return separate(value)

    def _attach(self, value: Any, event: Any) -> None:
        frame = self._stack[-1]
        if isinstance(frame, _List):
            frame.value.append(value)
        elif frame.key is _NOTHING:
            frame.key = self._key(frame, value, event)
        elif frame.key is _MERGE:
            self._merge(frame, value, event)
            frame.key = _NOTHING
        else:
            frame.value[frame.key] = value
            frame.key = _NOTHING

    def _key(self, frame: _Map, value: Any, event: Any) -> Any:
        if value is _MERGE:
            return _MERGE
        if isinstance(value, dict | list):
            raise self._error(event, "a list or map cannot be a key")
        key = self._resolved(event, key_text, value)
        if key in frame.value:
            if key in frame.merged:
                frame.merged.discard(key)
            else:
                self._duplicate(key, event)
        return key

    def _duplicate(self, key: str, event: Any) -> None:
        message = f'key "{key[:100]}" appears twice'
        if self.duplicate_keys == "error":
            raise self._error(
                event, message, hint="keep one of them; HUB_DUPLICATE_KEYS=warn lets the last one win"
            )
        line = self._first_line + int(event.start_mark.line)
        self.warnings.append(ManifestWarning("DuplicateKeyWarning", message, self.path, line))

    def _merge(self, frame: _Map, value: Any, event: Any) -> None:
        """`<<` in document order: it overwrites keys before it; in a list of maps the first wins."""
        sources = value if isinstance(value, list) and type(event) is not AliasEvent else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise self._error(event, "<< needs a map or a list of maps")
        for source in reversed(sources):
            frame.merged.update(key for key in source if key not in frame.value)
            frame.value.update(source)

    def _refuse_tag(self, event: Any) -> None:
        if event.tag and event.tag.startswith(TAG_PREFIX + "python/"):
            raise self._error(event, f"tag !!{event.tag.removeprefix(TAG_PREFIX)[:60]} is refused")

    def _error(self, event: Any, message: str, *, hint: str = "", line: int | None = None) -> ManifestError:
        at = event.start_mark.line if line is None else line
        return ManifestError(
            message, hint=hint, path=self.path, line=self._first_line + at, document=self._document
        )


def separate(value: Any) -> Any:
    """A deep copy of a plain value, so that no two places ever share a part."""
    if isinstance(value, dict):
        return {key: separate(item) for key, item in value.items()}
    return [separate(item) for item in value] if isinstance(value, list) else value
