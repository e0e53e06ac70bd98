"""Reading rendered manifests back from their encrypted rows."""

from __future__ import annotations

from cryptography.fernet import InvalidToken

from guard.fields import DecryptionError, fernet
from hub.core.manifest_sets import ManifestSet, unpack
from hub.models import ManifestSet as StoredSet


def load(digest: str) -> ManifestSet | None:
    """The set with this digest, None when it is not kept (any more). Its Secrets are as they are: mask them.

    Raises DecryptionError when none of the keys fits.
    """
    row = StoredSet.objects.filter(digest=digest).first() if digest else None
    if row is None:
        return None
    data = bytes(row.data)
    if not row.encrypted:
        return unpack(data)
    try:
        return unpack(fernet().decrypt(data))
    except InvalidToken as error:
        raise DecryptionError(f"the manifest set {digest[:12]} cannot be decrypted") from error
