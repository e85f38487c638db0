"""Odd, broken, huge and hostile messages on their way to the encoder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.bombs import BOMBS
from tests.fuzz.mails import ODD
from tests.fuzz.pipeline import read

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ODD)
def test_what_a_person_would_read_is_read(name: str) -> None:
    """The words are there, whatever the message does to them."""
    content, expected = ODD[name]
    text = read(content).encoder_text
    assert [words for words in expected if words not in text] == []


def test_hidden_words_are_not_read() -> None:
    """What the reader does not see must not decide where a mail goes."""
    assert "secret" not in read(ODD["hidden html"][0]).encoder_text


@pytest.mark.parametrize("name", BOMBS)
def test_no_message_is_too_much(name: str) -> None:
    """Full-sized; what is not linear runs into the suite's time-out."""
    read(BOMBS[name]())


MOST_MEMORY = 768 * 1024 * 1024
"""Address space for interpreter, libraries, the largest message and its reading."""


def test_memory_is_bounded_for_every_message() -> None:
    """All of them in one process that may not have more than `MOST_MEMORY`, one message of
    100 MB among them."""
    program = (
        "import resource\n"
        "from tests.fuzz.bombs import BOMBS\n"
        "from tests.fuzz.pipeline import read\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({MOST_MEMORY}, {MOST_MEMORY}))\n"
        "for make in BOMBS.values():\n"
        "    read(make())\n"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=CHECKOUT)
