"""Rotating encryption keys: everything is re-encrypted with the first key, in batches, resumable (CL8, F12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import models, transaction

from guard.fields import DecryptionError, EncryptedText, EncryptedTextField, fernet
from hub.models import ManifestSet

BATCH = 200


@dataclass
class Rotation:
    """How many values are there, how many were (or are to be) re-encrypted, and which cannot be read."""

    values: int = 0
    old: int = 0
    broken: list[str] = field(default_factory=list)


def rotate(*, check: bool = False) -> Rotation:
    """Re-encrypt with the first key what another one encrypted; `check` only counts.

    Each batch is a transaction of its own, and what is done needs nothing: interrupted, it goes on where it was.
    A value that somebody changes meanwhile keeps the new text. Unreadable ones are named and left as they are.
    """
    found = Rotation()
    for model, columns in _tables():
        for batch in _batches(model):
            with transaction.atomic():
                for row in batch:
                    for column in columns:
                        _value(row, column, found, check)
    for rows in _batches(ManifestSet, encrypted=True):
        with transaction.atomic():
            for row in rows:
                _manifests(row, found, check)
    return found


def _tables() -> Iterator[tuple[type[models.Model], list[str]]]:
    for model in apps.get_models():
        columns = [column.attname for column in model._meta.fields if isinstance(column, EncryptedTextField)]
        if columns:
            yield model, columns


def _batches(model: type[models.Model], **only: bool) -> Iterator[list[models.Model]]:
    """All rows by primary key, a bounded number at a time."""
    rows = model._default_manager.filter(**only).order_by("pk")
    batch = list(rows[:BATCH])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])


def _value(row: models.Model, column: str, found: Rotation, check: bool) -> None:
    value: EncryptedText = getattr(row, column)
    if not value:
        return
    found.values += 1
    try:
        value.reveal()
    except DecryptionError as error:
        found.broken.append(str(error).split(":", 1)[0] + f" {row._meta.label}.{column} {row.pk}")
        return
    if not value.needs_rotation():
        return
    found.old += 1
    if not check:
        same = type(row)._default_manager.filter(pk=row.pk, **{column: value})
        same.update(**{column: value.rotated()})


def _manifests(row: models.Model, found: Rotation, check: bool) -> None:
    assert isinstance(row, ManifestSet)
    found.values += 1
    data = bytes(row.data)
    try:
        Fernet(settings.HUB_ENCRYPTION_KEYS[0]).decrypt(data)
        return
    except InvalidToken:
        found.old += 1
    if check:
        return
    try:
        ManifestSet.objects.filter(pk=row.pk).update(data=fernet().rotate(data))
    except InvalidToken:
        # A cache: what cannot be read is rendered anew.
        ManifestSet.objects.filter(pk=row.pk).delete()
