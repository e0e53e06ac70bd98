"""Numbers that only grow, for a scrape."""

from __future__ import annotations

from django.db import models


class Counter(models.Model):
    """One series: its name and its labels as canonical JSON. Every worker adds; nobody sets."""

    name = models.CharField(max_length=100)
    labels = models.CharField(max_length=500, default="{}")
    value = models.FloatField(default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="counter_once")]

    def __str__(self) -> str:
        return f"{self.name}{self.labels}"
