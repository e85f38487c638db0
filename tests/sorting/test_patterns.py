"""Patterns of rules: what they fit, what is refused, and that none can stall inboxd."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.patterns import MAX_PATTERN, MAX_TEXT, PatternFault, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("*@bank.example", "Konto@BANK.example"),
        ("konto@bank.example", "konto@bank.example"),
        ("[liste] *", "[Liste] Neues"),
        ("Rechnung ??/2026", "Rechnung 03/2026"),
        ("ÜBERWEISUNG*", "Überweisung 3"),
        ("U\u0308berweisung", "Überweisung"),
        ("a.b+c(d)|e^f$g\\h", "a.b+c(d)|e^f$g\\h"),
        ("*", "anything"),
        ("💌*", "💌 Post"),
        ("/kontoauszug \\d+/", "Ihr Kontoauszug 17 ist da"),
        ("/^(re|aw):/", "AW: Termin"),
        ("/ß$/", "Gruß"),
        ("//", "//"),
    ],
)
def test_what_fits(pattern: str, value: str) -> None:
    """Globs the whole value, expressions any part of it, whatever the capitals."""
    assert compile_pattern(pattern).matches(value)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("bank.example", "konto@bank.example"),
        ("konto@bank.example", "konto@bankXexample"),
        ("[liste]", "l"),
        ("Rechnung ?", "Rechnung 12"),
        ("*", ""),
        ("/.*/", ""),
        ("/^auszug/", "Kontoauszug"),
    ],
)
def test_what_does_not_fit(pattern: str, value: str) -> None:
    """A dot is a dot, brackets are brackets, and what a mail lacks fits nothing."""
    assert not compile_pattern(pattern).matches(value)


@pytest.mark.parametrize(
    "pattern",
    ["", "  ", "/(/", "/a**/", "/(?=a)/", "/(a)\\1/", "/(a{1000}){1000}/", "x" * (MAX_PATTERN + 1)],
)
def test_what_cannot_be_used_is_refused_with_a_reason(pattern: str) -> None:
    """Also what only an engine with backtracking could do."""
    with pytest.raises(PatternFault) as caught:
        compile_pattern(pattern)
    assert len(str(caught.value)) > 5


@pytest.mark.parametrize("pattern", ["/(a+)+$/", "/(a|aa)*b/", "/^(([a-z])+.)+[A-Z]([a-z])+$/"])
def test_expressions_that_stall_other_engines_end(pattern: str) -> None:
    """Python's own engine would need longer than the universe for these; the time limit of the
    tests is what fails here otherwise."""
    assert not compile_pattern(pattern).matches("a" * (MAX_TEXT - 1) + "!")


@given(st.text(min_size=1, max_size=60), st.text(max_size=60))
def test_globs_agree_with_the_plain_meaning(glob: str, value: str) -> None:
    """Compared with Python's engine on the pattern spelt out, for ASCII, where both agree on
    what capitals are."""
    if not (glob.isascii() and value.isascii() and glob.strip()) or glob[0] == "/" == glob[-1]:
        return
    meaning = "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in glob)
    expected = bool(value) and re.fullmatch(meaning, value, re.DOTALL | re.IGNORECASE) is not None

    assert compile_pattern(glob).matches(value) == expected


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_pattern_and_no_value_fails_in_an_unexpected_way(pattern: str, value: str) -> None:
    """A fault or an answer, lone surrogates and control characters included."""
    try:
        found = compile_pattern(pattern)
    except PatternFault:
        return
    assert found.matches(value) in {True, False}
