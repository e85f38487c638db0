"""One IMAP connection through imapclient: dialling, login, errors, a silent log.

With `bounds.py` the only module that imports imapclient. What commands are sent over the
connection stands in `wire.py`, what they are good for in `imap.py`. Wherever the private `_imap`
is used, imapclient has no public way (measured with 4.1).
"""

from __future__ import annotations

import contextlib
import imaplib
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Self

from imapclient.exceptions import ProtocolError
from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.imap_utf7 import encode as encode_utf7
from imapclient.response_parser import parse_response

from daemon.errors import (
    CommandRefused,
    LoginRefused,
    MailboxUnreachable,
    ProtocolViolated,
    TlsFailed,
    TokenRefused,
)
from daemon.mailbox.bearer import BearerExchange, choose_mechanism
from daemon.mailbox.bounds import BoundedClient, ReplyLimits
from daemon.mailbox.responses import is_refusal, refusal, response_code, trouble
from daemon.mailbox.tls import tls_failure

_RETRY_LOGIN_CODES = frozenset({"UNAVAILABLE", "LIMIT", "INUSE", "SERVERBUG"})
_GARBAGE = (ProtocolError, ValueError, TypeError, KeyError, IndexError, RecursionError)
_LOGOUT_SECONDS = 5.0
_NO_CONTENT = ReplyLimits()


class Transport:
    """A connection and its state. After `MailboxUnreachable` it is closed and stays so."""

    def __init__(self, client: Any, timeout: float) -> None:
        self._client = client
        self._imap: Any = client._imap  # noqa: SLF001
        self._timeout = timeout
        self._dead = False
        # Folder names are en- and decoded here: imapclient fails a whole LIST for one bad name.
        client.folder_encode = False
        client.normalise_times = False
        # imapclient sets imaplib's debug level to 5, which formats every literal for a log
        # that must not exist: it would hold the password and all mail.
        self._imap.debug = 0
        # Without it Cyrus and Courier need 45 ms a command (Nagle with delayed ACK).
        client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def dial(cls, host: str, port: int, timeout: float, context: ssl.SSLContext | None) -> Self:
        """Connect and read the greeting; TLS from the first byte when there is a `context`."""
        _silence_imapclient()
        try:
            client = BoundedClient(host, port, timeout, context)
        except ssl.SSLError as error:
            raise tls_failure(error, host) from error
        except (OSError, imaplib.IMAP4.error, *_GARBAGE) as error:
            raise MailboxUnreachable(f"No IMAP server answers on {host}:{port}.") from error
        return cls(client, timeout)

    # Connection state ----------------------------------------------------------------------

    @property
    def preauthenticated(self) -> bool:
        """The server greeted with PREAUTH (RFC 3501, 7.1.4)."""
        return bool(self._imap.state == "AUTH")

    def capability_names(self) -> frozenset[str]:
        """What the server announces now, upper case; before and after login it differs."""
        with self._command("CAPABILITY"):
            names = self._client.capabilities()
            return frozenset(name.decode("ascii", "replace").upper() for name in names)

    @property
    def peer(self) -> str:
        """The numeric address at the other end."""
        return str(self._client.socket().getpeername()[0])

    def starttls(self, context: ssl.SSLContext, host: str) -> None:
        """STARTTLS (RFC 3501, 6.2.1). Raises `TlsFailed`.

        Whatever was said before is thrown away, for somebody in between may have said it, to
        pass for the server's answer to a later command (RFC 9051, 11.3; CVE-2021-33515): the
        bytes in the old reader go with it, untagged answers are cleared, and imapclient asks
        for capabilities anew.
        """
        with self._command("STARTTLS"):
            try:
                self._client.starttls(context)
            except ssl.SSLError as error:
                raise tls_failure(error, host) from error
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error as error:
                raise TlsFailed(
                    "The server refuses STARTTLS. The password was not sent.",
                    next_step='Set tls = "implicit", usually with port 993.',
                ) from error
        self._imap.untagged_responses.clear()

    def login(self, username: str, password: str) -> None:
        """AUTHENTICATE PLAIN where announced, LOGIN otherwise. Raises `LoginRefused`.

        PLAIN first: it carries any characters, whereas imaplib's LOGIN sends the user name
        unquoted and cannot send non-ASCII at all.
        """
        names = self.capability_names()
        plain = "AUTH=PLAIN" in names
        _check_credentials(username, password, plain=plain)
        if not plain and "LOGINDISABLED" in names:
            raise LoginRefused("The server accepts no password on this kind of connection.")
        try:
            with self._login_command():
                if plain:
                    answer = f"\0{username}\0{password}".encode()
                    self._imap.authenticate("PLAIN", lambda _challenge: answer)
                else:
                    self._imap.login(_quoted(username), password)
        except CommandRefused as error:
            raise LoginRefused("The server refused user name or password.") from error

    def login_with_token(self, username: str, token: str) -> None:
        """AUTHENTICATE OAUTHBEARER (RFC 7628) or XOAUTH2. Raises `LoginRefused` when the server
        offers neither, `TokenRefused` when it does not take the token."""
        mechanism = choose_mechanism(self.capability_names())
        if mechanism is None:
            raise LoginRefused(
                "The server takes no access tokens (neither OAUTHBEARER nor XOAUTH2).",
                next_step='Set sign_in = "password" for this account, then run: inboxd check',
            )
        _check_credentials(username, token, plain=True)
        exchange = BearerExchange(mechanism, username, token)
        try:
            with self._login_command():
                self._imap.authenticate(mechanism, exchange.answer)
        except CommandRefused as error:
            reason = f" ({exchange.status})" if exchange.status else ""
            raise TokenRefused(
                f"The server refused the access token{reason}.", status=exchange.status
            ) from error

    @contextlib.contextmanager
    def _login_command(self) -> Iterator[None]:
        """A refusal that may be none the next time is `MailboxUnreachable`."""
        try:
            with self._command("LOGIN"):
                yield
        except CommandRefused as error:
            if error.code not in _RETRY_LOGIN_CODES:
                raise
            self._die()
            raise MailboxUnreachable(
                f"The server cannot log anybody in at the moment ({error.code})."
            ) from error

    def close(self) -> None:
        """LOGOUT if the connection still lives; never raises."""
        if not self._dead:
            with contextlib.suppress(MailboxUnreachable, CommandRefused), self._command("LOGOUT"):
                self._client.socket().settimeout(min(self._timeout, _LOGOUT_SECONDS))
                self._imap.logout()
        self._die()

    # For commands ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def _command(self, name: str, limits: ReplyLimits = _NO_CONTENT) -> Iterator[None]:
        """One command: nothing stale before it, only errors of ours after it, and an answer
        within `limits`."""
        if self._dead:
            raise MailboxUnreachable("The connection to the mail server is closed.")
        self._forget_answers()
        self._imap.reader().expect(limits)
        try:
            yield
        except imaplib.IMAP4.readonly as error:
            # A subclass of "abort", but the connection is as sound as ever.
            raise CommandRefused("The folder is read-only.", code="READ-ONLY") from error
        except (imaplib.IMAP4.abort, OSError) as error:
            self._die()
            if said := trouble(str(error)):  # in a BYE
                raise said from error
            if "=> unexpected " in str(error):  # imaplib's word for what is no response at all
                raise ProtocolViolated(f"The answer to {name} cannot be read.") from error
            raise MailboxUnreachable(
                f"The connection to the mail server broke during {name}."
            ) from error
        except imaplib.IMAP4.error as error:
            if said := trouble(str(error)):
                # Never a word about the folder or the message: a throttled SELECT is no missing
                # folder. And Exchange hangs up after it.
                self._die()
                raise said from error
            # A refused login comes with nothing but the server's text.
            refused = name == "LOGIN" or is_refusal(str(error))
            if isinstance(error, ProtocolError) or not refused:
                self._die()
                raise ProtocolViolated(f"The answer to {name} cannot be read.") from error
            raise refusal(name, response_code(str(error))) from error
        except _GARBAGE as error:
            # imapclient's parser stumbles over garbage in any of these ways.
            self._die()
            raise ProtocolViolated(f"The answer to {name} cannot be read.") from error
        except BaseException:
            # Ctrl-C, or an error in the caller's `stopped`: the answer to this command would
            # be taken for that of the next one.
            self._die()
            raise

    def _forget_answers(self) -> None:
        """Untagged answers pile up in imaplib, and an old COPYUID passes for the new one."""
        answers = self._imap.untagged_responses
        bye = answers.get("BYE")
        answers.clear()
        if bye:
            answers["BYE"] = bye

    def _check(self, name: str, status: str, data: Sequence[object]) -> None:
        """Raise what imapclient raises for NO; for commands that go past it."""
        if status != "OK":
            raise imaplib.IMAP4.error(f"{name} failed: {text_of(data[0])}")

    def _die(self) -> None:
        self._dead = True
        with contextlib.suppress(OSError):
            self._imap.shutdown()


