"""What the server behind a fresh connection can do."""

from __future__ import annotations

from daemon.errors import CommandRefused, FolderMissing
from daemon.mailbox.port import Capabilities
from daemon.mailbox.wire import Wire

GMAIL = "X-GM-EXT-1"
"""With it come X-GM-MSGID, X-GM-THRID and X-GM-LABELS (Google, "IMAP Extensions")."""

EXCHANGE = frozenset({"CLIENTACCESSRULES", "CLIENTNETWORKPRESENCELOCATION", "BACKENDAUTHENTICATE"})
"""What Exchange Online announces and nobody else."""

_ANNOUNCED_ID_ITEMS = {"OBJECTID": "EMAILID", GMAIL: "X-GM-MSGID"}


def read_capabilities(wire: Wire) -> Capabilities:
    """Capabilities after login; may leave INBOX open for reading."""
    names = wire.capability_names()
    return Capabilities(
        names=names,
        move="MOVE" in names,
        uidplus="UIDPLUS" in names,
        idle="IDLE" in names,
        # QRESYNC implies CONDSTORE (RFC 7162), and some servers announce only the former.
        condstore=not names.isdisjoint({"CONDSTORE", "QRESYNC"}),
        server_id=_server_id_item(wire, names),
        labels=GMAIL in names,
        # "ImapEnableExactRFC822Size" is off unless an administrator switches it on.
        exact_sizes=not is_exchange(names),
    )


def is_exchange(names: frozenset[str]) -> bool:
    """Whether these capabilities are those of Exchange Online."""
    return not names.isdisjoint(EXCHANGE)


def _server_id_item(wire: Wire, names: frozenset[str]) -> str | None:
    """The FETCH item of the stable message id: OBJECTID (RFC 8474), Gmail's, Dovecot's X-GUID.

    Dovecot announces X-GUID nowhere, and RFC 2971 forbids deciding by the server's name, so
    one FETCH in the read-only INBOX asks for it. It changes nothing; others answer BAD.
    """
    for capability, item in _ANNOUNCED_ID_ITEMS.items():
        if capability in names:
            return item
    try:
        wire.select("INBOX", writable=False)
    except (CommandRefused, FolderMissing):
        return None
    return "X-GUID" if wire.knows_fetch_item("X-GUID") else None
