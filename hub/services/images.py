"""The image references of rendered manifests, read once per process: a set of manifests never changes."""

from __future__ import annotations

import functools

import structlog

import hub.services.manifests as manifests
from clusters.core.hooks.conditional import images_of
from guard.fields import DecryptionError

MOST = 200
log = structlog.get_logger(__name__)


def of(digest: str) -> tuple[str, ...]:
    """Sorted, each once; nothing for a set that is not kept or cannot be read."""
    try:
        return _of(digest) if digest else ()
    except DecryptionError as error:
        # An event without its images is better than none.
        log.warning("images cannot be read", manifests=digest, error=str(error))
        return ()


@functools.lru_cache(maxsize=512)
def _of(digest: str) -> tuple[str, ...]:
    held = manifests.load(digest)
    found = {image for one in held.objects for image in images_of(one)} if held is not None else set()
    return tuple(sorted(found)[:MOST])
