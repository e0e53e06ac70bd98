"""Whether a hook runs: conditions, fingerprints, rollbacks, choices of people (sync-semantics.md 12 rules 6 to 9)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from clusters.core.hooks.classify import annotations_of, classify
from clusters.core.manifests import (
    FINGERPRINT_ANNOTATION,
    MANAGED_BY_LABEL,
    OPERATION_ANNOTATION,
    TRACKING_ANNOTATION,
    Manifest,
)

RUN_WHEN = "gitops-hub.io/hook-run-when"
ON_UNKNOWN = "gitops-hub.io/hook-on-unknown"
RERUN_ON_RETRY = "gitops-hub.io/hook-rerun-on-retry"
ON_ROLLBACK = "gitops-hub.io/hook-on-rollback"
_BARE = "self; images"
_WAITING = ("field=", "label=")


@dataclass(frozen=True, slots=True)
class HookSuccess:
    """The last success of one hook: same Application, destination and key. `number` is how people know the operation."""

    fingerprint: str
    operation: str
    revision: str = ""
    images: tuple[str, ...] = ()
    number: str = ""

    @property
    def named(self) -> str:
        return self.number or self.operation


@dataclass(frozen=True, slots=True)
class HookFacts:
    """What the decision about one hook rests on. `files`: path to content id at the target Revision, None unknown."""

    operation: str
    attempt: int = 1
    last: HookSuccess | None = None
    desired: Sequence[Manifest] = field(default=(), repr=False)
    files: Mapping[str, str] | None = field(default=None, repr=False)
    rollback: bool = False
    run_all: bool = False
    skip_all: bool = False
    choice: str = ""


@dataclass(frozen=True, slots=True)
class HookChoice:
    """run, skip, or block (a person must choose); the reason is shown in plan, card, history and events."""

    action: Literal["run", "skip", "block"]
    code: str
    reason: str
    fingerprint: str = ""
    warnings: tuple[str, ...] = ()


def images_of(manifest: object) -> list[str]:
    """Image references of all containers of an object, wherever its pod template lies; sorted, each once."""
    return sorted({image for _, image in _containers(manifest)})


def _containers(node: object, depth: int = 0) -> Iterable[tuple[str, str]]:
    if depth > 12 or not isinstance(node, Mapping):
        return
    for name, value in node.items():
        if name in ("containers", "initContainers") and isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping) and isinstance(item.get("image"), str):
                    yield str(item.get("name") or ""), item["image"]
        elif name in ("spec", "template", "jobTemplate"):
            yield from _containers(value, depth + 1)


def bare(manifest: Manifest) -> dict[str, Any]:
    """The manifest without tracking and Argo CD annotations: what `self` means."""
    metadata = dict(manifest.get("metadata") or {})
    ours = {TRACKING_ANNOTATION, OPERATION_ANNOTATION, FINGERPRINT_ANNOTATION}
    kept = {
        name: text
        for name, text in annotations_of(manifest).items()
        if name not in ours and not name.startswith("argocd.argoproj.io/")
    }
    metadata["annotations"] = kept
    labels = metadata.get("labels")
    if isinstance(labels, Mapping):
        metadata["labels"] = {k: v for k, v in labels.items() if k != MANAGED_BY_LABEL}
    return {**manifest, "metadata": {k: v for k, v in metadata.items() if v not in ({}, None)}}


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hook_set_digest(desired: Iterable[Manifest]) -> str:
    """One digest of all sync hooks of a desired set: another Revision with another one is OutOfSync (rule 8)."""
    return _digest(sorted(_digest(bare(m)) for m in desired if classify(m).phases))


def _matches_path(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Glob by segments, `**` is any depth; time is at most segments times segments."""
    reach = {0}
    for segment in [*path, None]:
        following: set[int] = set()
        for index in sorted(reach):
            at = index
            while at < len(pattern) and pattern[at] == "**":
                following.add(at)
                at += 1
            if segment is None:
                if at == len(pattern):
                    return True
            elif at < len(pattern) and fnmatchcase(segment, pattern[at]):
                following.add(at + 1)
        reach = following
    return False


def _input_value(name: str, manifest: Manifest, facts: HookFacts) -> object | None:
    """The value of one input, None if it cannot be known."""
    if name == "self":
        return bare(manifest)
    if name == "images":
        return images_of(manifest)
    if name.startswith("images="):
        kind, _, rest = name.removeprefix("images=").partition("/")
        owner, _, container = rest.rpartition("/")
        found = [
            image
            for m in facts.desired
            if m.get("kind") == kind and (m.get("metadata") or {}).get("name") == owner
            for held, image in _containers(m)
            if held == container
        ]
        return sorted(found) or None
    if name.startswith("paths=") and facts.files is not None:
        pattern = name.removeprefix("paths=").strip("/").split("/")
        return sorted(
            [path, blob] for path, blob in facts.files.items() if _matches_path(pattern, path.split("/"))
        )
    return None


