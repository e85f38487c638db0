"""Every error that inboxd raises on purpose.

    InboxdError                    exit code, next step for the user
    ├── ConfigError            2   all faults of a configuration at once
    ├── ExtraMissing           2   the command needs a package that is not installed
    ├── SecretMissing          3   no password found; names the places looked at
    ├── StateError             4   state directory: locked, newer database, not writable
    │   ├── AlreadyRunning
    │   ├── DatabaseTooNew
    │   ├── DatabaseBroken
    │   ├── DatabaseUnreachable    the server that holds the database: worth a retry
    │   └── ArchiveBroken          a backup that is not what was written
    ├── MailboxError           5   the server or the way to it
    │   ├── MailboxUnreachable     network, time-out, BYE: worth a retry
    │   │   ├── TlsFailed          no encryption, or nobody knows with whom; no password sent
    │   │   ├── ProtocolViolated   answers that nobody can read, or far too much of them
    │   │   ├── Throttled          the server wants to be left alone for a while
    │   │   └── ProviderUnreachable  nobody renews tokens at the moment (OAuth 2)
    │   ├── LoginRefused           worth no retry before something changes
    │   │   └── TokenRefused       the server does not take the access token (OAuth 2)
    │   ├── SignInNeeded           a person has to sign in again: inboxd login NAME
    │   ├── FolderMissing
    │   ├── FolderChanged          UIDVALIDITY is not what the caller believed
    │   ├── CapabilityMissing      raised before any byte is sent
    │   └── CommandRefused         the server said NO or BAD
    ├── ModelError             6   no model, broken model directory, encoder missing
    │   └── ModelDamaged           its files are not what was written
    ├── NotFound               7   the message, model or account that the user named
    ├── ServiceError           8   the service manager, or a service of somebody else's
    └── NoticeNotSent          9   a notice did not reach the one who is to read it

Each error carries `next_step`: one sentence that tells the user what to do.
"""

from __future__ import annotations

from dataclasses import dataclass


class InboxdError(Exception):
    """Base of all expected errors; `exit_code` is what the command line exits with."""

    exit_code = 1
    next_step = "Run the command again with --log-level debug and read the last lines."

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        if next_step is not None:
            self.next_step = next_step


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """One fault: where (dotted key), what is wrong, how to mend it."""

    key: str
    problem: str
    mend: str


class ConfigError(InboxdError):
    """The configuration cannot be used; `faults` holds every reason."""

    exit_code = 2
    next_step = "Mend the configuration, then run: inboxd check"

    def __init__(self, message: str, faults: tuple[ConfigFault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class ExtraMissing(InboxdError):
    """What the user wants needs packages that only some people need."""

    exit_code = 2

    def __init__(self, wanted: str, extra: str) -> None:
        """`wanted` begins the sentence: "inboxd tune"; `extra` is one of pyproject.toml."""
        super().__init__(
            f"{wanted} needs packages that are not installed (the extra {extra!r}).",
            next_step=f'Run: pip install "inboxd[{extra}]" (in a checkout: '
            f'pip install --constraint constraints.txt --editable ".[{extra}]")',
        )


class SecretMissing(InboxdError):
    """No password for an account in any of the places where it may be."""

    exit_code = 3


class StateError(InboxdError):
    """The state directory cannot be used."""

    exit_code = 4


class AlreadyRunning(StateError):
    """Another inboxd holds the lock of this state directory."""

    next_step = "Stop the other inboxd first, or give this one its own [state] dir."


class DatabaseTooNew(StateError):
    """The database was written by a newer inboxd."""

    next_step = "Install the newer inboxd again, or restore a backup made by this version."


class DatabaseBroken(StateError):
    """The database is damaged; only a backup helps."""

    next_step = "Restore a backup of the state directory; your mail is not affected."


class DatabaseUnreachable(StateError):
    """The database server does not answer, or has no room for us; what was not committed is as if
    it had never been."""

    next_step = "See that the database server runs; inboxd tries again by itself."


class ArchiveBroken(StateError):
    """A backup is damaged, or no backup of inboxd; nothing was changed."""

    next_step = "Take another backup; nothing was changed."


class MailboxError(InboxdError):
    """Something between inboxd and the mail server; no mail is harmed by it."""

    exit_code = 5
    next_step = "Run: inboxd check"


class MailboxUnreachable(MailboxError):
    """Network failure, time-out or a server that closed the connection."""


class TlsFailed(MailboxUnreachable):
    """The connection cannot be encrypted, or the server not be verified; the password was not
    sent. Retried, as certificates are renewed and networks changed."""


class ProtocolViolated(MailboxUnreachable):
    """The server sent what is no IMAP, or more than was asked for; the connection is closed."""

    next_step = "Ask whoever runs the mail server; inboxd tries again by itself, ever less often."


class Throttled(MailboxUnreachable):
    """The server answers nothing for now, since it was asked too much; the connection is closed.

    `seconds`: the time after which it may be asked again.
    """

    next_step = "inboxd waits for as long as the server wants, then goes on by itself."

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class ProviderUnreachable(MailboxUnreachable):
    """The provider that issues tokens does not answer, or not sensibly; the sign-in still holds."""

    next_step = "inboxd tries again by itself, ever less often. To see how it stands: inboxd check"


class LoginRefused(MailboxError):
    """The server refused user name or password."""

    next_step = "Check username and password, then run: inboxd check"


class TokenRefused(LoginRefused):
    """The server does not take an access token: expired or withdrawn, or none of this user's.

    `status` is what its challenge says (RFC 7628, 3.2.2), or "".
    """

    next_step = (
        "Check that username is the address that you signed in with and that IMAP is enabled for "
        "the account, then run: inboxd check"
    )

    def __init__(self, message: str, *, status: str = "") -> None:
        super().__init__(message)
        self.status = status


class SignInNeeded(MailboxError):
    """Nobody has signed in, or what was granted has ended: expired, withdrawn, unreadable."""

    def __init__(self, account: str, reason: str) -> None:
        """`reason` is a clause that goes on after a colon. The command stands in the text, too:
        `status` and the log show only that."""
        super().__init__(
            f"The account {account} needs a person to sign in (inboxd login {account}): {reason}.",
            next_step=f"Run: inboxd login {account}",
        )
        self.account = account


class FolderMissing(MailboxError):
    """The folder does not exist (any more) or cannot be selected."""


class FolderChanged(MailboxError):
    """UIDVALIDITY differs from what the caller knows: its UIDs mean nothing any more."""


class CapabilityMissing(MailboxError):
    """The server lacks an extension that this action needs; nothing was sent."""


class CommandRefused(MailboxError):
    """The server answered NO or BAD; `code` is the response code (RFC 5530) or ''."""

    def __init__(self, message: str, *, code: str = "", next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.code = code


class ModelError(InboxdError):
    """No usable model or encoder."""

    exit_code = 6
    next_step = "Run: inboxd learn"


class ModelDamaged(ModelError):
    """A model's files are missing or are not what was written."""

    next_step = "Go back to the model before it: inboxd models rollback"


class NotFound(InboxdError):
    """What the user named does not exist."""

    exit_code = 7
    next_step = "Run: inboxd history"


class ServiceError(InboxdError):
    """inboxd as a service cannot be installed, looked at or removed; nothing was changed, or the
    message says how far it got."""

    exit_code = 8
    next_step = "Run: inboxd service status"


class NoticeNotSent(InboxdError):
    """What a person was to be told did not arrive. Holds nothing of the webhook's address."""

    exit_code = 9
    next_step = "Run: inboxd notices list"
