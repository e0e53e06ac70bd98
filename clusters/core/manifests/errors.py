"""What can be wrong with a manifest text, and how much of it is read."""

from __future__ import annotations

from dataclasses import dataclass


class ManifestError(Exception):
    """A text that is no manifest, or exceeds a limit. `str()` is the sentence a user sees, with file and line.

    `code` is `InvalidManifest` or `LimitExceeded` (sources.md 4.9); `line` and `document` count from 1, 0 = unknown.
    The same input fails in the same way again, hence `permanent`.
    """

    permanent = True

    def __init__(
        self,
        message: str,
        *,
        code: str = "InvalidManifest",
        hint: str = "",
        path: str = "",
        line: int = 0,
        document: int = 0,
    ) -> None:
        self.code, self.message, self.hint = code, message, hint
        self.path, self.line, self.document = path, line, document
        place = f"{path}:{line}" if path and line else path or (f"line {line}" if line else "")
        super().__init__(f"{place}: {message}" if place else message)


@dataclass(frozen=True, slots=True)
class ManifestWarning:
    """Something odd that does not stop the work, e.g. code `DuplicateKeyWarning`."""

    code: str
    message: str
    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}: " if self.path and self.line else ""
        return f"{place}{self.message}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one text may hold (sources.md 2.7 and 5). All are settings of the hub; these are the defaults."""

    file_bytes: int = 5 * 1024 * 1024
    object_bytes: int = 1536 * 1024
    documents: int = 5_000
    objects: int = 5_000
    depth: int = 100
    nodes: int = 500_000
    aliases: int = 1_000
    expanded_nodes: int = 100_000
    scalar_bytes: int = 1024 * 1024


DEFAULT_LIMITS = Limits()
