"""How a hook is run: its name, its marks, its finalizer, its deadline (sync-semantics.md 3.7, 3.12, 12 rule 10)."""

from __future__ import annotations

import copy
import re
from datetime import datetime
from typing import Any

from clusters.core.durations import parse_duration
from clusters.core.hooks.classify import annotations_of
from clusters.core.manifests import (
    FINGERPRINT_ANNOTATION,
    HOOK_FINALIZER,
    OPERATION_ANNOTATION,
    TRACKING_ANNOTATION,
    Manifest,
    group_of,
)

ARGOCD_HOOK_FINALIZER = "argocd.argoproj.io/hook-finalizer"
HOOK_FINALIZERS = (HOOK_FINALIZER, ARGOCD_HOOK_FINALIZER)
TIMEOUT = "gitops-hub.io/timeout"
RUN_ONCE = "gitops-hub.io/run-once"
_RUN_TO_COMPLETION = frozenset({("batch", "Job"), ("", "Pod"), ("argoproj.io", "Workflow")})
_NAME_LIMIT = 63


def runs_to_completion(obj: Manifest) -> bool:
    """Job, Pod and Workflow are created once and end; everything else is applied in place."""
    return (group_of(obj), str(obj.get("kind"))) in _RUN_TO_COMPLETION


def generated_name(prefix: str, revision: str, phase: str, started_at: datetime, attempt: int = 1) -> str:
    """The one name that every pass of an attempt finds again, at most 63 characters (3.7).

    >>> from datetime import UTC
    >>> generated_name("smoke-", "9f2c1d0aa", "PostSync", datetime.fromtimestamp(1700000000, UTC))
    'smoke-9f2c1d0-postsync-1700000000'
    """
    letters = re.sub(r"[^0-9A-Za-z]", "", revision)[:7]
    parts = [part for part in (letters, phase, str(int(started_at.timestamp()))) if part]
    suffix = "-".join(parts).lower() + (f"-{attempt}" if attempt > 1 else "")
    return prefix[: max(0, _NAME_LIMIT - len(suffix))] + suffix


def operation_mark(operation_id: str, attempt: int, phase: str = "", phases: int = 1) -> str:
    """Whose run an object is: `<operation>.<attempt>`, with the phase where one hook runs in several phases."""
    mark = f"{operation_id}.{attempt}"
    return f"{mark}.{phase}" if phases > 1 else mark


def hook_body(manifest: Manifest, name: str, mark: str, print_: str) -> Manifest:
    """The object to send for one run: a copy with the final name, the marks and, if it ends, our finalizer.

    A tracking id is rewritten when the name was generated, because it must name the object that carries it (5.2).
    """
    body = copy.deepcopy(manifest)
    metadata: dict[str, Any] = body.setdefault("metadata", {})
    generated = metadata.pop("generateName", None)
    annotations = dict(metadata.get("annotations") or {})
    tracking = annotations.get(TRACKING_ANNOTATION)
    if generated is not None and not metadata.get("name") and isinstance(tracking, str):
        annotations[TRACKING_ANNOTATION] = tracking.rpartition("/")[0] + "/" + name
    metadata["name"] = name
    annotations[OPERATION_ANNOTATION] = mark
    if print_:
        annotations[FINGERPRINT_ANNOTATION] = print_
    metadata["annotations"] = annotations
    if runs_to_completion(body):
        finalizers = [f for f in metadata.get("finalizers") or [] if f not in HOOK_FINALIZERS]
        metadata["finalizers"] = [*finalizers, HOOK_FINALIZER]
    return body


def hook_timeout(obj: Manifest, default: float, most: float = 0.0) -> tuple[float, tuple[str, ...]]:
    """Seconds this hook may run, 0 = for ever: annotation, else `default`; a Job's own deadline if shorter (3.12).

    `most`: the maximum of the Project, 0 = none.
    """
    limit, warnings = default, tuple[str, ...]()
    text = annotations_of(obj).get(TIMEOUT)
    if text is not None:
        seconds = parse_duration(text)
        if seconds is None:
            warnings = (f"{TIMEOUT}: {text[:40]!r} is not a duration and is ignored",)
        else:
            limit = seconds
    limit = min(limit or most, most) if most else limit
    spec = obj.get("spec")
    own = spec.get("activeDeadlineSeconds") if isinstance(spec, dict) else None
    if isinstance(own, int) and not isinstance(own, bool) and own > 0 and (limit == 0 or own < limit):
        limit = float(own)
    return limit, warnings


def is_run_once(obj: Manifest) -> bool:
    """A plain Job that stays Synced after its end and removal (12 rule 10)."""
    if (group_of(obj), obj.get("kind")) != ("batch", "Job"):
        return False
    spec = obj.get("spec")
    ttl = isinstance(spec, dict) and spec.get("ttlSecondsAfterFinished") is not None
    return ttl or annotations_of(obj).get(RUN_ONCE) == "true"


def finished_job(live: Manifest | None) -> bool:
    """A Job whose conditions say Complete or Failed with status True."""
    if not live or (group_of(live), live.get("kind")) != ("batch", "Job"):
        return False
    status = live.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    return any(
        isinstance(c, dict) and c.get("type") in ("Complete", "Failed") and c.get("status") == "True"
        for c in conditions or ()
    )
