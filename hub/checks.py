"""System checks: every insecure setting is named with its consequence (security-and-reliability.md S6)."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import yaml
from django.conf import settings
from django.core.checks import Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from hub.errors import HubError
from hub.services import resource_rules


@register(Tags.security, deploy=True)
def no_demo_in_production(**_: Any) -> list[Error]:
    """`check --deploy`: the demo is a choice of whoever starts it, and no choice for production."""
    if settings.HUB_DEMO:
        return [Error("HUB_DEMO permits loopback addresses, plain HTTP and plain cookies", id="hub.E003")]
    return []


def refuse_unsafe_start() -> None:
    """For the web process, which runs no checks. Raises ImproperlyConfigured with the first reason and its hint."""
    for error in production_is_safe():
        raise ImproperlyConfigured(f"{error.msg} ({error.hint})" if error.hint else error.msg)


@register(Tags.security)
def production_is_safe(**_: Any) -> list[Error]:
    """Refuse to start what must not reach production: missing keys, open errors, an open broker (E8, F11)."""
    if not settings.SECURE:
        return []
    found = []
    if settings.DEBUG:
        found.append(
            Error(
                "HUB_DEBUG shows settings and tracebacks to everybody", hint="unset HUB_DEBUG", id="hub.E007"
            )
        )
    if not settings.HUB_ENCRYPTION_KEYS:
        found.append(
            Error(
                "HUB_ENCRYPTION_KEYS is empty: no credential can be stored",
                hint="python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
                id="hub.E002",
            )
        )
    broker = urlsplit(settings.CELERY_BROKER_URL)
    if broker.scheme.startswith("redis") and not _local(broker.hostname or ""):
        if not broker.password:
            found.append(
                Error(
                    "REDIS_URL has no password: whoever reaches it can enqueue tasks",
                    hint="redis://:<password>@host:6379/0, and requirepass on the server",
                    id="hub.E004",
                )
            )
        if broker.scheme == "redis" and not _private(broker.hostname or ""):
            found.append(
                Error("REDIS_URL leaves the private network without TLS", hint="rediss://", id="hub.E005")
            )
    return found


@register()
def libyaml_is_present(**_: Any) -> list[Warning]:
    if not yaml.__with_libyaml__:
        return [Warning("PyYAML lacks libyaml: reading manifests is about 8 times slower", id="hub.W001")]
    return []


@register()
def resource_rules_can_be_read(**_: Any) -> list[Error]:
    """A file of resource rules that cannot be read is told at the start, not resource by resource."""
    try:
        if settings.HUB_RESOURCE_RULES:
            resource_rules.read_file(settings.HUB_RESOURCE_RULES)
    except (OSError, HubError) as error:
        return [Error(f"HUB_RESOURCE_RULES: {error}", id="hub.E006")]
    return []


def _local(host: str) -> bool:
    return host in {"localhost", ""} or host.startswith("127.") or host == "::1"


def _private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host
