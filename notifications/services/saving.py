"""Writes of configuration by people: settings with secrets that go in and never come out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

import notifications.services.configured as configured
from notifications.channels import CHANNELS, channel_of
from notifications.channels.base import DeliveryError
from notifications.core.yamls import load_yaml
from notifications.errors import ConfigError
from notifications.models import Service

KEPT = "********"


def types() -> list[str]:
    """The channels that messages can be sent through."""
    return sorted(CHANNELS)


def shown_settings(row: Service) -> str:
    """The settings as YAML, every secret as `********`."""
    settings = configured.settings_of(row.settings)
    secrets = _secrets(row.type)
    masked = {key: KEPT if key in secrets and value else value for key, value in settings.items()}
    return yaml.safe_dump(masked, allow_unicode=True, sort_keys=True) if masked else ""


def read_settings(row: Service, text: str) -> dict[str, Any]:
    """What a person typed; `********` keeps the secret that is stored. ConfigError for what the channel cannot use."""
    loaded = load_yaml(text) or {}
    if not isinstance(loaded, dict):
        raise ConfigError("shape", "the settings are a map", "for example token: xoxb-…")
    old = configured.settings_of(row.settings) if row.settings else {}
    settings = {str(key): old.get(str(key)) if value == KEPT else value for key, value in loaded.items()}
    try:
        channel = channel_of(row.type)
    except DeliveryError as error:
        raise ConfigError("unsupported", error.sentence, error.hint) from None
    problems = channel.check(settings)
    unknown = sorted(set(settings) - set(channel.KNOWN) - _POOL)
    if unknown:
        problems.append(f"unknown key {unknown[0][:40]!r}")
    if problems:
        raise ConfigError("shape", problems[0], f"known: {', '.join(sorted(channel.KNOWN))}")
    return settings


# Connection-pool keys are accepted and ignored everywhere.
_POOL = {"maxIdleConns", "maxIdleConnsPerHost", "maxConnsPerHost", "idleConnTimeout"}


def _secrets(service_type: str) -> frozenset[str]:
    try:
        secrets: frozenset[str] = channel_of(service_type).SECRETS
    except DeliveryError:
        return frozenset(["token", "password", "url", "apiKey"])
    return secrets


def store_service(row: Service, settings: Mapping[str, Any]) -> Service:
    """Save the row with these settings, encrypted."""
    row.settings = json.dumps(dict(settings))
    row.save()
    return row
