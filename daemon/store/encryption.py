"""The way to a database server: encrypted and verified, or not leaving this machine."""

from __future__ import annotations

import socket
import ssl

from daemon.config.values import is_loopback
from daemon.database_address import DatabaseAddress
from daemon.errors import DatabaseUnreachable, StateError
from daemon.tls import BadCertificate, bad_certificate, is_loopback_address, tls_context

_NOT_SENT = "The password was not sent."

_MENDS = {
    BadCertificate.EXPIRED: "Renew it; inboxd tries again by itself. Your mail is not affected.",
    BadCertificate.NOT_YET_VALID: "Check the clock of this machine.",
    BadCertificate.OTHER_HOST: "Write the name that the certificate is for into [state] database.",
    BadCertificate.UNKNOWN_AUTHORITY: "If the server has an authority of its own, name that "
    "authority's certificate in [state] database: ?sslrootcert=FILE",
    BadCertificate.OTHER: "Check the name in [state] database, and name the authority of the "
    "server's certificate: ?sslrootcert=FILE",
}


def context_for(address: DatabaseAddress) -> ssl.SSLContext | None:
    """None where the connection is not to be encrypted. Raises `StateError` for a file that
    holds no certificates."""
    if not address.tls:
        return None
    try:
        return tls_context(address.ca_file)
    except OSError as error:  # missing, not readable, or no PEM (ssl.SSLError is one)
        raise StateError(
            f"The file {address.ca_file} holds no certificates that inboxd can read.",
            next_step="Name the PEM file of the authority of the database server's certificate "
            "in [state] database: ?sslrootcert=FILE",
        ) from error


def refused_tls(address: DatabaseAddress) -> DatabaseUnreachable:
    """The server says that it does not encrypt."""
    return DatabaseUnreachable(
        f"The database server {address.host} offers no TLS, or somebody in between takes it away. "
        f"{_NOT_SENT}",
        next_step="Switch it on there (ssl = on in postgresql.conf). Only within a network that "
        "you trust does ?sslmode=disable in [state] database do without it.",
    )


def failed_tls(error: ssl.SSLError, address: DatabaseAddress) -> DatabaseUnreachable:
    """What `error` means for the user of the database. It is tried again, as certificates are
    renewed and networks change."""
    host = address.host
    if isinstance(error, ssl.SSLCertVerificationError):
        why = bad_certificate(error)
        return DatabaseUnreachable(
            f"The certificate of the database server {host} {why}. {_NOT_SENT}",
            next_step=_MENDS[why],
        )
    return DatabaseUnreachable(
        f"No encryption could be agreed on with the database server {host}; inboxd needs TLS 1.2 "
        f"or newer. {_NOT_SENT}",
        next_step="Bring the server up to date, or look what else answers on this port.",
    )


def dial_this_machine(address: DatabaseAddress) -> socket.socket | None:
    """A plain connection to an address that passes for this machine's; None for every other.

    To a resolver that has been tampered with, "localhost" is a name like any other. Raises
    `StateError` when it leads elsewhere, OSError when nobody answers.
    """
    if address.tls or address.host is None or not is_loopback(address.host):
        return None
    found = socket.create_connection((address.host, address.port))
    if is_loopback_address(peer(found)):
        return found
    found.close()
    raise StateError(
        f"{address.host} is not this machine here: the password would be sent readable for "
        "everyone.",
        next_step="Mend the entry of localhost in /etc/hosts, or add ?sslmode=verify-full to "
        "[state] database.",
    )


def peer(connection: socket.socket) -> str:
    """The numeric address at the other end."""
    return str(connection.getpeername()[0])
