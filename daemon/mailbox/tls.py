"""What is said when a mail server cannot be trusted; see `daemon.tls` for what is demanded."""

from __future__ import annotations

import ssl

from daemon.errors import TlsFailed
from daemon.tls import BadCertificate, bad_certificate

_NOT_SENT = "The password was not sent."

_MENDS = {
    BadCertificate.EXPIRED: "Renew it, or ask the provider to; until then inboxd does not log in.",
    BadCertificate.NOT_YET_VALID: "Check the clock of this machine.",
    BadCertificate.OTHER_HOST: "Set host to the name that the certificate is for.",
    BadCertificate.UNKNOWN_AUTHORITY: "If the server has its own authority, set ca_file to that "
    "authority's certificate.",
    BadCertificate.OTHER: "Check the host name, or set ca_file to the authority of the server's "
    "certificate.",
}


def tls_failure(error: ssl.SSLError, host: str) -> TlsFailed:
    """What `error` means for the user of the server `host`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = bad_certificate(error)
        return TlsFailed(
            f"The certificate of {host} {why}. {_NOT_SENT}",
            next_step=_MENDS[why],
        )
    if error.reason == "WRONG_VERSION_NUMBER":
        return TlsFailed(
            f"What answers on {host} speaks no TLS there. {_NOT_SENT}",
            next_step='Check the port: 993 goes with tls = "implicit", 143 with "starttls".',
        )
    return TlsFailed(
        f"No encryption could be agreed on with {host}; inboxd needs TLS 1.2 or newer. {_NOT_SENT}",
        next_step="Ask the provider for a server with TLS 1.2, or bring your own up to date.",
    )
