"""Class, phases, wave and delete policies of one manifest (sync-semantics.md 2.2, 3.7, 3.8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from clusters.core.manifests import Manifest

PHASES = ("PreSync", "Sync", "PostSync", "SyncFail")
DELETION_PHASES = ("PreDelete", "PostDelete")
POLICIES = ("BeforeHookCreation", "HookSucceeded", "HookFailed")

ARGOCD_HOOK = "argocd.argoproj.io/hook"
ARGOCD_WAVE = "argocd.argoproj.io/sync-wave"
ARGOCD_POLICY = "argocd.argoproj.io/hook-delete-policy"
HELM_HOOK = "helm.sh/hook"
HELM_WEIGHT = "helm.sh/hook-weight"
HELM_POLICY = "helm.sh/hook-delete-policy"

HELM_PHASES = {
    "pre-install": "PreSync",
    "pre-upgrade": "PreSync",
    "post-install": "PostSync",
    "post-upgrade": "PostSync",
    "pre-delete": "PreDelete",
    "post-delete": "PostDelete",
}
HELM_IGNORED = frozenset({"test", "test-success", "test-failure", "pre-rollback", "post-rollback"})
HELM_POLICIES = {
    "before-hook-creation": "BeforeHookCreation",
    "hook-succeeded": "HookSucceeded",
    "hook-failed": "HookFailed",
}
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}", re.ASCII)

ManifestClass = Literal["resource", "hook", "skip", "ignored"]


@dataclass(frozen=True, slots=True)
class Classified:
    """What one manifest is. `phases` are its sync phases, `deletion` its deletion phases, both in order.

    `unknown` lists hook words that nobody knows: the Condition UnknownHook, when nothing else was recognised. `helm`:
    the Helm words that made it a hook, where no Argo CD hook did.
    """

    kind: ManifestClass
    phases: tuple[str, ...] = ()
    deletion: tuple[str, ...] = ()
    wave: int = 0
    policies: frozenset[str] = frozenset({"BeforeHookCreation"})
    unknown: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    helm: frozenset[str] = frozenset()

    def runs_in(self, phase: str, *, installed: bool) -> bool:
        """With `HelmHooks=helm`: install hooks until the first full sync succeeded, upgrade hooks only after it (3.8)."""
        when = {word.rpartition("-")[2] for word in self.helm if HELM_PHASES.get(word) == phase}
        return not when or ("upgrade" if installed else "install") in when


def annotations_of(obj: object) -> dict[str, str]:
    """The annotations of any object as texts, to read only; whatever is malformed is left out."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(found, dict):
        return {}
    if all(type(name) is str and type(value) is str for name, value in found.items()):
        return found
    return {str(k): str(v) for k, v in found.items() if isinstance(v, str | int) and not isinstance(v, bool)}


def words(text: str | None) -> list[str]:
    """A comma list, trimmed, empties dropped."""
    return [word for part in (text or "").split(",") if (word := part.strip())]


def read_wave(obj: object) -> tuple[int, tuple[str, ...]]:
    """The wave of an object and the warnings about texts that are no integers (2.2)."""
    return _wave(annotations_of(obj))


def _wave(annotations: dict[str, str]) -> tuple[int, tuple[str, ...]]:
    if not annotations:
        return 0, ()
    warnings: list[str] = []
    for name in (ARGOCD_WAVE, HELM_WEIGHT):
        text = annotations.get(name)
        if text is None:
            continue
        if _INTEGER.fullmatch(text):
            return int(text), tuple(warnings)
        warnings.append(f"{name}: {text[:40]!r} is not an integer and is ignored")
    return 0, tuple(warnings)


def classify(obj: Manifest) -> Classified:
    """The class of one manifest by its own annotations. Total: any text gives an answer."""
    annotations = annotations_of(obj)
    wave, warnings = _wave(annotations)
    argocd = words(annotations.get(ARGOCD_HOOK))
    if argocd and set(argocd) == {"Skip"}:
        return Classified("skip", wave=wave, warnings=warnings)
    named = {word for word in argocd if word in PHASES or word in DELETION_PHASES}
    unknown = [word for word in argocd if word not in named and word != "Skip"]
    helm = words(annotations.get(HELM_HOOK))
    by_helm = not named
    if not named and helm:
        if set(helm) == {"crd-install"} and not argocd:
            return Classified("resource", wave=wave, warnings=warnings)
        named = {HELM_PHASES[word] for word in helm if word in HELM_PHASES}
        known = HELM_PHASES.keys() | HELM_IGNORED | {"crd-install"}
        unknown += [word for word in helm if word not in known]
    if not named and not argocd and not helm:
        return Classified("resource", wave=wave, warnings=warnings)
    texts = tuple(f"hook {word[:40]!r} is not known and is ignored" for word in unknown)
    policies, more = _policies(annotations)
    return Classified(
        "hook" if named else "ignored",
        phases=tuple(phase for phase in PHASES if phase in named),
        deletion=tuple(phase for phase in DELETION_PHASES if phase in named),
        wave=wave,
        policies=policies,
        unknown=tuple(unknown),
        warnings=warnings + texts + more,
        helm=frozenset(helm) if by_helm else frozenset(),
    )


def _policies(annotations: dict[str, str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The union of both spellings; none given means BeforeHookCreation (3.7)."""
    found: set[str] = set()
    warnings: list[str] = []
    for word in words(annotations.get(ARGOCD_POLICY)):
        if word in POLICIES:
            found.add(word)
        else:
            warnings.append(f"{ARGOCD_POLICY}: {word[:40]!r} is not known and is ignored")
    for word in words(annotations.get(HELM_POLICY)):
        if word in HELM_POLICIES:
            found.add(HELM_POLICIES[word])
        else:
            warnings.append(f"{HELM_POLICY}: {word[:40]!r} is not known and is ignored")
    return frozenset(found or {"BeforeHookCreation"}), tuple(warnings)
