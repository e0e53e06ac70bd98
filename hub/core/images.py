"""Which images one set of references has that another had in other versions (notifications.md 2, `images`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

MOST = 50


class Image(NamedTuple):
    """`registry/path:tag@digest`; tag and digest may be empty."""

    name: str
    tag: str
    digest: str


def read(reference: str) -> Image:
    rest, _, digest = reference.partition("@")
    name, colon, tag = rest.rpartition(":")
    # The colon of a port stands before the last slash.
    return Image(rest, "", digest) if not colon or "/" in tag else Image(name, tag, digest)


def changed(old: Iterable[str], new: Iterable[str]) -> list[dict[str, str]]:
    """[{name, old, new, digest}] of every image that came or has another version; what went is not listed."""
    before, after = _by_name(old), _by_name(new)
    found = []
    for name in sorted(after):
        came, went = after[name] - before[name], before[name] - after[name]
        for image in sorted(came):
            versions = sorted(_version(one) for one in went)
            found.append(
                {"name": name, "old": ", ".join(versions), "new": _version(image), "digest": image.digest}
            )
    return found[:MOST]


def _by_name(references: Iterable[str]) -> dict[str, set[Image]]:
    found: dict[str, set[Image]] = defaultdict(set)
    for image in map(read, references):
        found[image.name].add(image)
    return found


def _version(image: Image) -> str:
    return image.tag or image.digest
