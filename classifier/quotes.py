"""What the sender wrote himself: a mail's text without quotes, history and signature.

Everything here looks at one line at a time, cut to `_LOOKED_AT` characters, or at a window of a
few lines. Each pattern is a choice between words, or is anchored with one repetition, so the
cost grows with the text and not with its square.

Known forms: "> " lines (also "DM> ", "|> " and whatever mark follows an attribution),
attributions ("On … wrote:", "Am … schrieb …:", "In article … writes:", "… schrieb im
Newsbeitrag …"), "-----Original Message-----" and its translations, Outlook's header blocks,
signatures after "-- " (RFC 3676, section 4.3), "Sent from my …", PGP armour and uuencoded files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_LINES = 4_000
_LOOKED_AT = 240
_MAX_SIGNATURE_LINES = 15
_HEADER_WINDOW = 8

_MARKS = (">", "|>", ":>", "}>", "]>")
_INITIALS = re.compile(r"[^\W\d_]{1,4}>")
_LEADING_MARKS = re.compile(r"[\s>|]{0,240}>[\s>|]?|[^\W\d_]{1,4}>+\s?")
_UNUSUAL_MARKS = frozenset("|:}#%&]")

_VERB = re.compile(
    r"\b(?:wrote|writes|write|said|says|schrieb|schreibt|meinte|a écrit|escribió|ha scritto"
    r"|schreef)\b"
)
_OPENING = re.compile(r"(?:on|am|in article|in message|in <|le|el|il|op)\b|in <|quoting\b")
_MAX_ATTRIBUTION = 160
_MESSAGE_ID_LINE = re.compile(r"\A(?:(?:news:|<)?[^\s@]{1,120}@\S{1,120}|<\S{1,120}|\.\.\.|…)$")

_HISTORY = frozenset(
    {
        "original message",
        "original appointment",
        "original-nachricht",
        "originalnachricht",
        "original nachricht",
        "ursprüngliche nachricht",
        "urspr. nachricht",
        "ursprünglicher termin",
        "message d'origine",
        "mensaje original",
        "messaggio originale",
        "oorspronkelijk bericht",
        "reply message",
        "antwort an",
    }
)
_FORWARD = frozenset(
    {
        "forwarded message",
        "begin forwarded message",
        "weitergeleitete nachricht",
        "weitergeleitete e-mail",
        "anfang der weitergeleiteten nachricht",
        "anfang der weitergeleiteten e-mail",
        "beginn der weitergeleiteten nachricht",
        "message transféré",
        "start of forwarded message",
        "end of forwarded message",
        "ende der weitergeleiteten nachricht",
    }
)
_HEADER_KINDS = {
    "from": "from",
    "von": "from",
    "de": "from",
    "sent": "date",
    "date": "date",
    "gesendet": "date",
    "datum": "date",
    "envoyé": "date",
    "to": "to",
    "an": "to",
    "cc": "to",
    "kopie": "to",
    "reply-to": "to",
    "antwort an": "to",
    "à": "to",
    "subject": "subject",
    "betreff": "subject",
    "objet": "subject",
}
_DEVICE = (
    "sent from my ",
    "sent from mail for windows",
    "sent from outlook for",
    "sent from yahoo mail",
    "sent via ",
    "get outlook for",
    "gesendet von mail für windows",
    "gesendet von outlook für",
    "outlook für ios",
    "outlook für android",
    "von meinem ",
    "gesendet von meinem ",
    "gesendet mit der ",
    "gesendet mit dem ",
    "diese nachricht wurde von meinem ",
    "envoyé de mon ",
)
_UUENCODED = re.compile(r"begin [0-7]{3} [^\s.]{1,60}\.\w{1,10}\s?$")
_ARMOUR = ("-----begin pgp signature", "-----begin pgp public key", "-----begin pgp message")


def own_words(text: str) -> str:
    """`text` without quoted lines, attributions, earlier mail below, signature and armour.

    What follows a forwarding mark ("---------- Forwarded message ---------") stays, without its
    header block: a forwarded mail is what the mail is about.
    """
    lines = _without_armour(text.split("\n", MAX_LINES)[:MAX_LINES])
    end, forwarded = _history_start(lines)
    kept = _without_signature(_without_quotes(lines[:end]))
    if forwarded:
        kept += _without_marks(lines[end:])
    return "\n".join(line for line in kept if not _is_decoration(line)).strip()


def with_quotes(text: str) -> str:
    """`text` with quoted lines kept, but without their marks, header blocks and armour."""
    lines = _without_armour(text.split("\n", MAX_LINES)[:MAX_LINES])
    kept = _without_marks(lines)
    return "\n".join(line for line in kept if not _is_decoration(line)).strip()


def _is_decoration(line: str) -> bool:
    """Whether `line` has blanks or signs only, like "______" (an empty line is none)."""
    looked_at = line[:_LOOKED_AT]
    return bool(looked_at.strip()) and not any(map(str.isalnum, looked_at))


def _without_armour(lines: Sequence[str]) -> list[str]:
    """Lines outside PGP blocks and uuencoded files (which end, or go on to the last line)."""
    kept: list[str] = []
    closing = ""
    for line in lines:
        start = line[:40].rstrip().lower()
        if closing:
            closing = "" if start[:12] == closing else closing
        elif start.startswith(_ARMOUR):
            closing = "-----end pgp"
        elif _UUENCODED.match(line[:_LOOKED_AT]):
            closing = "end"
        elif not start.startswith(("-----begin pgp", "hash: sha")):
            kept.append(line)
    return kept


def _is_quoted(line: str, mark: str = "") -> bool:
    start = line[:40].lstrip()
    if start.startswith(">From "):  # mbox escaping of a line that begins with "From "
        return False
    if start.startswith(_MARKS) or _INITIALS.match(start):
        return True
    return bool(mark) and start.startswith(mark)


def _without_marks(lines: Sequence[str]) -> list[str]:
    kept = []
    for index, line in enumerate(lines):
        bare = line[_marks_end(line) :]
        kind = _header_kind(bare)
        nearby = lines[max(0, index - _HEADER_WINDOW) : index + _HEADER_WINDOW]
        if kind and kind != "subject" and _is_header_block(nearby):
            continue
        if _separator(bare):
            continue
        kept.append(bare)
    return kept


def _marks_end(line: str) -> int:
    found = _LEADING_MARKS.match(line[:40]) if _is_quoted(line) else None
    return found.end() if found else 0


def _without_quotes(lines: Sequence[str]) -> list[str]:
    """`lines` without quoted ones and the attributions above them."""
    kept: list[str] = []
    index, mark = 0, ""
    while index < len(lines):
        if _is_quoted(lines[index], mark):
            index += 1
            continue
        length = _attribution_length(lines, index)
        if length:
            index += length
            follower = _next_text(lines, index)
            mark = follower[0] if follower and follower[0] in _UNUSUAL_MARKS else mark
            continue
        kept.append(lines[index])
        index += 1
    return kept


def _next_text(lines: Sequence[str], index: int) -> str:
    """The next line with text, stripped, among the three from `index`, else ""."""
    return next((line.strip() for line in lines[index : index + 3] if line.strip()), "")


def _attribution_length(lines: Sequence[str], start: int) -> int:
    """Over how many lines an attribution goes that starts at `start`; 0 if none does."""
    joined = ""
    for length, line in enumerate(lines[start : start + 3], 1):
        text = line[:_LOOKED_AT].strip()
        if not text or len(text) >= _LOOKED_AT or (length > 1 and _is_quoted(line)):
            return 0
        joined = f"{joined} {text}".strip()
        follower = _next_text(lines, start + length)
        quote_follows = _is_quoted(follower) or follower[:1] in _UNUSUAL_MARKS
        if _is_attribution(joined.lower(), length, bool(follower) and quote_follows):
            lone_id = start + length < len(lines) and _MESSAGE_ID_LINE.match(follower)
            return length + 1 if lone_id and lines[start + length].strip() else length
    return 0


def _is_attribution(text: str, lines: int, quote_follows: bool) -> bool:
    """Whether `text` (lower case, `lines` lines joined) says who wrote the following."""
    verbs = list(_VERB.finditer(text))
    if not verbs or len(text) > _MAX_ATTRIBUTION * lines:
        return False
    verb = verbs[-1]
    ends = text.endswith((":", "...", "…", ">")) or len(text) - verb.end() <= 1
    if not ends:
        return False
    addressed = "@" in text[: verb.start()] or text.endswith(("...", "newsbeitrag:"))
    opened = _OPENING.match(text) is not None
    if opened and (addressed or any(map(str.isdigit, text))):
        return True
    if lines == 1:
        return quote_follows or addressed
    return lines == 2 and addressed and quote_follows


def _history_start(lines: Sequence[str]) -> tuple[int, bool]:
    """Index of the first line of earlier mail, and whether that was forwarded on purpose."""
    below_text = False
    for index, line in enumerate(lines):
        if separator := _separator(line):
            return index, separator == "forward"
        if _header_kind(line) and _is_header_block(lines[index : index + _HEADER_WINDOW]):
            return index, False
        if below_text and _opens_bare_history(lines, index):
            return index, False
        below_text = below_text or bool(line.strip())
    return len(lines), False


def _separator(line: str) -> str:
    """ "history" or "forward" when `line` is such a separator, else ""."""
    looked_at = line[:_LOOKED_AT].strip(" \t>*")
    if not looked_at.startswith("--") and not looked_at.endswith((":", "--")):
        return ""
    phrase = looked_at.strip("-_*: \t").lower()
    if phrase in _FORWARD or phrase.startswith("forwarded by "):
        return "forward"
    return "history" if phrase in _HISTORY else ""


def _header_kind(line: str) -> str:
    name, colon, _ = line[:40].lstrip(" \t>*|").partition(":")
    return _HEADER_KINDS.get(name.rstrip(" \t*").lower(), "") if colon else ""


def _is_header_block(lines: Sequence[str]) -> bool:
    """Whether `lines`, a window of a few, hold "From: … Sent: … Subject: …"."""
    kinds = {_header_kind(line) for line in lines} - {""}
    return "from" in kinds and len(kinds) >= 3


def _opens_bare_history(lines: Sequence[str], index: int) -> bool:
    """Whether a dated "On … wrote:" starts here and unmarked text follows.

    So quote phones and web mail when they send no "> ". Newsreaders always mark, and people
    answer below, so "In article …" never counts.
    """
    if lines[index][:40].lstrip()[:3].lower() not in ("on ", "am "):
        return False
    length = _attribution_length(lines, index)
    if not length:
        return False
    follower = _next_text(lines, index + length)
    marked = _is_quoted(follower) or follower[:1] in _UNUSUAL_MARKS
    return bool(follower) and not marked


def _without_signature(lines: Sequence[str]) -> list[str]:
    """`lines` up to a signature delimiter with few lines below, and without device lines."""
    below = 0
    end = len(lines)
    for index in range(len(lines) - 1, -1, -1):
        if lines[index][:8].rstrip() in ("--", "- --"):
            end = index
        below += bool(lines[index].strip())
        if below > _MAX_SIGNATURE_LINES:
            break
    return [line for line in lines[:end] if not _is_device_line(line)]


def _is_device_line(line: str) -> bool:
    start = line[:80].strip(" \t*_<>[](").lower()
    if len(line) > 100 or not start.startswith(_DEVICE):
        return False
    return not start.startswith("von meinem ") or "gesendet" in start
