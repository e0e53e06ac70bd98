"""/webhook-secrets: what proves who sends a webhook. For the platform team; values are shown once."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

import hub.api.shapes as shapes
from hub.api.access import administrators_only
from hub.api.docs import documented
from hub.api.door import Door, document_of
from hub.api.lists import Listing, equals
from hub.api.requests import actor
from hub.models import WebhookSecret
from hub.services import rights, webhook_secrets

LIST = Listing(
    route="webhook-secrets",
    sorts={"provider": ("provider", "id")},
    default="provider",
    show=webhook_secrets.shown_secret,
    filters={"provider": equals("provider")},
)


def rows() -> Any:
    return WebhookSecret.objects.select_related("repository__project")


class WebhookSecrets(Door):
    keeps_answers = False

    @documented("Secrets of webhooks, without their values", listing=LIST, item=shapes.WebhookSecret)
    def get(self, request: Request) -> Response:
        administrators_only(request)
        return Response(LIST.answer(request, rows()))

    @documented(
        "A new secret, random unless it is given; its value is shown once",
        body=shapes.NewWebhookSecret,
        answer=shapes.WebhookSecretOnce,
        status=201,
    )
    def post(self, request: Request) -> Response:
        administrators_only(request)
        row, secret = webhook_secrets.create(actor(request), document_of(request))
        return Response(webhook_secrets.shown_secret(row) | {"secret": secret}, status=201)


class OneWebhookSecret(Door):
    @documented("Remove a secret: nothing is proven by it any more", status=204)
    def delete(self, request: Request, key: uuid.UUID) -> Response:
        administrators_only(request)
        row = rows().filter(id=key).first()
        if row is None:
            raise rights.NotFound("webhook secret")
        webhook_secrets.delete(actor(request), row)
        return Response(status=204)
