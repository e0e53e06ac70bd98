"""People. A custom user from the first migration, because it cannot be changed later."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models


class User(AbstractUser):
    """A local user, keyed by UUID; names are lower case and at most 64 characters (access-and-api.md 2.6).

    `is_superuser` means platform administrator until the RBAC lines arrive; `is_staff` only opens the admin site.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9._@-]*$", "use lower case letters, digits and . _ @ -")],
    )

    class Meta:
        ordering = ["username"]
