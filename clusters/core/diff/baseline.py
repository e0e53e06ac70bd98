"""The Baseline: what our own apply left behind, and how Drift is seen against it in memory (sync-semantics.md 6.3)."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec
import orjson

from clusters.core.diff.leaves import SECRET, LeafSet, leaf_at, leaf_set, leaf_set_of_manifest
from clusters.core.diff.projection import (
    ABSENT,
    Change,
    changes,
    project,
    projection_hash,
    same_json,
    secret_mark,
)
from clusters.core.diff.rules import ObjectRules
from clusters.core.diff.schema import type_of
from clusters.core.diff.walk import Walk
from clusters.core.manifests import Manifest, group_of, is_built_in, is_secret, metadata_map

COMPARE_ANNOTATION = "gitops-hub.io/compare"
_FORMAT = 1
_NO_RULES = ObjectRules()


CHANGED = "changed on admission"
UNKNOWN_FIELD = "not in the cluster's schema"


class Admission(NamedTuple):
    """A path that the server or a webhook changed when our apply was admitted, or that the server does not know (`note`).
    Secret values are HMACs."""

    path: str
    ours: Any
    theirs: Any
    note: str = CHANGED


@dataclass(frozen=True, slots=True)
class Baseline:
    """The projection of the live object on our fields, as the answer of our apply returned it.

    `packed` is zlib of JSON `[leaf set, values]`. `admission`: paths that changed on admission.
    """

    desired_hash: str
    leaf_hash: str
    value_hash: str
    resource_version: str
    generation: int
    api_version: str
    rules_digest: str = ""
    server_version: str = ""
    operation_id: str = ""
    admission: tuple[Admission, ...] = ()
    packed: bytes = field(default=b"", repr=False)

    def to_bytes(self) -> bytes:
        """A compact form for a database column; see `from_bytes`."""
        return bytes([_FORMAT]) + _encoder.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> Baseline:
        """Raises ValueError for bytes of another format (the caller then has no Baseline)."""
        if data[:1] != bytes([_FORMAT]):
            raise ValueError("unknown Baseline format")
        try:
            return _decoder.decode(memoryview(data)[1:])
        except msgspec.MsgspecError as error:
            raise ValueError("unreadable Baseline") from error

    def unpack(self) -> tuple[LeafSet, Any]:
        """(leaf set, values)."""
        leaves, values = orjson.loads(zlib.decompress(self.packed))
        return leaves, values

    def is_void(self, desired_hash: str, rules_digest: str = "", api_version: str = "") -> bool:
        """For the status a Baseline counts only with the same manifest, ignore rules and served version."""
        return (
            self.desired_hash != desired_hash
            or self.rules_digest != rules_digest
            or bool(api_version and self.api_version != api_version)
        )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Baseline)


@dataclass(frozen=True, slots=True)
class Drift:
    """Live differs from the Baseline: the leaves that differ, or the object is gone (`missing`).

    `needs_managed_fields`: a rule by field manager may ignore some of it, and the live object came without
    managedFields: judge again with the object of one GET.
    """

    changes: tuple[Change, ...] = ()
    missing: bool = False
    needs_managed_fields: bool = False


def baseline_of(
    answer: Manifest,
    sent: Manifest,
    desired_hash: str,
    *,
    key: bytes,
    rules: ObjectRules = _NO_RULES,
    sensitive_annotations: Collection[str] = (),
    server_version: str = "",
    operation_id: str = "",
    from_manifest: bool = False,
    left_out: Collection[str] = (),
) -> Baseline:
    """The Baseline after our apply of `sent` was answered with `answer`.

    `key`: the hub's, for HMACs of secret values. `from_manifest`: the write was a PUT, so the leaf set comes from the
    manifest; that is also done when the answer lists no managed fields of ours. `left_out`: paths of `sent` that the
    server does not know; they stay to be seen (6.1).
    """
    leaves = None
    if not from_manifest:
        fields = answer["metadata"].get("managedFields")
        leaves = leaf_set(fields, sent=sent, sensitive_annotations=sensitive_annotations)
    if leaves is None:
        leaves = leaf_set_of_manifest(sent, sensitive_annotations)
    kept = rules.strip(sent)
    values = project(rules.strip(answer), leaves, key)
    as_sent = same_json(project(kept, leaves, key), values)
    metadata = answer["metadata"]
    return Baseline(
        desired_hash=desired_hash,
        leaf_hash=projection_hash(leaves),
        value_hash=projection_hash(values),
        resource_version=str(metadata.get("resourceVersion") or ""),
        generation=int(metadata.get("generation") or 0),
        api_version=str(answer.get("apiVersion") or ""),
        rules_digest=rules.digest,
        server_version=server_version,
        operation_id=operation_id,
        admission=tuple(
            each
            for each in (_admission(kept, rules.strip(answer), leaves, key, is_secret(sent), left_out))
            if not as_sent or each.note == UNKNOWN_FIELD
        )
        if left_out or not as_sent
        else (),
        packed=_pack(leaves, values),
    )


def drift(
    baseline: Baseline, live: Manifest | None, *, key: bytes = b"", rules: ObjectRules = _NO_RULES
) -> Drift | None:
    """How `live` differs from the Baseline, None when it does not. No request is needed for the answer."""
    if live is None:
        return Drift(missing=True)
    metadata = live["metadata"]
    if metadata.get("resourceVersion") == baseline.resource_version and baseline.resource_version:
        return None
    leaves, old = baseline.unpack()
    new = project(rules.strip(live), leaves, key)
    if projection_hash(new) == baseline.value_hash:
        return None
    found = tuple(c for c in changes(old, new, leaves) if not rules.ignores(live, c.path))
    if not found:
        return None
    return Drift(found, needs_managed_fields=bool(rules.managers) and not metadata.get("managedFields"))


def renewed(baseline: Baseline, answer: Manifest, *, key: bytes, rules: ObjectRules = _NO_RULES) -> Baseline:
    """The Baseline with the live values of `answer`: after a heal that changed nothing (a new serialisation)."""
    leaves, _ = baseline.unpack()
    values = project(rules.strip(answer), leaves, key)
    return replace(
        baseline,
        value_hash=projection_hash(values),
        resource_version=str(answer["metadata"].get("resourceVersion") or ""),
        generation=int(answer["metadata"].get("generation") or 0),
        packed=_pack(leaves, values),
    )


def _pack(leaves: LeafSet, values: Any) -> bytes:
    return zlib.compress(orjson.dumps([leaves, None if values is ABSENT else values]), 3)


def strict_changes(baseline: Baseline, manifest: Manifest) -> tuple[Admission, ...]:
    """What was changed on admission, if the manifest asks for it to count (`gitops-hub.io/compare: strict`)."""
    strict = metadata_map(manifest, "annotations").get(COMPARE_ANNOTATION) == "strict"
    return tuple(each for each in baseline.admission if each.note == CHANGED) if strict else ()


def _admission(
    sent: Manifest,
    answer: Manifest,
    leaves: LeafSet,
    key: bytes,
    secret: bool,
    left_out: Collection[str],
) -> list[Admission]:
    walk = Walk(built_in=is_built_in(group_of(sent)))
    found = []
    for difference in walk.compare(sent, answer, type_of(sent)):
        hidden = secret or _holds_secret(leaf_at(leaves, difference.path))
        ours, theirs = (_shown(value, hidden, key) for value in (difference.desired, difference.live))
        note = UNKNOWN_FIELD if difference.where in left_out else CHANGED
        found.append(Admission(difference.where, ours, theirs, note))
    return found


def _holds_secret(leaves: LeafSet | None) -> bool:
    if isinstance(leaves, dict):
        return any(_holds_secret(below) for below in leaves.values())
    return bool(leaves == SECRET)


def _shown(value: Any, secret: bool, key: bytes) -> Any:
    if value is ABSENT:
        return None
    return secret_mark(value, key) if secret else value
