"""Reading what servers answer: response codes, COPYUID, changes. Pure functions.

Texts of servers never get into our messages: they hold addresses and folder names. What is
taken over is the response code of RFC 5530.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator

from daemon.errors import CommandRefused, FolderMissing, MailboxUnreachable, Throttled

# imaplib says "FETCH command error: BAD [b'[CODE] text']", imapclient "fetch failed: [CODE] text".
_REFUSAL = re.compile(r"command error: BAD|failed: ")
_CODE = re.compile(r"\[([A-Z][A-Z0-9-]*)(?=[\] ])")
_APPENDED = re.compile(rb"\[APPENDUID \d{1,10} (\d{1,10})\]", re.IGNORECASE)
_CHANGE = re.compile(rb"\* (?:\d+ (?:EXISTS|EXPUNGE|FETCH)|VANISHED)\b", re.IGNORECASE)
# Refusals that say nothing about the folder; READ-ONLY is ours, see `Wire`.
_FOLDER_IS_THERE = frozenset(
    {"UNAVAILABLE", "SERVERBUG", "INUSE", "LIMIT", "CONTACTADMIN", "READ-ONLY"}
)
_NO_TARGET = frozenset({"TRYCREATE", "NONEXISTENT"})
# Exchange and Gmail say in words what RFC 5530 has codes for; both word it in English always.
_THROTTLED = re.compile(r"suggested backoff time: (\d{1,12}) milliseconds", re.IGNORECASE)
_BANDWIDTH = re.compile(r"exceeded command or bandwidth limits", re.IGNORECASE)
_UNFIT = re.compile(
    r"authenticated but not connected|command received in invalid state"
    r"|too many simultaneous connections",
    re.IGNORECASE,
)
_STALE_NUMBERS = re.compile(r"specified message set is invalid", re.IGNORECASE)

LONGEST_THROTTLE = 3600.0
"""Seconds: no answer of a server makes inboxd wait longer than that."""

_BANDWIDTH_SECONDS = 900.0
"""Gmail does not say for how long: a quarter of an hour, then again."""


def is_refusal(error_text: str) -> bool:
    """Whether an error of imaplib or imapclient stands for a tagged NO or BAD."""
    return _REFUSAL.search(error_text) is not None


def response_code(error_text: str) -> str:
    """The response code in such an error (RFC 5530), "" without one."""
    if _STALE_NUMBERS.search(error_text):
        # Exchange, of messages that another session has expunged; it has no code for it.
        return "EXPUNGEISSUED"
    match = _CODE.search(error_text)
    return match[1] if match else ""


def trouble(error_text: str) -> MailboxUnreachable | None:
    """The error for a text with which a server refuses to do anything at all, whatever it was
    asked; None when the refusal is about the command."""
    if match := _THROTTLED.search(error_text):
        return _throttled(int(match[1]) / 1000)
    if _BANDWIDTH.search(error_text):
        return _throttled(_BANDWIDTH_SECONDS)
    if _UNFIT.search(error_text):
        return MailboxUnreachable("The server takes no commands on this connection any more.")
    return None


def _throttled(wanted: float) -> Throttled:
    seconds = min(wanted, LONGEST_THROTTLE)
    return Throttled(
        f"The server was asked too much and wants to be left alone for {seconds:.0f} seconds.",
        seconds=seconds,
    )


def refusal(command: str, code: str) -> CommandRefused:
    """The error for a tagged NO or BAD with this response code."""
    return CommandRefused(
        f"The server refused {command}" + (f" ({code})." if code else "."), code=code
    )


def is_change(line: bytes) -> bool:
    """Whether an untagged line says that messages came, went or changed."""
    return _CHANGE.match(line) is not None


@contextlib.contextmanager
def folder_errors() -> Iterator[None]:
    """A refused SELECT or STATUS means `FolderMissing`, unless the code speaks of trouble."""
    try:
        yield
    except CommandRefused as error:
        if error.code in _FOLDER_IS_THERE:
            raise
        raise FolderMissing("The folder does not exist or cannot be opened.") from error


def refused_status(text: str) -> CommandRefused | FolderMissing:
    """The error for a tagged NO to STATUS with this text, not raised: others are under way."""
    try:
        with folder_errors():
            raise refusal("STATUS", response_code(text))
    except (CommandRefused, FolderMissing) as error:
        return error


@contextlib.contextmanager
def target_errors() -> Iterator[None]:
    """COPY and MOVE into a folder that is not there mean `FolderMissing`."""
    try:
        yield
    except CommandRefused as error:
        if error.code in _NO_TARGET:
            raise FolderMissing("The target folder does not exist.") from error
        raise


def copied_uids(answer: bytes, asked: Collection[int]) -> dict[int, int]:
    """`38505 304,319:320 3956:3958`, the data of COPYUID (RFC 4315, 3), as a mapping.

    Sets that do not match each other or hold more than was asked for give no mapping, which
    means "unknown".
    """
    try:
        _, sources, targets = answer.partition(b"]")[0].decode("ascii").split()
        pairs = zip(_expanded(sources, len(asked)), _expanded(targets, len(asked)), strict=True)
        return {source: target for source, target in pairs if source in asked}
    except ValueError:
        return {}


def appended_uid(answer: object) -> int | None:
    """The UID in `[APPENDUID 38505 3955] APPEND completed` (RFC 4315, 3), None without one."""
    match = _APPENDED.search(answer) if isinstance(answer, bytes) else None
    return int(match[1]) if match is not None else None


def _expanded(uid_set: str, limit: int) -> list[int]:
    uids: list[int] = []
    for item in uid_set.split(","):
        first, _, last = item.partition(":")
        low, high = sorted((int(first), int(last or first)))
        if high - low >= limit - len(uids):
            raise ValueError("more UIDs than asked for")
        uids.extend(range(low, high + 1))
    return uids
