"""No regular expression of ours may cost more than its input is long."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import classifier
import daemon
import trainer
from daemon.mail import mime
from tests.support.regexes import Attack, Found, attacks, is_super_linear, patterns_in

FOUND = [
    found
    for package in (classifier, daemon, trainer)
    for found in patterns_in(Path(str(package.__file__)).parent)
]
# Put together at run time, with an example of what comes out.
AT_RUN_TIME = {
    "daemon.mail.mime:delimiter": mime.delimiter("b"),
}


def name_of(found: Found) -> str:
    """For the test's id."""
    return found.place


def test_the_search_for_patterns_finds_them() -> None:
    """Those of modules, of functions, and with flags."""
    places = {found.place for found in FOUND}
    assert {"daemon.mail.mask:_NUMBERED", "classifier.quotes:_VERB"} <= places
    assert "daemon.locks:account_lock" in places or len(places) > 30


@pytest.mark.parametrize("found", FOUND, ids=name_of)
def test_no_pattern_is_super_linear(found: Found) -> None:
    """Growing inputs made for each pattern; the worst of them is shown."""
    pattern = found.pattern or AT_RUN_TIME.get(found.place)
    assert pattern is not None, f"{found.place}: give an example of it in AT_RUN_TIME"
    bad = [attack for attack in attacks(pattern) if is_super_linear(pattern, attack)]
    assert bad == []


@pytest.mark.parametrize(
    "text",
    [r"(a+)+$", r"\s+$", r"<a[^>]*>x", r"[a-z]+@", r"(\w+\s?)*:", r"x.*y.*z", r"a.*?b", r"\d+\d+x"],
)
def test_super_linear_patterns_are_recognised(text: str) -> None:
    """Quadratic and exponential ones of the kinds that are easily written."""
    pattern = re.compile(text)
    assert any(is_super_linear(pattern, attack) for attack in attacks(pattern))


@pytest.mark.parametrize("text", [r"\w+", r"a{1,64}@", r"<[^<>]*>", r"(?:re|aw):\s?"])
def test_linear_patterns_are_not_accused(text: str) -> None:
    """However busy the machine is."""
    pattern = re.compile(text)
    assert not any(is_super_linear(pattern, attack) for attack in attacks(pattern))


def test_an_attack_has_the_length_that_is_asked_for() -> None:
    """Up to one repetition."""
    assert len(Attack("", "ab", "").text(1_001)) == 1_000
