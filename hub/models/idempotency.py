"""Answers kept for 24 hours, so that a repeated request is answered and not done again."""

from __future__ import annotations

from django.db import models


class IdempotentAnswer(models.Model):
    """What one principal got for one key on one route (access-and-api.md AP7). Never holds a secret."""

    principal = models.CharField(max_length=64)
    route = models.CharField(max_length=300)
    key = models.CharField(max_length=128)
    digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    answer = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["principal", "route", "key"], name="one_answer_per_key")
        ]
