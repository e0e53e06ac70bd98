"""Signing in with a local account, the same for every door: slow to guess, one sentence for every failure (A3, A11)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.contrib.auth import authenticate, login
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

import hub.services.audit as audit
import hub.services.guessing as guessing
from hub.errors import HubError
from hub.models import User
from hub.services.actors import Actor

LONGEST = 1000


def sign_in(request: HttpRequest, who: Actor, username: str, password: str) -> User:
    """The session belongs to the user after it. Raises HubError `sign_in_failed`, TooManyLogins.

    The same work is done for names nobody has.
    """
    # No name holds a NUL, and PostgreSQL takes none.
    username = username[:LONGEST].lower().replace("\0", "")
    device = request.COOKIES.get(guessing.DEVICE_COOKIE, "")
    with guessing.turn():
        guessing.check(username, who.address, device)
        user = authenticate(request, username=username, password=password[:LONGEST])
        if not isinstance(user, User):
            guessing.failed(username, who.address, device)
    if not isinstance(user, User):
        audit.record(who, "sign in", resource="account", name=username[:64], outcome="failed", level=3)
        raise HubError("sign_in_failed", "the name or the password is wrong", status=401)
    guessing.succeeded(username, device)
    login(request, user)
    somebody = replace(who, kind="user", id=str(user.pk), name=user.username, is_admin=user.is_superuser)
    audit.record(somebody, "sign in", resource="account", name=username, level=2)
    return user


def prove(who: Actor, user: User, password: str) -> datetime:
    """Somebody who is signed in gives the password once more, for what asks for a fresh proof (ID4): the moment of it.

    As slow to guess as signing in. Raises HubError `wrong_password`, TooManyLogins.
    """
    with guessing.turn():
        guessing.check(user.username, who.address)
        known = user.check_password(password[:LONGEST])
        if not known:
            guessing.failed(user.username, who.address)
    if not known:
        audit.record(who, "prove", resource="account", name=user.username, outcome="failed", level=3)
        raise HubError("wrong_password", "the password is another one", status=403)
    return timezone.now()


def remember_device(response: HttpResponseBase, user: User, *, secure: bool) -> None:
    """This browser signed in as this user: nobody can lock it out from afar (ID8)."""
    response.set_cookie(
        guessing.DEVICE_COOKIE,
        guessing.device_cookie(user.username),
        max_age=int(guessing.DEVICE_AGE.total_seconds()),
        secure=secure,
        httponly=True,
        samesite="Strict",
    )
