"""Response codes, COPYUID and untagged changes, offline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.mailbox.responses import (
    appended_uid,
    copied_uids,
    is_change,
    is_refusal,
    response_code,
)


@pytest.mark.parametrize(
    ("answer", "asked", "mapping"),
    [
        (b"38505 304,319:320 3956:3958", [304, 319, 320], {304: 3956, 319: 3957, 320: 3958}),
        (b"1 5 9", [5], {5: 9}),
        (b"1 5:5 9:9", [5], {5: 9}),
        (b"1 7:5 1:3", [5, 6, 7], {5: 1, 6: 2, 7: 3}),
        (b"1 5,7 9:10", [5, 6, 7], {5: 9, 7: 10}),
        (b"1 5 9] Done [really", [5], {5: 9}),
        (b"1 4:5 9:10", [5, 6], {5: 10}),
        (b"1 5:6 9", [5, 6], {}),
        (b"1 5:6 9:10", [5], {}),
        (b"1 1:4294967295 1:4294967295", [5], {}),
        (b"1 5", [5], {}),
        (b"1 a b", [5], {}),
        (b"1 5 9 10", [5], {}),
        (b"\xff", [5], {}),
        (b"", [5], {}),
    ],
)
def test_copyuid_maps_old_to_new(answer: bytes, asked: list[int], mapping: dict[int, int]) -> None:
    """RFC 4315 sets in any spelling; what does not fit together is unknown."""
    assert copied_uids(answer, asked) == mapping


@given(st.binary(max_size=60), st.sets(st.integers(1, 50), max_size=5))
def test_any_copyuid_gives_only_what_was_asked_for(answer: bytes, asked: set[int]) -> None:
    """No answer of a server makes us believe in a message that we did not move."""
    assert set(copied_uids(answer, asked)) <= asked


@pytest.mark.parametrize(
    ("text", "refusal", "code"),
    [
        ("select failed: [NONEXISTENT] no such folder", True, "NONEXISTENT"),
        ("copy failed: no", True, ""),
        ("FETCH command error: BAD [b'[CLIENTBUG] what']", True, "CLIENTBUG"),
        ("FETCH command error: BAD [b'unknown item']", True, ""),
        ("b'[AUTHENTICATIONFAILED] no'", False, "AUTHENTICATIONFAILED"),
        ("got more than 1000000 bytes", False, ""),
        ("copy failed: see [this page] for help", True, ""),
    ],
)
def test_refusals_are_told_from_broken_protocol(text: str, refusal: bool, code: str) -> None:
    """By what imaplib and imapclient make of NO and BAD."""
    assert is_refusal(text) is refusal
    assert response_code(text) == code


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (b"* 5 EXISTS", True),
        (b"* 5 expunge", True),
        (b"* 5 FETCH (FLAGS ())", True),
        (b"* VANISHED 3:5", True),
        (b"* OK Still here", False),
        (b"* 0 RECENT", False),
        (b"* 5 EXISTSX", False),
        (b"A5 OK IDLE completed", False),
        (b"", False),
    ],
)
def test_changes_are_told_from_chatter(line: bytes, change: bool) -> None:
    """Only what concerns messages ends the waiting."""
    assert is_change(line) is change


@pytest.mark.parametrize(
    ("answer", "uid"),
    [
        (b"[APPENDUID 38505 3955] APPEND completed", 3955),
        (b"[appenduid 1 7] Done.", 7),
        (b"APPEND completed", None),
        (b"[APPENDUID 38505 3955:3957] Several", None),
        (b"[APPENDUID 38505 99999999999] Too much", None),
        (None, None),
    ],
)
def test_appenduid_tells_one_uid_or_none(answer: object, uid: int | None) -> None:
    """RFC 4315; a server that tells nothing sensible has told nothing."""
    assert appended_uid(answer) == uid
