"""TLS policy: what is demanded of a server, and what is said when it does not have it.

Certificates and host names are always checked, by the system's authorities or by the user's
own `ca_file`; nothing below TLS 1.2 (RFC 8314, section 4.1; RFC 8996). There is no switch to
turn this off.
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from daemon.errors import TlsFailed

# OpenSSL's x509_vfy.h.
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_HOST = frozenset({62, 64})
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})

_NOT_SENT = "The password was not sent."


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Raises OSError (`ssl.SSLError` is one) when `ca_file` holds no certificates."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def tls_failure(error: ssl.SSLError, host: str) -> TlsFailed:
    """What `error` means for the user of the server `host`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        problem, next_step = _certificate_trouble(error.verify_code, host)
        return TlsFailed(f"{problem} {_NOT_SENT}", next_step=next_step)
    if error.reason == "WRONG_VERSION_NUMBER":
        return TlsFailed(
            f"What answers on {host} speaks no TLS there. {_NOT_SENT}",
            next_step='Check the port: 993 goes with tls = "implicit", 143 with "starttls".',
        )
    return TlsFailed(
        f"No encryption could be agreed on with {host}; inboxd needs TLS 1.2 or newer. {_NOT_SENT}",
        next_step="Ask the provider for a server with TLS 1.2, or bring your own up to date.",
    )


def is_loopback_address(address: str) -> bool:
    """Whether a numeric address is this machine's own; False for what is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _certificate_trouble(code: int, host: str) -> tuple[str, str]:
    """The problem and the next step for OpenSSL's verification result."""
    if code == _EXPIRED:
        return (
            f"The certificate of {host} has expired.",
            "Renew it, or ask the provider to; until then inboxd does not log in.",
        )
    if code == _NOT_YET_VALID:
        return (
            f"The certificate of {host} is not valid yet.",
            "Check the clock of this machine.",
        )
    if code in _OTHER_HOST:
        return (
            f"The certificate is not one for {host}.",
            "Set host to the name that the certificate is for.",
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"The certificate of {host} was not issued by an authority that is trusted here.",
            "If the server has its own authority, set ca_file to that authority's certificate.",
        )
    return (
        f"The certificate of {host} cannot be verified.",
        "Check the host name, or set ca_file to the authority of the server's certificate.",
    )
