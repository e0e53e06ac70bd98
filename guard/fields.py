"""Secrets at rest: a text field whose column holds MultiFernet ciphertext, bound to its table, row and field.

The plaintext carries `table:row:field`, so ciphertext copied to another row is a hard error and never text
(security-and-reliability.md F12). A wrong key is an error as well; nothing ever falls back to the stored bytes.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from guard.redact import remember


class DecryptionError(Exception):
    """The stored value cannot be read: wrong key, damaged, or moved from another row."""


@lru_cache(maxsize=8)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("HUB_ENCRYPTION_KEYS is empty: set it, or HUB_ENCRYPTION_KEYS_FILE")
    return MultiFernet([Fernet(key) for key in keys])


def fernet() -> MultiFernet:
    """The keys in force; the first encrypts, all decrypt."""
    return _fernet(tuple(settings.HUB_ENCRYPTION_KEYS))


class EncryptedText:
    """A lazily decrypted value: `reveal()` gives the text; str() and repr() never do."""

    __slots__ = ("_bound", "_cipher")

    def __init__(self, cipher: str, bound: str) -> None:
        self._cipher, self._bound = cipher, bound

    def reveal(self) -> str:
        if not self._cipher:
            return ""
        try:
            bound, value = json.loads(fernet().decrypt(self._cipher.encode()))
        except (InvalidToken, ValueError) as error:
            raise DecryptionError(
                f"{self._bound}: the stored secret cannot be decrypted; is the right key in HUB_ENCRYPTION_KEYS?"
            ) from error
        if bound != self._bound:
            raise DecryptionError(f"{self._bound}: the stored secret belongs to {bound}")
        remember(value)
        return str(value)

    def needs_rotation(self) -> bool:
        """True when the value was not encrypted with the first key."""
        if not self._cipher:
            return False
        try:
            Fernet(settings.HUB_ENCRYPTION_KEYS[0]).decrypt(self._cipher.encode())
        except InvalidToken:
            return True
        return False

    def rotated(self) -> EncryptedText:
        """The same value encrypted with the first key; the plaintext, and so its binding, is untouched."""
        return EncryptedText(fernet().rotate(self._cipher.encode()).decode(), self._bound)

    def __bool__(self) -> bool:
        return bool(self._cipher)

    def __str__(self) -> str:
        return "********" if self._cipher else ""

    __repr__ = __str__


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Assign plain text, read `EncryptedText`. The row must have its primary key before it is saved (UUID keys)."""

    description = "Text encrypted at rest"

    def _bound(self, instance: models.Model) -> str:
        return f"{instance._meta.db_table}:{instance.pk}:{self.attname}"

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, self.attname, _Descriptor(self))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:  # noqa: ARG002
        return _Stored(value or "")

    def to_python(self, value: Any) -> Any:
        # Only fixtures and serialised rows come this way with a str, and they hold ciphertext.
        return value if isinstance(value, EncryptedText) or value is None else _Stored(value)

    def get_prep_value(self, value: Any) -> Any:
        return value._cipher if isinstance(value, EncryptedText) else super().get_prep_value(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: ARG002
        return getattr(model_instance, self.attname)

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(getattr(obj, self.attname)) or ""

    def get_lookup(self, lookup_name: str) -> Any:
        # Ciphertext is not searchable, and a filter on it would only leak timing (F10).
        return super().get_lookup(lookup_name) if lookup_name in {"exact", "isnull"} else None


class _Stored(str):
    """Ciphertext as it came from the database, told apart from text that somebody assigns."""

    __slots__ = ()


class _Descriptor:
    def __init__(self, field: EncryptedTextField) -> None:
        self.field = field

    def __get__(self, instance: models.Model | None, owner: type[models.Model]) -> Any:
        if instance is None:
            return self
        if self.field.attname not in instance.__dict__:
            instance.refresh_from_db(fields=[self.field.attname])
        return EncryptedText(instance.__dict__[self.field.attname] or "", self.field._bound(instance))

    def __set__(self, instance: models.Model, value: Any) -> None:
        if isinstance(value, EncryptedText):
            instance.__dict__[self.field.attname] = value._cipher
        elif not value:
            instance.__dict__[self.field.attname] = ""
        elif isinstance(value, _Stored):
            instance.__dict__[self.field.attname] = str(value)
        else:
            remember(str(value))
            token = fernet().encrypt(json.dumps([self.field._bound(instance), str(value)]).encode())
            instance.__dict__[self.field.attname] = token.decode()
