"""Who asks: tokens in the Authorization header, sessions with CSRF, and the Actor that services take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework.authentication import SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission

from hub.api.requests import actor
from hub.errors import HubError
from hub.models import ApiToken, User
from hub.services.rights import NotFound

__all__ = ["Sessions", "SignedIn", "Tokens", "actor", "administrators_only", "not_by_token", "person"]
LAST_USE_EVERY = timedelta(minutes=5)


class Tokens(TokenAuthentication):  # type: ignore[misc]
    """`Authorization: Bearer hubp_...` and nothing else; any other value there is a failed sign-in (A7)."""

    def authenticate(self, request: Any) -> tuple[User, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts:
            return None
        if len(parts) != 2 or parts[0].lower() != b"bearer":
            raise AuthenticationFailed
        try:
            digest = hash_token(parts[1].decode("ascii"))
        except (UnicodeDecodeError, TypeError, ValueError):
            raise AuthenticationFailed from None
        return self._find(digest)

    def _find(self, digest: str) -> tuple[User, ApiToken]:
        """The rights are read now, with the token row: a revoked token is gone on the next request (AC9)."""
        now = timezone.now()
        token = ApiToken.objects.select_related("user").filter(digest=digest, expires_at__gt=now).first()
        if token is None or not token.user.is_active:
            raise AuthenticationFailed
        if token.last_used_at is None or now - token.last_used_at > LAST_USE_EVERY:
            ApiToken.objects.filter(id=token.id).update(last_used_at=now)
        return token.user, token


class Sessions(SessionAuthentication):
    """The cookie of a browser; REST framework asks for its CSRF token on every write (E2)."""


class SignedIn(BasePermission):
    """Somebody, and not a read-only token that wants to write."""

    def has_permission(self, request: Any, view: Any) -> bool:  # noqa: ARG002
        if request.user is None or not request.user.is_authenticated:
            return False
        narrowed = isinstance(request.auth, ApiToken) and request.auth.read_only
        if narrowed and request.method not in SAFE_METHODS:
            raise HubError(
                "token_is_read_only", "this token may only read", "use a token without read_only", status=403
            )
        return True


def person(request: Any) -> User:
    """The signed-in user of a request that passed `SignedIn`."""
    user: User = request.user
    return user


def not_by_token(request: Any) -> None:
    """A token cannot mint tokens or change passwords (ID6). Raises HubError `session_needed`."""
    if isinstance(request.auth, ApiToken):
        raise HubError(
            "session_needed",
            "a token may not do this",
            "sign in with your password: POST /session",
            status=403,
        )


def administrators_only(request: Any) -> None:
    """What belongs to no Project is for the platform team; everybody else gets the 404 of a missing thing."""
    if not person(request).is_superuser:
        raise NotFound
