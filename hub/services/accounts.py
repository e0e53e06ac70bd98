"""People and their API tokens: made, changed, ended. A token's value leaves this module once (ID1, ID5, ID6)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from knox.models import AuthToken

import hub.services.audit as audit
from hub.core import specs
from hub.errors import HubError
from hub.models import ApiToken, User
from hub.services.actors import Actor
from hub.services.documents import InvalidDocument

MOST_TOKENS, DEFAULT_DAYS, MOST_DAYS = 20, 90, 365
ACCOUNT = specs.record(
    {
        "username": specs.text(64),
        "password": specs.text(200),
        "email": specs.text(254),
        "is_admin": specs.flag,
        "is_staff": specs.flag,
        "active": specs.flag,
        "groups": specs.texts,
    },
    required=("username",),
)
TOKEN = specs.record(
    {"name": specs.text(100), "days": specs.number, "read_only": specs.flag}, required=("name",)
)
_COLUMNS = {"is_admin": "is_superuser", "active": "is_active"}


def document(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "email": user.email,
        "is_admin": user.is_superuser,
        "is_staff": user.is_staff,
        "active": user.is_active,
        "groups": sorted(group.name for group in user.groups.all()),
    }


def _read(doc: Any) -> dict[str, Any]:
    errors: specs.Errors = {}
    values = ACCOUNT(doc, "", errors)
    if errors:
        raise InvalidDocument(errors)
    return {_COLUMNS.get(name, name): value for name, value in values.items()}


def _checked(user: User, field: str, password: str | None = None) -> None:
    """Raises InvalidDocument; the value itself is never part of a sentence."""
    try:
        if password is None:
            user.clean_fields(exclude=["password", "last_login"])
        else:
            validate_password(password, user)
    except ValidationError as error:
        found = error.message_dict if password is None else {field: list(error.messages)}
        raise InvalidDocument(found) from None


@transaction.atomic
def create(actor: Actor, doc: Any) -> tuple[User, str]:
    """A new local user and the password it got: random when none was given, to be shown once (A1)."""
    values = _read(doc)
    password = values.pop("password", "") or secrets.token_urlsafe(18)
    groups = values.pop("groups", [])
    user = User(**values)
    _checked(user, "username")
    _checked(user, "password", password)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise HubError("name_not_available", "this user name is not available", status=409) from None
    _set_groups(user, groups)
    _audit(actor, "create", user, after=document(user))
    return user, password


@transaction.atomic
def update(actor: Actor, user: User, doc: Mapping[str, Any]) -> User:
    """Change a user; a new password or switching it off ends its sessions and tokens at once (A1)."""
    before = document(user)
    values = _read({"username": user.username, **doc})
    if values.pop("username") != user.username:
        raise InvalidDocument({"username": ["a user is never renamed"]})
    password, groups = values.pop("password", ""), values.pop("groups", None)
    for column, value in values.items():
        setattr(user, column, value)
    _checked(user, "username")
    _keep_one_administrator(user)
    user.save()
    if groups is not None:
        _set_groups(user, groups)
    if password:
        set_password(actor, user, password)
    elif not user.is_active:
        end_tokens(user)
    _audit(actor, "update", user, before=before, after=document(user))
    return user


def _set_groups(user: User, names: Sequence[str]) -> None:
    """Local groups are names that members share; one that nobody used before is made (2.6)."""
    for name in names:
        if not 0 < len(name) <= 150:
            raise InvalidDocument({"groups": ["a name has 1 to 150 characters"]})
    user.groups.set([Group.objects.get_or_create(name=name)[0] for name in names])


def _keep_one_administrator(user: User) -> None:
    """The last administrator who can sign in stays one (AC11)."""
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(id=user.id)
    was = User.objects.filter(id=user.id, is_superuser=True, is_active=True).exists()
    if was and not (user.is_superuser and user.is_active) and not others.exists():
        raise HubError("last_administrator", f"{user.username} is the last administrator", status=409)


@transaction.atomic
def delete(actor: Actor, user: User) -> None:
    """Remove a user with its memberships and tokens. Raises HubError `account_has_voted`: votes outlive nobody."""
    user.is_active = False
    _keep_one_administrator(user)
    _audit(actor, "delete", user)
    end_tokens(user)
    try:
        user.delete()
    except ProtectedError:
        raise HubError(
            "account_has_voted",
            f"{user.username} voted on approvals, and those records stay",
            "switch the account off instead: active=false",
            status=409,
        ) from None


@transaction.atomic
def set_password(actor: Actor, user: User, password: str) -> None:
    """Store a new password. Sessions end because their hash no longer fits, tokens because they are removed."""
    _checked(user, "password", password)
    user.set_password(password)
    user.save(update_fields=["password"])
    end_tokens(user)
    _audit(actor, "set password", user)


@transaction.atomic
def change_password(actor: Actor, user: User, old: str, new: str) -> None:
    """What people do themselves. Raises HubError `wrong_password`."""
    if not user.check_password(old):
        raise HubError("wrong_password", "the present password is another one", status=403)
    set_password(actor, user, new)


@transaction.atomic
def create_token(actor: Actor, user: User, doc: Any) -> tuple[ApiToken, str]:
    """A token with a name and an end. The value is returned here and nowhere else."""
    errors: specs.Errors = {}
    values = TOKEN(doc, "", errors)
    days = values.get("days", DEFAULT_DAYS)
    if not errors and not 1 <= days <= MOST_DAYS:
        errors["days"] = [f"must be from 1 to {MOST_DAYS}: there are no endless tokens"]
    if errors:
        raise InvalidDocument(errors)
    if ApiToken.objects.filter(user=user, expires_at__gt=timezone.now()).count() >= MOST_TOKENS:
        raise HubError("too_many_tokens", f"at most {MOST_TOKENS} tokens", "revoke one first", status=409)
    stored, value = AuthToken.objects.create(user, expiry=timedelta(days=days))
    token = ApiToken.objects.create(
        digest=stored.digest,
        user=user,
        name=values["name"],
        read_only=values.get("read_only", False),
        expires_at=stored.expiry,
    )
    audit.record(actor, "create", resource="token", name=f"{user.username}/{token.name}", level=2)
    return token, value


@transaction.atomic
def revoke_token(actor: Actor, token: ApiToken) -> None:
    """The next request with it is refused."""
    AuthToken.objects.filter(digest=token.digest).delete()
    audit.record(actor, "revoke", resource="token", name=f"{token.user.username}/{token.name}", level=2)
    token.delete()


def end_tokens(user: User) -> None:
    AuthToken.objects.filter(user=user).delete()
    ApiToken.objects.filter(user=user).delete()


def _audit(
    actor: Actor,
    action: str,
    user: User,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(actor, action, resource="account", name=user.username, before=before, after=after, level=2)
