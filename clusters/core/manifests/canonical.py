"""One spelling for equal objects, and the hashes that rest on it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import orjson

from clusters.core.manifests.keys import Manifest


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no blanks. Raises TypeError for what JSON cannot hold."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def desired_hash(manifest: Manifest, key: bytes = b"") -> str:
    """Hex SHA-256 of the canonical manifest. Secrets are hashed with `key` (per hub), so that a stored hash does not
    let anyone try out short passwords; ValueError when a Secret comes without one."""
    text = canonical_json(manifest)
    if not is_secret(manifest):
        return hashlib.sha256(text).hexdigest()
    if not key:
        raise ValueError("the hash of a Secret needs the hub's key")
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def is_secret(obj: Manifest) -> bool:
    """A core/v1 Secret."""
    return obj.get("kind") == "Secret" and obj.get("apiVersion") == "v1"
