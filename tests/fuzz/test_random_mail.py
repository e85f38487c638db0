"""Random messages: a fixed number with a fixed seed here, as many as you like by `make fuzz`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.generate import TOKENS, messages
from tests.fuzz.mails import ODD
from tests.fuzz.pipeline import read

SEED = 20260301
INPUTS = 1_000
ODD_MESSAGES = tuple(content for content, _ in ODD.values())


def test_random_messages_keep_every_promise() -> None:
    """Made of tokens, or of our odd messages with pieces changed."""
    for content in messages(SEED, INPUTS, ODD_MESSAGES):
        read(content)


def test_the_same_seed_makes_the_same_messages() -> None:
    """What was found once can be found again."""
    assert list(messages(7, 50, ODD_MESSAGES)) == list(messages(7, 50, ODD_MESSAGES))
    assert list(messages(7, 50)) != list(messages(8, 50))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(st.sampled_from(TOKENS) | st.binary(max_size=6), max_size=80).map(b"".join)
    | st.binary(max_size=400)
)
def test_any_bytes_can_be_read(content: bytes) -> None:
    """Hypothesis shrinks what it finds."""
    read(content)
