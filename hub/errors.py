"""The error tree of the room *hub*: a code, a sentence, a hint that can be typed, and whether repeating can help.

Doors show `code`, `message` and `hint` as they are, so all three are free of secrets before they come here.
"""

from __future__ import annotations

from datetime import datetime

from guard.redact import plain


class HubError(Exception):
    """Base of all. `permanent`: the same request fails again until something else changes.

    `status` is the HTTP status a door answers with.
    """

    def __init__(
        self, code: str, message: str, hint: str = "", *, permanent: bool = True, status: int = 400
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.permanent = permanent
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class SourceError(HubError):
    """Something between a Git push and a Manifest set went wrong; `code` is one of sources.md 4.9.

    An error never becomes an empty Manifest set (sources.md, rule 3). `retry_at` is when the gate will try the
    Repository again, where that is known; `retry_after` the seconds a server asked for, None when it did not.
    `about_inputs`: it follows from the inputs alone, so it may be stored under the render key (sources.md 6).
    """

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        permanent: bool = True,
        status: int = 400,
        retry_at: datetime | None = None,
        retry_after: float | None = None,
    ) -> None:
        # Paths of a Repository may be any bytes, and the sentence is stored.
        super().__init__(code, plain(message), hint, permanent=permanent, status=status)
        self.retry_at = retry_at
        self.retry_after = retry_after

    @property
    def about_inputs(self) -> bool:
        return self.permanent
