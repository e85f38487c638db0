"""TLS as inboxd demands it of every server that gets a password or text of mail: certificates and
names are checked, by the system's authorities or by the user's own, and nothing below TLS 1.2
(RFC 8314, section 4.1; RFC 8996). There is no switch to turn this off where TLS is used at all.
"""

from __future__ import annotations

import enum
import ipaddress
import ssl
from pathlib import Path

# OpenSSL's x509_vfy.h.
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_HOST = frozenset({62, 64})
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})


class BadCertificate(enum.StrEnum):
    """Why a certificate is not taken; the values complete "The certificate of HOST …"."""

    EXPIRED = "has expired"
    NOT_YET_VALID = "is not valid yet"
    OTHER_HOST = "is for another name"
    UNKNOWN_AUTHORITY = "was not issued by an authority that is trusted here"
    OTHER = "cannot be verified"


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Raises OSError (`ssl.SSLError` is one) when `ca_file` holds no certificates."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def bad_certificate(error: ssl.SSLCertVerificationError) -> BadCertificate:
    """What OpenSSL's verification result means."""
    code = error.verify_code
    if code == _EXPIRED:
        return BadCertificate.EXPIRED
    if code == _NOT_YET_VALID:
        return BadCertificate.NOT_YET_VALID
    if code in _OTHER_HOST:
        return BadCertificate.OTHER_HOST
    return BadCertificate.UNKNOWN_AUTHORITY if code in _UNKNOWN_AUTHORITY else BadCertificate.OTHER


def is_loopback_address(address: str) -> bool:
    """Whether a numeric address is this machine's own; False for what is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
