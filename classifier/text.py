"""A mail's text as the models read it: one function for serving and for training.

Whatever changes the outcome of `prepare` must change `TEXT_VERSION` too: cached features are
kept under it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from classifier.html import html_to_text
from classifier.mail import Mail
from classifier.quotes import own_words, with_quotes

TEXT_VERSION = "text-1"

MAX_PLAIN = 100_000
"""Characters of the plain part that are looked at."""
MAX_BODY = 8_000
"""Characters of the cleaned body that are kept."""
MAX_ENCODER_BODY = 4_000
"""Characters of the body for BERT: its 512 tokens end at about 2,500."""
MAX_CONTEXT = 1_500
"""Characters of quotes, attributions and signature that are kept beside the body.

Short replies need them: 2,000 newsgroup mails, folders by TF-IDF and linear SVM, no thread in
both training and test: 0.710 right without, 0.758 with quotes, 0.786 with all of it."""
MAX_SUBJECT = 300
MAX_NAME = 100
MAX_ATTACHMENTS = 10

_BARE = 20
"""A text with fewer letters and digits says almost nothing ("FYI", "Danke!")."""
_POOR = 400
"""A plain part with fewer letters than this may be a stub for the HTML part."""
_POORER = 3
_CHUNK = 256
_LONG_WORD = 60

# "Re:", "AW:", "Fwd:", "WG:" and relatives, with "Re[2]:", "Re^2:" and after a "[list]" tag.
_REPLY_PREFIX = re.compile(
    r"\s?(\[[^\[\]]{1,40}\]\s?)?"
    r"(?P<word>re|aw|antw|antwort|sv|vs|odp|rif|fwd|fw|wg|tr|rv|wtr|weitergeleitet)"
    r"\s?(?:\[\d{1,3}\]|\(\d{1,3}\)|\^\d{1,3}|\*\d{1,3})?\s?[:：]\s?",
    re.IGNORECASE,
)
_FORWARD_WORDS = frozenset({"fwd", "fw", "wg", "tr", "rv", "wtr", "weitergeleitet"})
_MAX_PREFIXES = 20

# Zero-width and formatting characters, fillers, variation selectors, tags, lone surrogates,
# and the control characters other than tab and newline.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffc\U000e0000-\U000e0fff]"
)
_NEWLINES = re.compile("\r\n?|\u0085|\u2028|\u2029")
_URL = re.compile(r"\b(?:https?|ftp)://(?:www\.)?([^\s/<>\"'?#]++)[^\s<>\"']*+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PreparedText:
    """What is left of a mail to read.

    `encoder_text` is compact natural text for BERT: subject, sender's name, body, names of
    attachments and context, one below the other. `subject` has no reply prefixes. `body` is
    what the sender wrote, without quotes and signature, or everything if that is next to
    nothing or the mail is a forward. `context` is what the body leaves out. All are NFC,
    without invisible characters, and capped.
    """

    encoder_text: str
    subject: str
    body: str
    context: str = ""


def prepare(mail: Mail) -> PreparedText:
    """The readable text of `mail`. Linear in the mail; never raises."""
    subject, forwarded = strip_reply_prefixes(one_line(mail.subject, MAX_SUBJECT))
    body, context = _body_and_context(mail, forwarded)
    names = [one_line(name, MAX_NAME) for name in mail.attachments[:MAX_ATTACHMENTS]]
    parts = [
        subject,
        one_line(mail.sender.name, MAX_NAME).strip("\"'"),
        body[:MAX_ENCODER_BODY],
        ", ".join(name for name in names if name),
        context,
    ]
    return PreparedText("\n".join(part for part in parts if part), subject, body, context)


def strip_reply_prefixes(subject: str) -> tuple[str, bool]:
    """`subject` without "Re:", "AW:", "Fwd:", "WG:", …, and whether one said "forwarded".

    A tag like "[list]" before the prefix stays.
    """
    forwarded = False
    for _ in range(_MAX_PREFIXES):
        found = _REPLY_PREFIX.match(subject)
        if found is None:
            break
        forwarded = forwarded or found["word"].lower() in _FORWARD_WORDS
        subject = (found[1] or "") + subject[found.end() :]
    return subject.strip(), forwarded


def one_line(text: str, limit: int) -> str:
    """The first `limit` characters of `text`, clean and without line breaks."""
    return " ".join(clean_characters(text[: 4 * limit]).split())[:limit].rstrip()


def clean_characters(text: str) -> str:
    """`text` in NFC, without invisible and control characters, with "\\n" as line break.

    The Unicode normalisation of CPython sorts runs of combining marks in quadratic time, so
    it is fed with short pieces; a character at a seam may stay decomposed.
    """
    text = _NEWLINES.sub("\n", text)
    if text.isascii():
        return _INVISIBLE.sub("", text)
    text = _INVISIBLE.sub("", text)
    pieces = (text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK))
    return "".join(unicodedata.normalize("NFC", piece) for piece in pieces)


def _body_and_context(mail: Mail, forwarded: bool) -> tuple[str, str]:
    """Body and context from the plain part, or from HTML if that says much more."""
    plain, html = mail.plain[:MAX_PLAIN], mail.html
    if _looks_like_html(plain):
        plain, html = "", html or mail.plain
    plain = clean_characters(plain)
    from_plain = _split(plain, plain, forwarded)
    if not html or _weight(plain, _POOR) >= _POOR:
        return from_plain
    everything = _html_lines(html, keep_quotes=True)
    visible = everything if forwarded else _html_lines(html, keep_quotes=False)
    from_html = _split(visible, everything, forwarded)
    enough = max(_BARE, _POORER * _weight(from_plain[0], _POOR))
    richer = not from_plain[0] or _weight(from_html[0], enough) >= enough
    return from_html if richer else from_plain


def _html_lines(html: str, *, keep_quotes: bool) -> str:
    return clean_characters(html_to_text(html, keep_quotes=keep_quotes)[:MAX_PLAIN])


def _split(visible: str, everything: str, forwarded: bool) -> tuple[str, str]:
    """The sender's own words in `visible`, and what `everything` has besides them."""
    whole = _compact(with_quotes(everything))
    if forwarded:
        return whole, ""
    own = _compact(own_words(visible))
    if _weight(own, _BARE) < _BARE:
        return whole, ""
    known = set(own.split("\n"))
    context = "\n".join(line for line in whole.split("\n") if line not in known)
    return own, context[:MAX_CONTEXT].rstrip()


def _looks_like_html(text: str) -> bool:
    start = text[:500].lstrip().lower()
    return start.startswith("<") and ("<html" in start or "<!doctype html" in start)


def _weight(text: str, enough: int) -> int:
    """The number of letters and digits in `text`; stops counting at `enough`."""
    count = 0
    for character in text:
        count += character.isalnum()
        if count >= enough:
            break
    return count


def _compact(text: str) -> str:
    """URLs down to their host, single blanks, no empty lines, no encoded data, capped."""
    lines = []
    length = 0
    for line in text.split("\n"):
        words = [word for word in _URL.sub(r"\1", line).split() if not _is_data(word)]
        if words:
            lines.append(" ".join(words))
            length += len(lines[-1]) + 1
            if length > MAX_BODY:
                break
    return "\n".join(lines)[:MAX_BODY].rstrip()


def _is_data(word: str) -> bool:
    """Whether `word` is no word: base64, a rule of dashes, a long token."""
    return len(word) > _LONG_WORD and word.isascii()
