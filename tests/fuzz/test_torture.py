"""The torture messages, where they are at hand; see `tests/fuzz/corpus.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.corpus import torture_messages
from tests.fuzz.pipeline import read

EXPECTATIONS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("expectations.tsv").read_text("utf-8").splitlines()
]
"""Message and words that a person reads in it; chosen by reading the odd ones."""


@pytest.fixture
def corpus() -> dict[str, bytes]:
    """All messages, or a skip that says what is missing."""
    found = torture_messages()
    if not found:
        pytest.skip("no torture messages: set INBOXD_TORTURE_MESSAGES to their directory")
    return found


def test_every_torture_message_is_read(corpus: dict[str, bytes]) -> None:
    """None crashes, none hangs, each keeps the promises about sizes and signs."""
    assert len(corpus) > 600
    for content in corpus.values():
        read(content)


def test_cut_torture_messages_are_read(corpus: dict[str, bytes]) -> None:
    """As they come when only the first bytes are fetched: cut anywhere."""
    for number, content in enumerate(corpus.values()):
        read(content[: (number * 137) % (len(content) + 1)])


def test_a_person_would_recognise_the_text(corpus: dict[str, bytes]) -> None:
    """Words from the odd ones among them."""
    missing = [
        (name, words)
        for name, words in EXPECTATIONS
        if words not in read(corpus[name]).encoder_text
    ]
    assert missing == []
