"""The numbers of sources.md 2.7 and the sentence each of them has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from hub.errors import SourceError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """Sizes in bytes, times in seconds. The setting of a field is `HUB_SOURCE_` + its name in capitals."""

    max_refs: int = 200_000
    max_listing_bytes: int = 32 * MIB
    max_mirror_bytes: int = 5 * 1024 * MIB
    max_entries: int = 50_000
    max_listing_seconds: float = 2.0
    max_depth: int = 64
    max_path_bytes: int = 1024
    max_name_bytes: int = 255
    max_tree_object_bytes: int = 16 * MIB
    max_file_bytes: int = 5 * MIB
    max_bytes: int = 10_000_000
    max_documents: int = 5_000
    max_objects: int = 5_000
    max_object_bytes: int = 1_572_864
    max_export_files: int = 20_000
    max_export_bytes: int = 200 * MIB

    @staticmethod
    def read(texts: Mapping[str, str]) -> SourceLimits:
        """The limits with those that `texts` (the environment) sets. Raises ValueError naming a bad setting."""
        found: dict[str, int] = {}
        for each in fields(SourceLimits):
            setting = f"HUB_SOURCE_{each.name.upper()}"
            if setting in texts:
                if not texts[setting].isdecimal() or int(texts[setting]) == 0:
                    raise ValueError(f"{setting} must be a whole number above 0")
                found[each.name] = int(texts[setting])
        return SourceLimits(**found)


DEFAULT_LIMITS = SourceLimits()


def megabytes(size: int) -> str:
    """12.4 MB, 10 MB: decimal, one digit, none if it is zero."""
    if size < 1_000_000:
        return f"{size:,} B"
    return f"{size / 1_000_000:.1f}".removesuffix(".0") + " MB"


def limit_error(what: str, limit: str, name: str) -> SourceError:
    """`LimitExceeded`: `manifest files are 12.4 MB, limit 10 MB (HUB_SOURCE_MAX_BYTES)`."""
    setting = f"HUB_SOURCE_{name.upper()}"
    return SourceError(
        "LimitExceeded", f"{what}, limit {limit} ({setting})", f"make the source smaller or raise {setting}"
    )
