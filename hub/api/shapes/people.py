"""Sessions, accounts, tokens."""

from __future__ import annotations

from rest_framework import serializers as s

from hub.api.shapes.fields import Fields, flag, make, moment, number, secret, text, texts, words

SignIn = make("SignIn", "A local account.", username=s.CharField(), password=s.CharField(write_only=True))
Who = make(
    "Who",
    "The signed-in person.",
    username=s.CharField(),
    email=text(),
    is_admin=s.BooleanField(),
    groups=texts(),
    projects=words(),
)
NewPassword = make(
    "NewPassword", "Both as text.", old=s.CharField(write_only=True), new=s.CharField(write_only=True)
)
_TOKEN: Fields = {
    "id": s.UUIDField(),
    "name": s.CharField(),
    "read_only": s.BooleanField(),
    "created_at": s.DateTimeField(),
    "expires_at": s.DateTimeField(),
    "last_used_at": s.DateTimeField(allow_null=True),
}
Token = make("Token", "An API token without its value.", **_TOKEN)
Tokens = make("Tokens", "All of one person.", items=Token(many=True), next=s.CharField(allow_null=True))
NewToken = make("NewToken", "A token to be made.", name=s.CharField(), days=number(), read_only=flag())
TokenOnce = make("TokenOnce", "The only answer with the value.", **_TOKEN, value=s.CharField())
_ACCOUNT: Fields = {
    "email": text(),
    "is_admin": flag(),
    "is_staff": flag(),
    "active": flag(),
    "groups": texts(),
}
_TIMES: Fields = {"last_login": moment(), "created_at": moment()}
Account = make("Account", "A local user.", username=s.CharField(), **_ACCOUNT, **_TIMES)
NewAccount = make("NewAccount", "A user to be made.", username=s.CharField(), password=secret(), **_ACCOUNT)
AccountPatch = make("AccountPatch", "What changes.", password=secret(), **_ACCOUNT)
AccountOnce = make(
    "AccountOnce",
    "The only answer with a password that was made here.",
    username=s.CharField(),
    password=text(),
    **_ACCOUNT,
    **_TIMES,
)
Identity = make(
    "Identity",
    "A chat account that is this person.",
    id=s.IntegerField(),
    issuer=s.CharField(help_text="slack:<workspace>"),
    sub=s.CharField(help_text="the account's id there"),
    linked_at=s.DateTimeField(),
)
Identities = make(
    "Identities", "All of one person.", items=Identity(many=True), next=s.CharField(allow_null=True)
)
