"""What points to a person is replaced; what tells where a mail belongs stays."""

from __future__ import annotations

import pytest

from classifier.mail import Address
from daemon.mail.mask import mask, person_names


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Mail an max.mustermann@firma.example.org!", "Mail an [EMAIL]!"),
        ("IBAN DE89 3704 0044 0532 0130 00 bitte", "IBAN [IBAN] bitte"),
        ("von AT61 1904 3002 3457 3201 bald", "von [IBAN] bald"),
        ("gb82west12345698765432", "[IBAN]"),
        ("Tel. +49 (0)40 123 456-78", "Tel. [PHONE]"),
        ("Tel. 040/1234567 oder 0171 2345678.", "Tel. [PHONE] oder [PHONE]."),
        ("call (555) 123-4567 now", "call [PHONE] now"),
        ("Kundennummer: K-4711, danke", "Kundennummer: [NUMBER], danke"),
        ("Vertrags-Nr. 12 endet", "Vertrags-Nr. [NUMBER] endet"),
        ("your customer no. AB12", "your customer no. [NUMBER]"),
        ("RE2026001 und KD-48213-A", "[NUMBER] und [NUMBER]"),
        ("Zählerstand 99812", "Zählerstand [NUMBER]"),
    ],
)
def test_numbers_and_addresses_are_found_by_their_form(text: str, masked: str) -> None:
    """German and English spellings."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "am 12.03.2026 um 10:00 Uhr",
        "am 01/02/2026 und 2026-03-01",
        "Betrag 1.234,56 EUR, 12 Stück",
        "Sehr geehrte Damen und Herren,",
        "Guten Tag, Rechnung und Zahlung",
        "Liebe Grüße aus Rom",
        "Hallo Team, Flug und Hotel sind gebucht",
        "Vielen Dank für Ihre Mail",
        "Ihre Kundennummer steht oben",
        "DE12 ist keine Kontonummer",
    ],
)
def test_dates_amounts_and_words_stay(text: str) -> None:
    """They are what a classifier learns from."""
    assert mask(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Hallo Erika,\nErika kommt", "Hallo [NAME],\n[NAME] kommt"),
        ("Sehr geehrte Frau Dr. Meier-Schmidt,", "Sehr geehrte Frau Dr. [NAME],"),
        ("Dear Mr. Smith,", "Dear Mr. [NAME],"),
        ("wie Herr Müller sagte", "wie Herr [NAME] sagte"),
        ("Mit freundlichen Grüßen\n\nHans Peter Wurst", "Mit freundlichen Grüßen\n\n[NAME]"),
        ("Viele Grüße Anna", "Viele Grüße [NAME]"),
        ("Kind regards,\nJohn B. Goode", "Kind regards,\n[NAME]"),
        ("Viele Grüße\nIhr Team", "Viele Grüße\nIhr Team"),
    ],
)
def test_names_are_found_by_their_place(text: str, masked: str) -> None:
    """After a greeting or a title, below a closing; and then everywhere."""
    assert mask(text) == masked


def test_names_of_sender_and_recipients_are_masked_as_whole_words() -> None:
    """In any order, one or both; never a part of a word."""
    names = person_names([Address("Mustermann, Erika", "erika@x.example")])

    assert mask("Erika Mustermann und Erikas Hund", names) == "[NAME] und Erikas Hund"
    assert mask("Frau Mustermanns Rechnung", names) == "Frau [NAME] Rechnung"


@pytest.mark.parametrize(
    "address",
    [
        Address("Stadtwerke Musterstadt", "kunden@stadtwerke.example"),
        Address("Blaue Reise", "newsletter@reise.example"),
        Address("Bahn", "max@bahn.example"),
        Address("Studio 54 Berlin", "a@studio.example"),
        Address("", "max@x.example"),
    ],
)
def test_organisations_are_no_persons(address: Address) -> None:
    """Their words say what the mail is about."""
    assert person_names([address]) == ()


def test_masking_twice_is_masking_once() -> None:
    """What stands in place of a name is no name."""
    text = "Hallo Erika,\nTel. 040 1234567, max@x.example\nViele Grüße\nKarl Wurst"
    once = mask(text, ("Wurst",))

    assert mask(once, ("Wurst", "NAME")) == once


@pytest.mark.parametrize(
    "piece",
    ["a", "0", "+4 ", "DE12 ", "a.b@", "Frau ", "kundennummer ", "Aa ", "A-", "1-", "(0 ", "\n"],
)
def test_hostile_text_costs_no_more_than_its_length(piece: str) -> None:
    """Patterns that backtrack would never come to an end here (the suite has a time limit)."""
    text = "Hallo " + piece * (400_000 // len(piece))

    assert mask(text)
