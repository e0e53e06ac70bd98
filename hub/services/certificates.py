"""Judging PEM: does the key fit, do the dates hold, may the CA vouch (access-and-api.md CL3). No file, no network."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization


def _certificates(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []


def authority_errors(pem: str, now: datetime) -> list[str]:
    """Why this bundle cannot vouch for a server. The values themselves are never part of a sentence."""
    found = _certificates(pem)
    if not found:
        return ["is not a PEM certificate"]
    errors = []
    for certificate in found:
        if certificate.not_valid_after_utc < now:
            errors.append(f"ended on {certificate.not_valid_after_utc:%Y-%m-%d}")
        try:
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        except (x509.ExtensionNotFound, ValueError):
            continue  # version 1 certificates and old appliances carry no flag
        if not constraints.ca and certificate.issuer != certificate.subject:
            errors.append("is not the certificate of a CA")
    return errors


def pair_errors(certificate_pem: str, key_pem: str, now: datetime) -> dict[str, list[str]]:
    """Errors of a client certificate and its key, by field."""
    found = _certificates(certificate_pem)
    if not found:
        return {"client_certificate_pem": ["is not a PEM certificate"]}
    if found[0].not_valid_after_utc < now:
        return {"client_certificate_pem": [f"ended on {found[0].not_valid_after_utc:%Y-%m-%d}"]}
    if not key_pem:
        return {"client_key_pem": ["is required with a client certificate"]}
    try:
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    except TypeError:
        return {"client_key_pem": ["is encrypted: give the key without a pass phrase"]}
    except ValueError:
        return {"client_key_pem": ["is not a PEM private key"]}
    if _public(key.public_key()) != _public(found[0].public_key()):
        return {"client_key_pem": ["does not fit the certificate"]}
    return {}


def _public(key: Any) -> bytes:
    raw: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return raw
