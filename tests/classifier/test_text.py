"""A mail becomes one clean text, the same for serving and for training."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.mail import Address, Mail
from classifier.text import (
    MAX_BODY,
    MAX_CONTEXT,
    MAX_ENCODER_BODY,
    MAX_SUBJECT,
    clean_characters,
    prepare,
    strip_reply_prefixes,
)

SENTENCE = "Bitte überweisen Sie den Betrag bis Freitag."

any_text = st.text(st.characters(exclude_categories=()), max_size=200)
addresses = st.builds(Address, any_text, any_text)
mails = st.builds(
    Mail,
    subject=any_text,
    sender=addresses,
    recipients=st.tuples(addresses),
    list_id=any_text,
    plain=any_text,
    html=any_text,
    attachments=st.tuples(any_text),
    references=st.tuples(any_text),
    automation=st.tuples(st.tuples(any_text, any_text)),
)


def test_the_encoder_reads_subject_sender_body_attachments_and_context() -> None:
    """One below the other, with the most telling first."""
    mail = Mail(
        subject="Re: Rechnung 17",
        sender=Address('"Muster, Anna"', "anna@example.org"),
        plain=f"Hallo,\n\n{SENTENCE}\n\nBob schrieb:\n> Was schulde ich?\n-- \nMuster GmbH",
        attachments=("Rechnung.pdf", ""),
    )
    text = prepare(mail)
    assert text.subject == "Rechnung 17"
    assert text.body == f"Hallo,\n{SENTENCE}"
    assert text.context == "Bob schrieb:\nWas schulde ich?\nMuster GmbH"
    assert text.encoder_text.split("\n") == [
        "Rechnung 17",
        "Muster, Anna",
        "Hallo,",
        SENTENCE,
        "Rechnung.pdf",
        "Bob schrieb:",
        "Was schulde ich?",
        "Muster GmbH",
    ]


@pytest.mark.parametrize(
    ("subject", "stripped", "forwarded"),
    [
        ("Re: Aw: RE[2]: Termin", "Termin", False),
        ("AW: WG: Termin", "Termin", True),
        ("Fwd: Re^3: Termin", "Termin", True),
        ("[team] Re: Termin", "[team] Termin", False),
        ("Antwort : Termin", "Termin", False),
        ("Rechnung: 17", "Rechnung: 17", False),
        ("Regarding: Termin", "Regarding: Termin", False),
        ("Re:", "", False),
        ("Re：回复", "回复", False),
    ],
)
def test_reply_prefixes_go_from_the_subject(subject: str, stripped: str, forwarded: bool) -> None:
    """In the spellings of the usual programs; a word that only begins like one stays."""
    assert strip_reply_prefixes(subject) == (stripped, forwarded)


def test_a_mail_that_is_only_a_quote_keeps_it() -> None:
    """Next to nothing of one's own ("Danke!") is not enough to file a mail by."""
    text = prepare(Mail(plain=f"Danke!\n\n> {SENTENCE}"))
    assert text.body == f"Danke!\n{SENTENCE}"
    assert text.context == ""


def test_a_forward_keeps_what_is_forwarded() -> None:
    """Outlook's forwards look like its replies; only the subject tells them apart."""
    old = "Von: A\nGesendet: Montag\nAn: B\nBetreff: Miete\n\nDie Miete steigt zum Mai."
    plain = f"{SENTENCE}\n\n{old}"
    assert "Die Miete" in prepare(Mail(subject="WG: Miete", plain=plain)).body
    reply = prepare(Mail(subject="AW: Miete", plain=plain))
    assert "Die Miete" not in reply.body
    assert "Die Miete" in reply.context


def test_html_is_read_when_the_plain_part_is_empty_or_a_stub() -> None:
    """Plain text is preferred, but not "your mail program cannot show this mail"."""
    html = f"<p>{SENTENCE}</p>" * 5
    assert SENTENCE in prepare(Mail(html=html)).body
    assert SENTENCE in prepare(Mail(plain="See the HTML version.", html=html)).body
    assert prepare(Mail(plain=SENTENCE, html=f"<b>{SENTENCE}</b>!!")).body == SENTENCE


def test_html_in_the_plain_part_is_read_as_html() -> None:
    """Some senders declare text/plain and send HTML."""
    text = prepare(Mail(plain=f"<html><body><p>{SENTENCE}</p></body></html>"))
    assert text.body == SENTENCE


def test_quotes_in_html_become_context() -> None:
    """The same split as for plain text."""
    text = prepare(Mail(html=f"<p>{SENTENCE}</p><div class=gmail_quote>Was schulde ich?</div>"))
    assert (text.body, text.context) == (SENTENCE, "Was schulde ich?")


def test_addresses_of_pages_shrink_to_their_host() -> None:
    """The host says who is linked to; the rest is tracking."""
    text = prepare(
        Mail(plain="Siehe https://www.shop.example.org/a/b?utm=1&id=2#x, danke für alles")
    )
    assert text.body == "Siehe shop.example.org danke für alles"


def test_encoded_data_is_dropped_and_long_words_without_blanks_are_kept() -> None:
    """Base64 is no language, Chinese is."""
    text = prepare(Mail(plain=f"{SENTENCE} {'QUJD' * 30}\n{'汉字' * 50}"))
    assert text.body == f"{SENTENCE}\n{'汉字' * 50}"


def test_characters_are_composed_and_invisible_ones_removed() -> None:
    """One spelling per word, whatever the sender's machine made of it."""
    dirty = "Gru\u0308\u200bße\ufeff \x00a\u00adb\ud800\r\nc\u2028d\re"
    assert clean_characters(dirty) == "Grüße ab\nc\nd\ne"


def test_everything_is_capped() -> None:
    """A huge mail costs no more than a large one."""
    words = "Wort " * 100_000
    text = prepare(Mail(subject=words, plain=words + "\n> " + words, sender=Address(words, "")))
    assert len(text.subject) <= MAX_SUBJECT
    assert len(text.body) <= MAX_BODY
    assert len(text.context) <= MAX_CONTEXT
    assert len(text.encoder_text) <= MAX_SUBJECT + MAX_ENCODER_BODY + MAX_CONTEXT + 500


@settings(max_examples=300, deadline=None)
@given(mails)
def test_any_mail_becomes_clean_text(mail: Mail) -> None:
    """Nothing raises, and the outcome can be encoded, stored and compared."""
    text = prepare(mail)
    for part in (text.encoder_text, text.subject, text.body, text.context):
        part.encode("utf-8")
        assert "\x00" not in part
        assert unicodedata.is_normalized("NFC", part)
    assert prepare(mail) == text


HOSTILE = {
    "combining marks": "a" + "\u0327\u0301" * 500_000,
    "prefixes": "Re: " * 500_000,
    "open bracket": "[" * 1_000_000,
    "brackets": "[a] " * 500_000,
    "blanks": " " * 2_000_000,
    "urls": "http://" * 300_000,
    "url": "https://a" + "b" * 2_000_000,
    "tags": "<a" * 500_000,
    "zero width": "\u200b" * 1_000_000,
    "lines": "a\n" * 500_000,
    "carriage returns": "\r" * 1_000_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_in_any_field_costs_little(text: str) -> None:
    """At these sizes anything quadratic runs for minutes and meets the time-out."""
    address = Address(text, text)
    prepare(Mail(text, address, (address,), text, text, text, (text,), None, text, (text,)))
    prepare(Mail(html=f"<html>{text}"))
