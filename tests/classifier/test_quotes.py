"""Quotes, attributions, history and signatures, in German and in English."""

from __future__ import annotations

import pytest

from classifier.quotes import own_words, with_quotes

MINE = "Ich komme morgen um zehn und bringe die Unterlagen mit."

ATTRIBUTIONS = [
    "On Mon, 3 Apr 2023 at 10:00, Anna Muster <anna@example.org> wrote:",
    "On Mon, 3 Apr 2023 at 10:00, Anna Muster\n<anna@example.org> wrote:",
    "Am 03.04.23 um 10:00 schrieb Anna Muster:",
    "Am Mo., 3. Apr. 2023 um 10:00 Uhr schrieb Anna Muster <\nanna@example.org>:",
    "In article <1993Apr1@example.org> anna@example.org (Anna Muster) writes:",
    "In article <1993Apr1@example.org>, anna@example.org\n(Anna Muster) writes...",
    "In <abc-1@example.org> anna@example.org writes:",
    "anna@example.org (Anna Muster) writes:",
    "Anna Muster <anna@example.org> schrieb in im Newsbeitrag:\n9ca8gk$e79$1@news.example.org...",
    "Anna Muster schrieb in Nachricht <9ca8gk$e79$1@news.example.org>...",
    "Anna Muster schrieb:",
    "Anna Muster wrote:",
    "Le 3 avril 2023, Anna Muster <anna@example.org> a écrit :",
]


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("mark", ["> ", ">", ">> ", "AM> ", "|> "])
def test_quotes_go_with_their_attribution(attribution: str, mark: str) -> None:
    """Above and below the quote stays what the sender wrote."""
    text = f"Hallo,\n\n{attribution}\n\n{mark}alte Zeile\n{mark}noch eine\n\n{MINE}\n"
    assert own_words(text).split("\n") == ["Hallo,", "", "", "", MINE]


@pytest.mark.parametrize("mark", [": ", "| ", "} ", "% "])
def test_an_unusual_mark_is_learnt_from_the_line_after_an_attribution(mark: str) -> None:
    """Old newsreaders let people choose the sign in front of quoted lines."""
    text = f"anna@example.org writes:\n{mark}old\n{mark}older\n{MINE}"
    assert own_words(text).strip() == MINE
    assert mark.strip() in own_words(f"{mark}a table\n{MINE}")


@pytest.mark.parametrize(
    "history",
    [
        "-----Original Message-----\nFrom: Anna\nSubject: x\n\nold",
        "-----Ursprüngliche Nachricht-----\nVon: Anna\nBetreff: x\n\nold",
        "-------- Original-Nachricht --------\nold",
        "________________________________\nVon: Anna <a@example.org>\nGesendet: Montag\n"
        "An: Bob\nBetreff: Termin\n\nold",
        "*From:* Anna\n*Sent:* Monday\n*To:* Bob\n*Subject:* Date\n\nold",
        "Datum: 3. April\nVon: Anna\nAn: Bob\n\nold",
        "Am 03.04.23 um 10:00 schrieb Anna Muster <a@example.org>:\n\nold without marks",
    ],
)
def test_everything_below_a_history_separator_goes(history: str) -> None:
    """Outlook, web mail and phones put the earlier mail below, without marks."""
    assert own_words(f"{MINE}\n\n{history}\n") == MINE
    assert "old" in with_quotes(f"{MINE}\n\n{history}\n")


@pytest.mark.parametrize(
    "separator",
    [
        "---------- Forwarded message ---------",
        "-------- Weitergeleitete Nachricht --------",
        "Begin forwarded message:",
        "Anfang der weitergeleiteten Nachricht:",
    ],
)
def test_a_forwarded_mail_stays_without_its_header_block(separator: str) -> None:
    """What is forwarded is what the mail is about."""
    text = f"{MINE}\n\n{separator}\nFrom: Anna\nDate: Monday\nSubject: Trip\nTo: Bob\n\nTickets"
    assert [line for line in own_words(text).split("\n") if line] == [
        MINE,
        "Subject: Trip",
        "Tickets",
    ]


