"""What people configure: services, destinations, triggers, templates, subscriptions."""

from __future__ import annotations

import uuid

from django.db import models

from guard.fields import EncryptedTextField


class State(models.TextChoices):
    """Of a Service or a Destination. `throttled` ends by itself at `throttled_until`."""

    OK = "ok"
    THROTTLED = "throttled"
    DISABLED = "disabled"


class Service(models.Model):
    """One configured channel. `project` owns it; empty is global. Settings are JSON in the manner of Argo CD's keys."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    type = models.CharField(max_length=20)
    project = models.CharField(max_length=253, blank=True, default="")
    settings = EncryptedTextField(blank=True, default="")
    # {name: value}: what webhook bodies and headers of this service may ask for by `.secrets.NAME`.
    granted_secrets = EncryptedTextField(blank=True, default="")
    # Globs that annotation subscriptions may use.
    recipients = models.JSONField(default=list, blank=True)
    projects = models.JSONField(default=list, blank=True)

    state = models.CharField(max_length=10, choices=State, default=State.OK)
    state_code = models.CharField(max_length=64, blank=True, default="")
    state_reason = models.CharField(max_length=500, blank=True, default="")
    state_by = models.CharField(max_length=100, blank=True, default="")
    state_since = models.DateTimeField(null=True, blank=True)
    probed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["name", "project"], name="service_name_in_project")]

    def __str__(self) -> str:
        return f"{self.name} of {self.project}" if self.project else self.name


class Destination(models.Model):
    """(Service, recipient): where Deliveries go in order, with its own state."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="destinations")
    recipient = models.CharField(max_length=500, blank=True, default="")
    # The id that the far side has for it (a Slack channel id), once it is known.
    external_id = models.CharField(max_length=100, blank=True, default="")
    # Hears of disabled destinations and of what waits for a person.
    operators = models.BooleanField(default=False)
    # A webhook that may be called twice with the same Idempotency-Key.
    idempotent = models.BooleanField(default=False)
    when_unsure = models.CharField(
        max_length=6, choices=[("hold", "hold and show"), ("resend", "send again")], default="hold"
    )
    give_up_after_s = models.PositiveIntegerField(default=24 * 3600)
    hold_for_s = models.PositiveIntegerField(default=24 * 3600)

    state = models.CharField(max_length=10, choices=State, default=State.OK)
    state_code = models.CharField(max_length=64, blank=True, default="")
    state_reason = models.CharField(max_length=500, blank=True, default="")
    state_by = models.CharField(max_length=100, blank=True, default="")
    state_since = models.DateTimeField(null=True, blank=True)
    throttled_until = models.DateTimeField(null=True, blank=True)
    tested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["service", "recipient"], name="destination_once")]

    def __str__(self) -> str:
        return f"{self.service.name}:{self.recipient}" if self.recipient else self.service.name


class Trigger(models.Model):
    """A named rule. `text` is the YAML as it was written; imported triggers are lists of conditions."""

    class Kind(models.TextChoices):
        IMPORTED = "imported"
        NATIVE = "native"

    name = models.CharField(max_length=253)
    project = models.CharField(max_length=253, blank=True, default="")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.NATIVE)
    text = models.TextField()
    enabled = models.BooleanField(default=True)
    # Imported: {condition identity: RFC 3339 time since when it is in force}; the baseline needs it.
    active_since = models.JSONField(default=dict, blank=True)
    errors = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True, default="")
    last_error_event = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["name", "project"], name="trigger_name_in_project")]

    def __str__(self) -> str:
        return self.name


class Template(models.Model):
    """A named text that makes a Message. Imported: Go templates; native: Jinja leaves in a fixed form."""

    name = models.CharField(max_length=253)
    project = models.CharField(max_length=253, blank=True, default="")
    kind = models.CharField(max_length=8, choices=Trigger.Kind, default=Trigger.Kind.NATIVE)
    text = models.TextField()
    errors = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True, default="")
    last_error_event = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["name", "project"], name="template_name_in_project")]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """Who wants what, as a row. `destinations` is a list of `service:recipient`; empty globs select everything."""

    name = models.CharField(max_length=253, unique=True)
    # An entry of an imported configuration: only its selector counts, and its number orders it.
    imported = models.PositiveIntegerField(null=True, blank=True)
    owner = models.CharField(max_length=253, blank=True, default="")
    destinations = models.JSONField(default=list)
    triggers = models.JSONField(default=list, blank=True)
    events = models.JSONField(default=list, blank=True)
    projects = models.JSONField(default=list, blank=True)
    namespaces = models.JSONField(default=list, blank=True)
    app_selector = models.CharField(max_length=4096, blank=True, default="")
    cluster_selector = models.CharField(max_length=4096, blank=True, default="")
    minimum_severity = models.CharField(max_length=8, default="info")
    # {every: "1h"} or {daily: "09:00", zone: "Europe/Berlin"}, all: errors, too; empty: at once.
    digest = models.JSONField(default=dict, blank=True)
    # Whom error and critical messages call, in Slack's form: <!here>, <@U123>, <!subteam^S123>.
    mention = models.CharField(max_length=200, blank=True, default="")
    enabled = models.BooleanField(default=True)
    until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class Configuration(models.Model):
    """What an imported configuration says besides its named parts; one row per owner (empty: the hub)."""

    project = models.CharField(max_length=253, blank=True, default="", unique=True)
    context = models.JSONField(default=dict, blank=True)
    default_triggers = models.JSONField(default=list, blank=True)
    # {service: [trigger]}
    service_triggers = models.JSONField(default=dict, blank=True)
    # Since when the triggers of the catalogue are in force.
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.project or "global"
