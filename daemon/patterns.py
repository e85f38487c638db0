"""Patterns that people write into their configuration, matched in linear time.

A plain text is a glob for the whole value: * stands for anything, ? for one character. Between
slashes stands a regular expression (RE2's syntax), found anywhere in the value. Capitals and
small letters are the same in both.

The values come from strangers' mail, so an expression must not be able to stall inboxd whatever
it is given: RE2 has no backtracking (Cox, Regular Expression Matching in the Wild, 2010).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

MAX_PATTERN = 500
"""Characters of a pattern."""

MAX_TEXT = 16_384
"""Of a value only so many characters are looked at: as much as is read of one header."""

_MAX_MEMORY = 1 << 20
"""Bytes that RE2 may use for one pattern; beyond it forgets its states and goes on, slower."""


class PatternFault(ValueError):
    """A pattern that cannot be used; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern as it was written, ready to match."""

    text: str
    _compiled: Any = field(repr=False, compare=False)

    @property
    def is_regex(self) -> bool:
        """Whether it is a regular expression, and no glob."""
        return _is_regex(self.text)

    def matches(self, value: str) -> bool:
        """Whether the value fits. An empty value never does: it is one that the mail lacks."""
        plain = _normal(value[:MAX_TEXT])
        return bool(plain) and self._compiled.search(plain) is not None


@lru_cache(maxsize=4096)
def compile_pattern(text: str) -> Pattern:
    """Read a pattern. Raises `PatternFault`."""
    import re2  # noqa: PLC0415 - only where somebody has rules

    if not text.strip():
        raise PatternFault("it is empty")
    if len(text) > MAX_PATTERN:
        raise PatternFault(f"it is longer than {MAX_PATTERN} characters")
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return Pattern(text, re2.compile(_expression(_normal(text)), options))
    except re2.error as error:
        raise PatternFault(_words_of(error)) from error


def _expression(text: str) -> str:
    """RE2's spelling of a pattern."""
    if _is_regex(text):
        return text[1:-1]
    parts = re.split(r"([*?])", text)
    return "^(?s:" + "".join({"*": ".*", "?": "."}.get(p) or _literal(p) for p in parts) + ")$"


def _literal(text: str) -> str:
    """Every character itself: RE2 knows all escapes of ASCII punctuation, and none of letters."""
    return re.sub(
        r"[^\w\s]", lambda match: "\\" + match[0] if match[0] < "\x80" else match[0], text
    )


def _is_regex(text: str) -> bool:
    return len(text) > 2 and text.startswith("/") and text.endswith("/")


def _normal(text: str) -> str:
    """Composed characters, and nothing that UTF-8 cannot hold."""
    return unicodedata.normalize("NFC", text).encode("utf-8", "replace").decode("utf-8")


def _words_of(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
