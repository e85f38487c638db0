"""When a token can be used, and what is taken for a token at all."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.config.secrets import Secret
from daemon.sign_in.tokens import Tokens, read_grant
from tests.sign_in.conftest import START, Clock

ANSWER = {"access_token": "abc.def", "refresh_token": "r1", "expires_in": 3600}


@pytest.mark.parametrize(
    ("minutes", "fresh"),
    [(0, True), (57.9, True), (58, False), (60, False), (600, False), (-1.9, True), (-3, False)],
)
def test_a_token_counts_as_ended_before_its_end(minutes: float, fresh: bool) -> None:
    """Two minutes before; and when the clock was turned back, nobody knows its age."""
    clock = Clock()
    tokens = read_grant(ANSWER, clock())
    clock.turn(minutes=minutes)
    assert tokens.is_fresh(clock()) is fresh


def test_the_margin_of_a_short_token_is_short() -> None:
    """Otherwise a token of five minutes would be renewed at every look, one of two never be."""
    clock = Clock()
    tokens = read_grant({**ANSWER, "expires_in": 60}, clock())
    clock.turn(seconds=44)
    assert tokens.is_fresh(clock())
    clock.turn(seconds=2)
    assert not tokens.is_fresh(clock())


def test_a_provider_that_sends_no_new_refresh_token_wants_the_old_one() -> None:
    """RFC 6749, 6: Google does so."""
    answer = {"access_token": "abc", "expires_in": "3600"}
    found = read_grant(answer, START, Secret("old"))
    assert found.refresh_token == Secret("old")
    assert read_grant(answer, START).refresh_token is None


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": "a\x01auth=Bearer b"},
        {"access_token": "a\r\nb"},
        {"access_token": "pässwört"},
        {"access_token": "abc", "expires_in": "soon"},
        {"access_token": "abc", "expires_in": 1e300},
        {"access_token": "abc", "expires_in": [1]},
    ],
)
def test_what_is_no_grant_is_refused_without_being_quoted(answer: dict[str, Any]) -> None:
    """A token with other characters would break out of the SASL message."""
    with pytest.raises(ValueError, match="the answer") as caught:
        read_grant(answer, START)
    assert "Bearer b" not in str(caught.value)


def test_tokens_go_through_the_vault_unchanged_and_do_not_show_themselves() -> None:
    """And what is no JSON of ours is refused without being quoted."""
    tokens = read_grant(ANSWER, START)
    assert Tokens.from_json(tokens.to_json()) == tokens
    assert "abc" not in repr(tokens)
    assert "r1" not in repr(tokens)
    for text in ("", "[]", "{}", '{"access_token": "abc.def"}', "[" * 100_000):
        with pytest.raises(ValueError, match="no tokens"):
            Tokens.from_json(text)
