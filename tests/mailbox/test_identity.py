"""Identities from header bytes and FETCH responses, offline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from daemon.errors import ProtocolViolated
from daemon.mailbox.identity import (
    FINGERPRINT_BODY_BYTES,
    FetchRow,
    identify,
    identity_from,
    raw_message_from,
)
from daemon.mailbox.port import MessageIdentity

DATE = datetime(2026, 1, 5, 8, tzinfo=UTC)
HEADER = (
    b"From: a@x\r\nDate: Mon, 5 Jan 2026 08:00:00 +0000\r\nSubject: s\r\nMessage-ID: <1@x>\r\n\r\n"
)


def make(
    header: bytes = HEADER, *, body: bytes = b"", size: int = 100, server_id: str | None = None
) -> MessageIdentity:
    """An identity with defaults."""
    return identify(1, header, server_id=server_id, body_start=body, internal_date=DATE, size=size)


@pytest.mark.parametrize(
    "header",
    [
        HEADER.replace(b"<1@x>", b"<2@x>"),
        HEADER.replace(b"Subject: s", b"Subject: t"),
        HEADER.replace(b"a@x", b"b@x"),
        HEADER.replace(b"08:00:00", b"08:00:01"),
    ],
)
def test_each_field_makes_a_difference(header: bytes) -> None:
    """Message-ID, Subject, From and Date all count."""
    assert make(header).fingerprint != make().fingerprint


def test_size_makes_a_difference() -> None:
    """Two mails of one form with one Message-ID."""
    assert make(size=101).fingerprint != make().fingerprint


def test_folding_order_and_other_fields_make_none() -> None:
    """Servers return the asked-for fields in their own order, and all of them on fetch."""
    folded = (
        b"X-Spam: no\r\nMessage-ID:\r\n <1@x>\r\nSUBJECT: s\r\n"
        b"date: Mon, 5 Jan 2026\r\n\t08:00:00 +0000\r\nFrom:  a@x \r\n"
    )
    assert make(folded).fingerprint == make().fingerprint


def test_values_do_not_run_into_each_other() -> None:
    """A subject that looks like the end of a date is still a subject."""
    first = make(b"Date: ab\r\nFrom: c\r\n\r\n")
    second = make(b"Date: a\r\nFrom: bc\r\n\r\n")
    assert first.fingerprint != second.fingerprint


def test_the_body_counts_only_without_a_server_id() -> None:
    """With a server id it is never fetched for the identity."""
    assert make(body=b"x").fingerprint != make(body=b"y").fingerprint
    with_id = [make(body=body, server_id="g") for body in (b"x", b"y")]
    assert with_id[0].fingerprint == with_id[1].fingerprint


def test_only_the_beginning_of_the_body_counts() -> None:
    """A fetch brings more of the body than identify does: same fingerprint."""
    body = b"z" * FINGERPRINT_BODY_BYTES
    assert make(body=body).fingerprint == make(body=body + b"more").fingerprint


def row(**changes: object) -> FetchRow:
    """One FETCH response."""
    values: dict[bytes, object] = {
        b"INTERNALDATE": datetime(2026, 1, 5, 9, tzinfo=timezone(timedelta(hours=1))),
        b"RFC822.SIZE": 100,
        b"BODY[HEADER.FIELDS (SUBJECT FROM)]": HEADER,
    }
    values.update({name.replace("_", "-").encode(): value for name, value in changes.items()})
    return values


@pytest.mark.parametrize(
    ("item", "value", "server_id"),
    [
        ("X-GUID", b"0123abcd", "0123abcd"),
        ("X-GUID", 4711, "4711"),
        ("EMAILID", (b"M1",), "M1"),
        ("X-GM-MSGID", 1278455344230334865, "1278455344230334865"),
        ("X-GUID", b"", None),
        ("X-GUID", None, None),
        ("EMAILID", (), None),
    ],
)
def test_server_ids_come_in_several_shapes(item: str, value: object, server_id: str | None) -> None:
    """An atom, a number, or in parentheses."""
    found = identity_from(1, {**row(), item.encode(): value}, item)
    assert found is not None
    assert found.server_id == server_id


@pytest.mark.parametrize("value", [None, b"abc", 0, -1, 2**64, (1,)])
def test_a_gmail_that_tells_no_id_is_an_error(value: object) -> None:
    """It has announced them, and nothing may be taken out of the inbox for a guess."""
    answer = row() if value is None else {**row(), b"X-GM-MSGID": value}
    with pytest.raises(ProtocolViolated):
        identity_from(1, answer, "X-GM-MSGID")


@pytest.mark.parametrize(
    ("labels", "labelled"),
    [
        ((), False),
        ((b"\\Inbox", b"\\Important"), False),
        ((b"\\Inbox", b"Reisen"), True),
        ((2026,), True),
        (b"Reisen", False),
        (None, False),
    ],
)
def test_only_labels_that_people_made_count(labels: object, labelled: bool) -> None:
    """X-GM-LABELS as the parser hands it over: atoms, strings, numbers."""
    found = identity_from(1, {**row(), b"X-GM-LABELS": labels}, None)
    assert found is not None
    assert found.labelled is labelled


def test_a_size_that_is_an_estimate_does_not_count() -> None:
    """The fingerprint is the same for any, and another one than with the size."""
    sizes = [identity_from(1, {**row(), b"RFC822.SIZE": n}, None, exact_size=False) for n in (5, 6)]
    assert sizes[0] is not None
    assert sizes[1] is not None
    assert sizes[0].fingerprint == sizes[1].fingerprint


def test_the_date_is_in_utc() -> None:
    """Whatever zone the server uses; an unreadable one is the epoch."""
    found, unreadable = (
        identity_from(1, row(), None),
        identity_from(1, row(INTERNALDATE=None), None),
    )
    assert found is not None
    assert found.internal_date == DATE
    assert found.internal_date.tzinfo is UTC
    assert unreadable is not None
    assert unreadable.internal_date == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {b"FLAGS": (b"\\Seen",)},
        {b"RFC822.SIZE": 5, b"BODY[HEADER]<0>": None},
        {b"BODY[HEADER]<0>": b"Subject: x\r\n\r\n"},
    ],
)
def test_an_incomplete_answer_is_a_missing_message(answer: FetchRow) -> None:
    """No identity is better than half of one."""
    assert identity_from(1, answer, "X-GUID") is None
    assert raw_message_from(1, answer, "X-GUID", 10, 1000) is None


def test_a_subject_like_the_stand_in_alone_is_a_real_message() -> None:
    """Only Courier's made-up mail has neither date nor Message-ID."""
    header = (
        b"From: System Administrator <root@localhost>\r\nSubject: message unavailable\r\n"
        b"Date: Mon, 5 Jan 2026 08:00:00 +0000\r\n\r\n"
    )
    assert identity_from(1, {**row(), b"BODY[HEADER.FIELDS (SUBJECT FROM)]": header}, None)


def test_an_endless_header_is_cut_and_closed() -> None:
    """The body does not run into the last header line, and the cut is admitted."""
    header = b"Subject: s\r\nX-Pad: " + b"x" * 100 + b"\r\n\r\n"
    answer = {b"RFC822.SIZE": 200, b"BODY[HEADER]<0>": header, b"BODY[TEXT]<0>": b"body"}
    found = raw_message_from(1, answer, None, 100, 30)
    assert found is not None
    assert found.content == header[:30] + b"\r\n\r\nbody"
    assert found.truncated


def test_a_body_of_digits_is_a_body() -> None:
    """The parser hands an unquoted number over as one."""
    answer = {b"RFC822.SIZE": 200, b"BODY[HEADER]<0>": HEADER, b"BODY[TEXT]<0>": 12345}
    found = raw_message_from(1, answer, None, 100, 1000)
    assert found is not None
    assert found.content == HEADER + b"12345"