def fingerprint(inputs: str, manifest: Manifest, facts: HookFacts) -> tuple[str, tuple[str, ...]]:
    """sha256 of the sorted inputs, empty if one of them is unknown, with a warning that says which."""
    values: dict[str, object] = {}
    warnings = []
    for name in sorted({part.strip() for part in (inputs or _BARE).split(";") if part.strip()}):
        if name.startswith(_WAITING):
            warnings.append(f"{RUN_WHEN}: input {name[:60]!r} is not supported yet")
            continue
        value = _input_value(name, manifest, facts)
        if value is None:
            warnings.append(f"{RUN_WHEN}: input {name[:60]!r} is not known here")
        values[name] = value
    known = not warnings and values
    return (_digest(sorted(values.items())) if known else ""), tuple(warnings)


def decide_hook(manifest: Manifest, facts: HookFacts) -> HookChoice:
    """Run, skip or ask, with the reason. What a person or the request says comes first, then rollback, then rule 6."""
    text = annotations_of(manifest).get(RUN_WHEN, "always").strip()
    mode, _, inputs = text.partition(":")
    print_, warnings = fingerprint(inputs.strip(), manifest, facts) if mode == "changed" else ("", ())
    if facts.run_all:
        return HookChoice("run", "requested", "this operation runs all hooks", print_, warnings)
    if facts.skip_all:
        return HookChoice("skip", "requested", "hooks are skipped by this operation", print_, warnings)
    if facts.choice in ("run", "skip"):
        chosen: Literal["run", "skip"] = "run" if facts.choice == "run" else "skip"
        return HookChoice(chosen, "chosen", f"a person chose to {chosen} it", print_, warnings)
    if facts.rollback:
        return _on_rollback(manifest, facts, print_)
    if mode == "always" and not inputs:
        return HookChoice("run", "always", "runs at every sync")
    if mode == "never" and not inputs:
        return HookChoice("skip", "never", f"{RUN_WHEN} is never")
    if mode != "changed":
        warning = f"{RUN_WHEN}: {text[:60]!r} is not known, the hook runs"
        return HookChoice("run", "always", "runs at every sync", warnings=(warning,))
    return _on_change(manifest, facts, print_, warnings)


def _on_change(manifest: Manifest, facts: HookFacts, print_: str, warnings: tuple[str, ...]) -> HookChoice:
    annotations = annotations_of(manifest)
    last = facts.last
    if not print_ or last is None or not last.fingerprint:
        why = "; ".join(warnings) if not print_ else "no earlier success is known"
        if annotations.get(ON_UNKNOWN) == "block":
            return HookChoice("block", "unknown", f"run or skip must be chosen: {why}", print_, warnings)
        return HookChoice("run", "unknown", f"runs because its inputs are not known: {why}", print_, warnings)
    if last.fingerprint != print_:
        return HookChoice(
            "run", "changed", f"its inputs changed since operation {last.named}", print_, warnings
        )
    again = facts.attempt > 1 and last.operation == facts.operation
    if again and annotations.get(RERUN_ON_RETRY) == "true":
        return HookChoice("run", "retry", "runs again at a retry", print_, warnings)
    revision = f" (revision {last.revision[:7]})" if last.revision else ""
    reason = f"fingerprint {print_[:6]} unchanged since operation {last.named}{revision}"
    return HookChoice("skip", "unchanged", reason, print_, warnings)


def _on_rollback(manifest: Manifest, facts: HookFacts, print_: str) -> HookChoice:
    """Rule 9: a schema newer than the code is a decision of people."""
    wish = annotations_of(manifest).get(ON_ROLLBACK, "")
    if wish == "run":
        return HookChoice("run", "rollback", f"{ON_ROLLBACK} is run", print_)
    if wish == "skip":
        return HookChoice("skip", "rollback", f"{ON_ROLLBACK} is skip", print_)
    warnings = () if wish in ("", "block") else (f"{ON_ROLLBACK}: {wish[:40]!r} is not known",)
    images = images_of(manifest)
    same = images == list(facts.last.images) if facts.last else not images
    if wish != "block" and same:
        return HookChoice(
            "skip", "rollback", "skipped on rollback: its images are the same", print_, warnings
        )
    why = f"{ON_ROLLBACK} is block" if wish == "block" else "its images differ from those that ran last"
    return HookChoice("block", "rollback", f"run or skip must be chosen: {why}", print_, warnings)
