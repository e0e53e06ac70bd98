"""Refusing a document: every error at once, by path (access-and-api.md AP2, AP13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.errors import HubError


class InvalidDocument(HubError):
    """`fields` maps a path in the document to sentences; the first one is also the message."""

    def __init__(
        self,
        fields: Mapping[str, Sequence[str]],
        code: str = "invalid",
        status: int = 422,
        hint: str = "see fields",
    ) -> None:
        first = next(iter(fields.items()), ("", ["is invalid"]))
        super().__init__(code, f"{first[0]} {first[1][0]}".strip(), hint, status=status)
        self.fields = {path: list(sentences) for path, sentences in fields.items()}
