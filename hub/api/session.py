"""Signing in and out, and what people do with their own account: /session, /me, /me/password, /me/tokens."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth import logout, update_session_auth_hash
from django.middleware.csrf import get_token
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.nudging as nudging
import hub.api.shapes as shapes
from hub.api.access import not_by_token, person
from hub.api.docs import documented
from hub.api.door import Door, document_of
from hub.api.requests import actor
from hub.errors import HubError
from hub.models import ApiToken, ChatIdentity, User
from hub.services import accounts, audit, chat, guessing, rights, signing_in
from hub.services.documents import InvalidDocument
from hub.services.guessing import address_of

SHORT = 1000


def who(user: User) -> dict[str, Any]:
    """The signed-in person with the Projects and roles that open them."""
    roles = rights.roles(user)
    names = dict(rights.visible_projects(user).filter(id__in=roles).values_list("id", "name"))
    return {
        "username": user.username,
        "email": user.email,
        "is_admin": user.is_superuser,
        "groups": sorted(user.groups.values_list("name", flat=True)),
        "projects": {
            names[key]: role for key, role in sorted(roles.items(), key=lambda item: names[item[0]])
        },
    }


class Session(Door):
    """POST is open to everybody; a JSON body cannot be sent across sites without being asked (E2)."""

    keeps_answers = False

    def get_authenticators(self) -> list[Any]:
        request = getattr(self, "request", None)
        return [] if request is not None and request.method == "POST" else super().get_authenticators()

    def get_permissions(self) -> list[Any]:
        return [] if self.request.method == "POST" else list(super().get_permissions())

    @documented("Who am I; sets the CSRF cookie", answer=shapes.Who)
    def get(self, request: Request) -> Response:
        get_token(request._request)
        return Response(who(person(request)))

    @documented("Sign in with a local account", body=shapes.SignIn, answer=shapes.Who, public=True)
    def post(self, request: Request) -> Response:
        document = document_of(request)
        username, password = document.get("username"), document.get("password")
        if (
            not isinstance(username, str)
            or not isinstance(password, str)
            or set(document) - {"username", "password"}
        ):
            raise InvalidDocument({"": ["the body is {username, password}, both texts"]}, status=400)
        user = signing_in.sign_in(request._request, actor(request), username, password)
        get_token(request._request)
        request.user = user
        response = Response(who(user))
        signing_in.remember_device(response, user, secure=request.is_secure())
        return response

    @documented("Sign out", status=204)
    def delete(self, request: Request) -> Response:
        audit.record(actor(request), "sign out", resource="account", name=person(request).username)
        logout(request._request)
        return Response(status=204)


class Me(Door):
    @documented("Who am I", answer=shapes.Who)
    def get(self, request: Request) -> Response:
        return Response(who(person(request)))


class Password(Door):
    @documented(
        "Change the password: ends every other session and all tokens", body=shapes.NewPassword, status=204
    )
    def put(self, request: Request) -> Response:
        not_by_token(request)
        document = document_of(request)
        old, new = document.get("old"), document.get("new")
        if not isinstance(old, str) or not isinstance(new, str) or set(document) - {"old", "new"}:
            raise InvalidDocument({"": ["the body is {old, new}, both texts"]}, status=400)
        user, address = person(request), address_of(request)
        guessing.check(user.username, address)
        try:
            accounts.change_password(actor(request), user, old[:SHORT], new[:SHORT])
        except HubError as error:
            if error.code == "wrong_password":
                guessing.failed(user.username, address)
            raise
        update_session_auth_hash(request._request, user)
        return Response(status=204)


def token(row: ApiToken) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "read_only": row.read_only,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }


class Tokens(Door):
    keeps_answers = False

    @documented("Your API tokens, without their values", answer=shapes.Tokens)
    def get(self, request: Request) -> Response:
        rows = ApiToken.objects.filter(user=person(request))
        return Response({"items": [token(row) for row in rows], "next": None})

    @documented(
        "A new token; its value is shown once", body=shapes.NewToken, answer=shapes.TokenOnce, status=201
    )
    def post(self, request: Request) -> Response:
        not_by_token(request)
        row, value = accounts.create_token(actor(request), person(request), document_of(request))
        return Response(token(row) | {"value": value}, status=201)


class OneToken(Door):
    @documented("Revoke a token", status=204)
    def delete(self, request: Request, key: uuid.UUID) -> Response:
        row = ApiToken.objects.filter(user=person(request), id=key).select_related("user").first()
        if row is None:
            raise rights.NotFound("token")
        accounts.revoke_token(actor(request), row)
        return Response(status=204)


def identity(row: ChatIdentity) -> dict[str, Any]:
    return {"id": row.pk, "issuer": row.issuer, "sub": row.sub, "linked_at": row.linked_at}


class Identities(Door):
    @documented("Your linked chat accounts", answer=shapes.Identities)
    def get(self, request: Request) -> Response:
        return Response({"items": [identity(row) for row in chat.identities(person(request))], "next": None})


class OneIdentity(Door):
    @documented("Unlink a chat account: its votes on open approvals are taken back", status=204)
    def delete(self, request: Request, number: int) -> Response:
        row = chat.identities(person(request)).filter(pk=number).first()
        if row is None:
            raise rights.NotFound("identity")
        chat.unlink(actor(request), row)
        nudging.tell()
        return Response(status=204)
