"""The way of a message up to the encoder, in one call, with its promises checked.

Shared by the fixed tests, hypothesis and atheris: whatever they find fails here.
"""

from __future__ import annotations

from classifier.features import lexical
from classifier.html import MAX_CHARACTERS
from classifier.text import (
    MAX_BODY,
    MAX_CONTEXT,
    MAX_ENCODER_BODY,
    MAX_PLAIN,
    MAX_SUBJECT,
    PreparedText,
    prepare,
)
from daemon.mail.parse import parse

_MOST_FEATURES = 60_000
"""Words and pairs of at most three texts, and the n-grams of some thousand characters."""


def read(content: bytes) -> PreparedText:
    """Parse, prepare, count. AssertionError when a promise about sizes or signs is broken."""
    mail = parse(content)
    assert len(mail.plain) <= MAX_PLAIN
    assert len(mail.html) <= MAX_CHARACTERS
    text = prepare(mail)
    assert len(text.subject) <= MAX_SUBJECT
    assert len(text.body) <= MAX_BODY
    assert len(text.context) <= MAX_CONTEXT
    assert len(text.encoder_text) <= MAX_ENCODER_BODY + MAX_CONTEXT + 5_000
    assert not set(text.encoder_text) & set("\x00\x1b\r\u202e\u200b\ufeff")
    text.encoder_text.encode("utf-8")  # no lone surrogates: tokenizers refuse them
    indices, values = lexical(mail, text)
    assert len(indices) == len(values) <= _MOST_FEATURES
    return text