def encode_name(name: str) -> bytes:
    """A folder name in modified UTF-7 (RFC 3501, 5.1.3); imapclient quotes it."""
    encoded: bytes = encode_utf7(name)
    return encoded


def decode_name(raw: object) -> str | None:
    """The folder name in a parsed LIST response, None when it cannot be sent back unchanged.

    That is so with raw UTF-8 and with UTF-7 as it must not be written; imapclient would let
    one such name spoil the whole list.
    """
    # The parser turns an unquoted 2024 into a number and an unquoted NIL into None.
    encoded = raw if isinstance(raw, bytes) else b"NIL" if raw is None else str(raw).encode()
    try:
        name: str = decode_utf7(encoded)
        return name if encode_name(name) == encoded else None
    except UnicodeError:
        return None


def parsed(data: Sequence[object]) -> tuple[Any, ...]:
    """Untagged responses as nested tuples of bytes, int and None."""
    response: tuple[Any, ...] = parse_response([item for item in data if item not in {None, b""}])
    return response


def text_of(value: object) -> str:
    """A parsed atom or string as text; NIL is the empty string."""
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return "" if value is None else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _check_credentials(username: str, password: str, *, plain: bool) -> None:
    if any(char in text for char in "\0\r\n" for text in (username, password)):
        raise LoginRefused("User name or password holds a line break or NUL.")
    if not plain and not (username.isascii() and password.isascii()):
        raise LoginRefused("This server takes only ASCII characters in user name and password.")


def _silence_imapclient() -> None:
    # Whatever level the root logger has: these two would write addresses, passwords and mail.
    for name in ("imapclient.imapclient", "imapclient.imaplib"):
        logging.getLogger(name).disabled = True
