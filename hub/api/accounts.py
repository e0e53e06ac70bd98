"""/accounts: people, for the platform team."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.shapes as shapes
from hub.api.access import administrators_only, not_by_token
from hub.api.docs import documented
from hub.api.door import Door, document_of, rehearse
from hub.api.lists import Listing, equals, prefix, truth
from hub.api.requests import actor
from hub.models import User
from hub.services import accounts, rights

READONLY = ("last_login", "created_at", "dry_run")


def account(user: User) -> dict[str, Any]:
    return accounts.document(user) | {"last_login": user.last_login, "created_at": user.date_joined}


LIST = Listing(
    route="accounts",
    sorts={"username": ("username",)},
    default="username",
    show=account,
    filters={
        "q": prefix("username"),
        "group": equals("groups__name"),
        "disabled": truth("disabled", Q(is_active=False)),
        "is_admin": truth("is_admin", Q(is_superuser=True)),
    },
)


def find(request: Request, username: str) -> User:
    administrators_only(request)
    user = User.objects.filter(username=username).first()
    if user is None:
        raise rights.NotFound("account")
    return user


class Accounts(Door):
    keeps_answers = False

    @documented("List accounts", listing=LIST, item=shapes.Account)
    def get(self, request: Request) -> Response:
        administrators_only(request)
        return Response(LIST.answer(request, User.objects.prefetch_related("groups")))

    @documented(
        "Create an account; without a password a random one is shown once",
        body=shapes.NewAccount,
        answer=shapes.AccountOnce,
        status=201,
        dry_run=True,
    )
    def post(self, request: Request) -> Response:
        administrators_only(request)
        not_by_token(request)
        document = document_of(request, READONLY)

        def create() -> dict[str, Any]:
            user, password = accounts.create(actor(request), document)
            return account(user) | ({} if document.get("password") else {"password": password})

        if self.dry_run:
            return Response({key: value for key, value in rehearse(create).items() if key != "password"})
        return Response(create(), status=201)


class OneAccount(Door):
    @documented("One account", answer=shapes.Account)
    def get(self, request: Request, username: str) -> Response:
        return Response(account(find(request, username)))

    @documented("Change an account", body=shapes.AccountPatch, answer=shapes.Account, dry_run=True)
    def patch(self, request: Request, username: str) -> Response:
        user = find(request, username)
        not_by_token(request)
        document = document_of(request, READONLY)

        def change() -> dict[str, Any]:
            return account(accounts.update(actor(request), user, document))

        return Response(rehearse(change) if self.dry_run else change())

    @documented("Delete an account", status=204)
    def delete(self, request: Request, username: str) -> Response:
        user = find(request, username)
        not_by_token(request)
        accounts.delete(actor(request), user)
        return Response(status=204)
