"""Differences for people: secret values as masks that are equal where the values are (sync-semantics.md 6.6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from clusters.core.diff.projection import ABSENT, Change, Path
from clusters.core.diff.walk import Difference
from clusters.core.manifests import LAST_APPLIED_ANNOTATION, Manifest, is_secret, metadata_map

PLUSES = "++++++++"


class Masker:
    """Gives each different value its own mask: `++++++++ (a1)`, `++++++++ (b2)`, equal values the same one.

    One Masker serves one answer (desired, live and predicted objects, messages), never two people.
    """

    def __init__(self, sensitive_annotations: Collection[str] = ()) -> None:
        self.sensitive_annotations = frozenset(sensitive_annotations)
        self._names: dict[bytes, str] = {}

    def mask(self, value: Any) -> str:
        """The mask of a value."""
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        if text not in self._names:
            number = len(self._names)
            self._names[text] = f"{PLUSES} ({chr(ord('a') + number % 26)}{number + 1})"
        return self._names[text]

    def object(self, obj: Manifest) -> Manifest:
        """A copy fit to be shown: values of Secrets and of sensitive annotations masked, last-applied removed."""
        result = dict(obj)
        if is_secret(obj):
            for name in ("data", "stringData"):
                if obj.get(name) is not None:
                    result[name] = self._masked(obj[name])
        annotations = metadata_map(obj, "annotations")
        if LAST_APPLIED_ANNOTATION in annotations or self.sensitive_annotations & annotations.keys():
            kept = {
                name: self.mask(value) if name in self.sensitive_annotations else value
                for name, value in annotations.items()
                if name != LAST_APPLIED_ANNOTATION
            }
            result["metadata"] = {**obj["metadata"], "annotations": kept}
        return result

    def text(self, message: str, *secrets: Manifest) -> str:
        """A message in which the values of these Secrets do not appear."""
        for obj in secrets:
            for name in ("data", "stringData"):
                values = obj.get(name)
                for value in values.values() if isinstance(values, dict) else ():
                    if isinstance(value, str) and len(value) > 2:
                        message = message.replace(value, self.mask(value))
        return message

    def value(self, value: Any, path: Path, *, secret: bool) -> Any:
        """The value of one path of a difference, masked where the path is secret; ABSENT stays."""
        if value is ABSENT:
            return ABSENT
        if secret and path[:1] in ((".data",), (".stringData",)):
            return self._masked(value) if len(path) == 1 else self.mask(value)
        if path[:2] == (".metadata", ".annotations"):
            return self._annotation(value, path)
        if path == (".metadata",) and isinstance(value, dict):
            return self.object({"metadata": value})["metadata"]
        return value

    def _annotation(self, value: Any, path: Path) -> Any:
        if len(path) == 2 and isinstance(value, dict):
            return self.object({"metadata": {"annotations": value}})["metadata"]["annotations"]
        name = path[2][1:] if len(path) > 2 else ""
        hidden = name in self.sensitive_annotations or name == LAST_APPLIED_ANNOTATION
        return self.mask(value) if hidden else value

    def _masked(self, values: Any) -> Any:
        """Each value on its own; anything that is no map (an invalid Secret) as a whole."""
        if isinstance(values, dict):
            return {name: self.mask(value) for name, value in values.items()}
        return self.mask(values)


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One path of a diff for people. `desired` and `live` are JSON texts, None = absent; `ignored_by` greys it."""

    path: str
    desired: str | None
    live: str | None
    note: str = ""
    ignored_by: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {_or_absent(self.live)} -> {_or_absent(self.desired)}"


def masked_diff(
    differences: Iterable[Difference | Change], masker: Masker, *, secret: bool
) -> list[DiffLine]:
    """Differences or the changes of a Drift as lines; `secret`: the object is a Secret.

    Of a Change the Baseline's value counts as desired; its secret values are HMACs already and become masks too.
    """
    lines = []
    for item in differences:
        desired, live = (item.old, item.new) if isinstance(item, Change) else (item.desired, item.live)
        shown = [_text(masker.value(value, item.path, secret=secret)) for value in (desired, live)]
        note = "" if isinstance(item, Change) else item.note or ("no longer in Git" if item.removed else "")
        rule = "" if isinstance(item, Change) else item.ignored_by
        lines.append(DiffLine("".join(item.path), shown[0], shown[1], note, rule))
    return lines


def _text(value: Any) -> str | None:
    if value is ABSENT:
        return None
    return value if isinstance(value, str) and value.startswith(PLUSES) else orjson.dumps(value).decode()


def _or_absent(text: str | None) -> str:
    return "(absent)" if text is None else text
