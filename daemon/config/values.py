"""The kinds of values that settings have, with checks that speak plain words."""

from __future__ import annotations

import ipaddress
import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from classifier.costs import HIGHEST, LOWEST, read_confusion
from daemon.database_address import AddressFaulty, read_address


def fault(problem: str, mend: str) -> PydanticCustomError:
    """A validation error that already says, in plain words, what is wrong and how to mend it."""
    return PydanticCustomError("inboxd", "{problem}", {"problem": problem, "mend": mend})


def is_loopback(host: str) -> bool:
    """Whether `host` cannot be anywhere but on this machine; no name is looked up."""
    name = host.lower().rstrip(".").removeprefix("[").removesuffix("]")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _expand_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise fault(
            "begins with ~, but there is no such home directory",
            "Write the path in full, beginning with /.",
        ) from None


def _refuse_empty(value: Any) -> Any:
    if value == "":
        raise fault("is empty", "Write a path, or remove the line.")
    return value


def _read_time(value: Any) -> time:
    if isinstance(value, time) and value.tzinfo is None:
        return value
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if match is None:
        raise fault(
            "must be a time of day from 00:00 to 23:59, in quotes",
            'Write hours and minutes in quotes, for example: "03:30"',
        )
    return time(int(match[1]), int(match[2]))


def _check_host(host: str) -> str:
    # The value is not repeated: a pasted URL may hold a password.
    if "://" in host or "/" in host or "@" in host or any(map(str.isspace, host)):
        raise fault(
            "must be the name of the server alone",
            'Leave out imaps://, user and path, for example: host = "imap.example.org"',
        )
    if host.count(":") == 1 or host.startswith("["):
        raise fault(
            "must be without port and brackets",
            "Write the port on a line of its own, for example: port = 993",
        )
    return host


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or is_loopback(parts.hostname or "")
    if parts.scheme not in {"https", "http"} or not parts.hostname or not is_safe:
        raise fault(
            "must be an address that begins with https://",
            'Write for example: "https://login.example.org"; http:// is for this machine only.',
        )
    if parts.query or parts.fragment or parts.username is not None:
        raise fault("must be without user, ? and #", "Leave out what stands before @ or after ?.")
    return url.rstrip("/")


def _check_database(url: str) -> str:
    try:
        read_address(url)
    except AddressFaulty as found:
        raise fault(found.problem, found.mend) from None
    return url


def read_listen(text: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:9464", "[::1]:9464" or "localhost:9464".

    Raises `ValueError` when it is not of this form.
    """
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})", text)
    if match is None or int(match[2]) > 65_535:
        raise ValueError(text)
    return match[1].removeprefix("[").removesuffix("]"), int(match[2])


def _check_listen(text: str) -> str:
    try:
        read_listen(text)
    except ValueError:
        raise fault(
            "must be an address and a port",
            'Write for example: listen = "127.0.0.1:9464", or "[::1]:9464" for IPv6.',
        ) from None
    return text


def _check_pattern(pattern: str) -> str:
    if not pattern:
        raise fault(
            "holds an empty pattern, which matches no folder",
            'Remove the empty text "" from the list.',
        )
    return pattern


def _check_described_name(name: str) -> str:
    if not name.strip():
        raise fault(
            "describes a folder without a name",
            'Write the folder\'s name before the sentence: "Invoices" = "Bills from suppliers"',
        )
    return name


def _check_description(sentence: str) -> str:
    if not any(map(str.isalpha, sentence)):
        raise fault(
            "holds a description without a word",
            "Write a sentence about the mail of this folder, or remove the line.",
        )
    return " ".join(sentence.split())


def _check_confusion(text: str) -> str:
    try:
        return " -> ".join(read_confusion(text))
    except ValueError as error:
        raise fault(
            f"{error}: {text!r}",
            "Write the folder where the mail belongs, an arrow, and the folder it is wrongly "
            'filed under: "Schadensmeldungen -> Kündigungen" = 5. * stands for any folder.',
        ) from error


def _check_rule_pattern(pattern: str) -> str:
    from daemon.patterns import PatternFault, compile_pattern  # noqa: PLC0415 - loads RE2

    try:
        compile_pattern(pattern)
    except PatternFault as error:
        raise fault(
            f"holds a pattern that cannot be used: {error}",
            'Write a text in which * stands for anything, such as "*@bank.example", or a regular '
            'expression of RE2 between slashes, such as "/^(re|aw):/".',
        ) from error
    return pattern


def _check_header_name(name: str) -> str:
    if not re.fullmatch(r"[!-9;-~]{1,100}", name):
        raise fault(
            "names a header field that cannot exist",
            'Write its name without the colon, for example: header = { "X-Spam-Flag" = "YES" }',
        )
    return name


def is_account_name(name: str) -> bool:
    """Whether an account may be called so; the name is that of files and directories too."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) is not None


def _check_account_name(name: str) -> str:
    if not is_account_name(name):
        raise fault(
            "is not a name for an account",
            "Use letters, digits, - and _, beginning with a letter or digit, "
            "for example: [accounts.private]",
        )
    return name


def _check_model_name(name: str) -> str:
    if not is_account_name(name):
        raise fault(
            "is not a name for a shared model",
            "Write letters, digits, - and _, beginning with a letter or digit, "
            'for example: shared_model = "team"',
        )
    return name


# Strict: a configuration says 993, not "993" or true. Environment variables, which are always
# text, are read as numbers before they come here.
Switch = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
FilePath = Annotated[Path, BeforeValidator(_refuse_empty), AfterValidator(_expand_home)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Pattern = Annotated[str, AfterValidator(_check_pattern)]
FolderName = Annotated[str, AfterValidator(_check_described_name)]
Description = Annotated[str, AfterValidator(_check_description)]
Confusion = Annotated[str, AfterValidator(_check_confusion)]
Cost = Annotated[float, Field(strict=True, ge=LOWEST, le=HIGHEST)]
Url = Annotated[Text, AfterValidator(_check_url)]
DatabaseUrl = Annotated[Text, AfterValidator(_check_database)]
RulePattern = Annotated[str, Field(strict=True), AfterValidator(_check_rule_pattern)]
HeaderName = Annotated[str, AfterValidator(_check_header_name)]
ModelName = Annotated[str, AfterValidator(_check_model_name)]
AccountName = Annotated[str, AfterValidator(_check_account_name)]
Host = Annotated[Text, AfterValidator(_check_host)]
Listen = Annotated[Text, AfterValidator(_check_listen)]
TimeOfDay = Annotated[time, BeforeValidator(_read_time)]
