"""Selective sync: which resources an operation is about (sync-semantics.md 2.3, 9.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clusters.core.manifests import Manifest, ResourceKey, metadata_map
from clusters.core.plan.request import PlanRequest


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry `[!]group:Kind:[namespace/]name`; `*` alone stands for any part."""

    excludes: bool
    group: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Raises ValueError with a sentence that says what is wrong."""
        body = text.strip()
        excludes = body.startswith("!")
        parts = body.removeprefix("!").split(":", 2)
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise ValueError(f"{text!r} is not of the form group:Kind:namespace/name")
        namespace, slash, name = parts[2].rpartition("/")
        return cls(excludes, parts[0], parts[1], namespace if slash else "*", name)

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace not in ("", "*") else ""
        return f"{self.group}:{self.kind}:{place}{self.name}"

    def matches(self, key: ResourceKey) -> bool:
        wanted = (self.group, self.kind, self.namespace, self.name)
        return all(want in ("*", have) for want, have in zip(wanted, key, strict=True))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which keys are chosen; `takes_hooks` is false where hooks are off."""

    keys: frozenset[ResourceKey]
    choices: tuple[Choice, ...]
    labels: tuple[str, ...]
    takes_hooks: bool
    partial: bool

    @classmethod
    def of(cls, request: PlanRequest) -> Selection:
        selective = bool(request.resources or request.labels)
        heals = request.kind == "self-heal"
        never = heals and request.options.hooks_on_self_heal == "never"
        return cls(
            keys=request.keys,
            choices=tuple(Choice.parse(text) for text in request.resources),
            labels=request.labels,
            takes_hooks=not (selective or never or request.kind in ("prune", "takeover")),
            partial=selective,
        )

    def chooses(self, key: ResourceKey, obj: Manifest) -> bool:
        if self.keys and key not in self.keys:
            return False
        if any(choice.excludes and choice.matches(key) for choice in self.choices):
            return False
        wanted = [choice for choice in self.choices if not choice.excludes]
        if wanted and not any(choice.matches(key) for choice in wanted):
            return False
        labels = metadata_map(obj, "labels")
        return all(_label_holds(text, labels) for text in self.labels)

    def unmet(self, keys: Iterable[ResourceKey]) -> list[str]:
        """Choices by which nothing was chosen: a sync of them would do nothing and call that success."""
        known = list(keys)
        wanted = [choice for choice in self.choices if not choice.excludes]
        return [str(choice) for choice in wanted if not any(choice.matches(key) for key in known)]


def _label_holds(text: str, labels: Mapping[str, object]) -> bool:
    """`k=v`, `k==v`, `k!=v`, `k`, `!k`."""
    if "!=" in text:
        name, _, value = text.partition("!=")
        return labels.get(name.strip()) != value.strip()
    if "=" in text:
        name, _, value = text.replace("==", "=", 1).partition("=")
        return labels.get(name.strip()) == value.strip()
    name = text.strip()
    return name[1:] not in labels if name.startswith("!") else name in labels