@pytest.mark.parametrize("delimiter", ["-- ", "--", "- -- "])
def test_a_signature_goes(delimiter: str) -> None:
    """The delimiter of RFC 3676, also with its blank lost or escaped by PGP."""
    assert own_words(f"{MINE}\n{delimiter}\nAnna Muster\nTel. 0123") == MINE


def test_a_rule_in_the_middle_of_a_long_text_is_no_signature() -> None:
    """ "--" above twenty lines separates parts of the text."""
    text = f"{MINE}\n--\n" + "\n".join(f"Punkt {number}" for number in range(20))
    assert "Punkt 19" in own_words(text)


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my iPhone",
        "Von meinem iPhone gesendet",
        "Gesendet von Mail für Windows",
        "Diese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.",
        "Get Outlook for iOS<https://aka.ms/o0ukef>",
    ],
)
def test_the_advertisement_of_a_device_goes(line: str) -> None:
    """It says what the mail was written on, not what it is about."""
    assert own_words(f"{MINE}\n\n{line}") == MINE


@pytest.mark.parametrize(
    "text",
    [
        "Am 5. Mai kommt der Handwerker.\nBitte sei da.",
        "From the start: we have three options.\nTo: decide.",
        "begin 2024 with us\nand save",
        "Von meinem Bruder habe ich nichts gehört.",
        "He wrote: nothing.\nI wrote a lot.",
        "Auf dieser Seite: die Preise",
        "Preis: 10 Euro\nDatum: 3. Mai\nOrt: Berlin",
        ">From here on it is mine",
    ],
)
def test_ordinary_sentences_stay(text: str) -> None:
    """Words that begin an attribution or a header also begin sentences."""
    assert own_words(text) == text


def test_pgp_armour_and_uuencoded_files_go() -> None:
    """Encoded data is no text; signed text is."""
    text = (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{MINE}\n"
        "-----BEGIN PGP SIGNATURE-----\niQEzBAEBCAAdFiEE\n-----END PGP SIGNATURE-----\n"
        "begin 644 picture.gif\nM1TE&.#EA\nend\nEnde"
    )
    assert own_words(text) == f"{MINE}\nEnde"


def test_quotes_that_are_kept_lose_their_marks() -> None:
    """A mail that is nothing but a quote is read without the signs in front."""
    assert with_quotes("> > Hallo\n>> Welt\nAM> hier") == "Hallo\nWelt\nhier"


HOSTILE = {
    "attribution without end": "Am " + "x schrieb y " * 200_000,
    "many openings": "Am 1.1.\n" * 200_000,
    "many verbs": "a@b wrote: " * 200_000,
    "openings on quotes": "On 1 a@b wrote:\n> x\n" * 100_000,
    "headers": "From: a\n" * 200_000,
    "header kinds": "From: a\nDate: b\n" * 200_000,
    "blank lines": "\n" * 1_000_000,
    "blank lines and openings": "\n" * 3_000 + "On 1 x wrote:\n> y\n" * 3_000,
    "blanks": " " * 2_000_000,
    "marks": ">" * 2_000_000,
    "marks and blanks": "> " * 1_000_000,
    "mark lines": "> a\n" * 300_000,
    "dashes": "-" * 2_000_000,
    "dash lines": "-- \n" * 300_000,
    "one word": "a" * 2_000_000,
    "dots": "wrote" + "." * 2_000_000,
    "identifiers": "a@b wrote:\n" + "@" * 2_000_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_cost_grows_with_the_text_and_not_with_its_square(text: str) -> None:
    """At these sizes a quadratic pattern runs for hours and meets the time-out."""
    assert len(own_words(text)) <= len(text)
    assert len(with_quotes(text)) <= len(text)
