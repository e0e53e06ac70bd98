"""What may be told of a cluster's stored credential: kind, subject, end, a keyed fingerprint. Never a value (CL8)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

import hub.services.events as events
from clusters.models import Cluster


def described(cluster: Cluster) -> dict[str, Any]:
    """{kind, fingerprint?, subject?, expires_at?}. Raises DecryptionError when no key fits."""
    found: dict[str, Any] = {"kind": cluster.credential_kind}
    token = cluster.token.reveal()
    if secret := token or cluster.client_key_pem.reveal():
        found["fingerprint"] = hmac.new(events.mask_key(), secret.encode(), hashlib.sha256).hexdigest()[:16]
    if token:
        return found | _claims(token)
    return found | _certificate(cluster.client_certificate_pem)


def _certificate(pem: str) -> dict[str, str]:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return {}
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return {
        "subject": str(names[0].value)[:253] if names else "",
        "expires_at": certificate.not_valid_after_utc.isoformat(),
    }


def _claims(token: str) -> dict[str, str]:
    """Subject and end as the token itself says, where it is a JWT; nothing is decided by it."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    if not isinstance(claims, dict):
        return {}
    found = {"subject": str(claims.get("sub", ""))[:253]}
    if isinstance(ends := claims.get("exp"), int) and 0 < ends < 2**33:
        found["expires_at"] = datetime.fromtimestamp(ends, UTC).isoformat()
    return found
