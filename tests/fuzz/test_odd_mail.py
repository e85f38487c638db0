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


MOST_MEMORY = 768 * 1024 * 1024
"""Address space for interpreter, libraries, the largest message and its reading."""


def test_no_message_is_too_much() -> None:
    """All bombs, full-sized, one of 100 MB among them, in one process that may not have more
    than `MOST_MEMORY`; what is not linear runs into the suite's time-out. The last line of
    the output names the one it ended with."""
    program = (
        "import resource\n"
        "from tests.fuzz.bombs import BOMBS\n"
        "from tests.fuzz.pipeline import read\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({MOST_MEMORY}, {MOST_MEMORY}))\n"
        "for name, make in BOMBS.items():\n"
        "    print(name, flush=True)\n"
        "    read(make())\n"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=CHECKOUT
    )
    assert done.returncode == 0, f"{done.stdout.splitlines()[-1:]}\n{done.stderr[-2_000:]}"
    assert len(done.stdout.splitlines()) == len(BOMBS)
