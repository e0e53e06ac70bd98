"""The image references of rendered manifests, read once per process: a set of manifests never changes."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

import hub.services.manifests as manifests
from clusters.core.hooks.conditional import images_of
from clusters.core.manifests import Manifest
from guard.fields import DecryptionError

MOST, KEPT = 200, 2000
_known: dict[str, tuple[str, ...]] = {}
log = structlog.get_logger(__name__)


def of(digest: str, objects: Iterable[Manifest] | None = None) -> tuple[str, ...]:
    """Sorted, each once; nothing for a set that is not kept or cannot be read. `objects`: the set, if it is at hand."""
    if not digest:
        return ()
    if digest not in _known:
        found = _stored(digest) if objects is None else objects
        if len(_known) >= KEPT:
            _known.clear()
        _known[digest] = tuple(sorted({image for one in found for image in images_of(one)})[:MOST])
    return _known[digest]


def _stored(digest: str) -> Iterable[Manifest]:
    try:
        held = manifests.load(digest)
    except DecryptionError as error:
        # An event without its images is better than none.
        log.warning("images cannot be read", manifests=digest, error=str(error))
        return ()
    return held.objects if held is not None else ()
