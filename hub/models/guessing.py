"""Failed sign-ins, counted in the database so that a restart forgets nothing (access-and-api.md ID8)."""

from __future__ import annotations

from django.db import models


class LoginFailures(models.Model):
    """Failures of one user name, address or device within one window; `key` is a keyed hash of it."""

    class Kind(models.TextChoices):
        USER = "user"
        ADDRESS = "address"
        DEVICE = "device"

    kind = models.CharField(max_length=8, choices=Kind)
    key = models.CharField(max_length=64)
    count = models.PositiveIntegerField(default=0)
    window_ends_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="one_counter_per_key")]
