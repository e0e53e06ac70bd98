"""Certificates as texts: PEM, dates, CA flag, and whether a key fits (access-and-api.md CL3). No file, no network."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from clusters.errors import KubeconfigRefused


def check_ca(pem: str, *, now: datetime) -> None:
    """The CA bundle of a cluster: every certificate readable, at least one a CA and not expired.

    Raises KubeconfigRefused `certificate_invalid`. Old CAs without basic constraints count as CAs when self-signed.
    """
    found = _certificates(pem, "certificate-authority-data")
    authorities = [one for one in found if _is_authority(one)]
    if not authorities:
        raise _invalid("certificate-authority-data holds no CA certificate")
    if all(now > one.not_valid_after_utc for one in authorities):
        raise _invalid("the CA certificate has expired", hint="ask the cluster for its present CA")


def check_pair(certificate_pem: str, key_pem: str, *, now: datetime) -> datetime:
    """A client certificate and its key; when the certificate expires.

    Raises KubeconfigRefused `certificate_invalid`: unreadable, encrypted key, key of another certificate, expired or
    not valid yet.
    """
    certificate = _certificates(certificate_pem, "client-certificate-data")[0]
    try:
        key = load_pem_private_key(key_pem.encode(), password=None)
    except TypeError:
        raise _invalid("the client key is encrypted", hint="give it without a passphrase") from None
    except ValueError:
        raise _invalid("client-key-data is not a private key in PEM") from None
    shape = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*shape) != certificate.public_key().public_bytes(*shape):
        raise _invalid("the client key does not belong to the client certificate")
    if now > certificate.not_valid_after_utc:
        raise _invalid("the client certificate has expired", hint="use a token, or a new certificate")
    if now < certificate.not_valid_before_utc:
        raise _invalid("the client certificate is not valid yet")
    return certificate.not_valid_after_utc


def _certificates(pem: str, field: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise _invalid(f"{field} is not a certificate in PEM") from None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.issuer == certificate.subject
    except ValueError:
        return False


def _invalid(message: str, *, hint: str = "") -> KubeconfigRefused:
    return KubeconfigRefused("certificate_invalid", message, hint=hint)
