"""The mail of a small account, German and English: five kinds that belong into five folders,
one kind that nobody has filed yet, and mail that belongs nowhere.

`mail(kind, number)` is always the same message, and no two are alike: senders, subjects and
sentences are combined anew for each number.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

MAILS_PER_FOLDER = 16
_FIRST_DATE = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Kind:
    """What mails of one kind are made of. {n}, {euro}, {day} and {place} are filled in."""

    senders: tuple[str, ...]
    subjects: tuple[str, ...]
    sentences: tuple[str, ...]
    greeting: str
    closing: str
    list_id: str = ""


_RECHNUNGEN = Kind(
    senders=(
        "Stadtwerke Auental <rechnung@stadtwerke-auental.example>",
        "Telefonhaus Nord <kundenservice@telefonhaus.example>",
        "Druckerei Wiesner <buchhaltung@druckerei-wiesner.example>",
        "Heizöl Brandis <office@heizoel-brandis.example>",
    ),
    subjects=(
        "Ihre Rechnung Nr. {n}",
        "Rechnung {n} vom {day}",
        "Abschlagsrechnung {n}, fällig am {day}",
        "Zahlungserinnerung zur Rechnung {n}",
        "Jahresabrechnung, Kundennummer {n}",
    ),
    sentences=(
        "Für unsere Leistungen berechnen wir Ihnen {euro} Euro einschließlich Mehrwertsteuer.",
        "Bitte überweisen Sie den Betrag bis zum {day} auf unser Konto.",
        "Die Rechnung finden Sie als PDF im Anhang.",
        "Der Betrag wird am {day} von Ihrem Konto abgebucht.",
        "Zahlbar innerhalb von 14 Tagen ohne Abzug, Verwendungszweck {n}.",
        "Bei Fragen zur Abrechnung erreichen Sie unsere Buchhaltung werktags bis 16 Uhr.",
        "Ihr neuer monatlicher Abschlag beträgt {euro} Euro.",
    ),
    greeting="Sehr geehrte Frau Lindner,",
    closing="Mit freundlichen Grüßen\nIhre Buchhaltung",
)
_KUENDIGUNGEN = Kind(
    senders=(
        "Wolfgang Reimer <w.reimer@heimpost.example>",
        "Sabine Kolbe <sabine.kolbe@briefkasten.example>",
        "Ewald Thiele <ewald.thiele@heimpost.example>",
        "Mira Santos <mira.santos@postbote.example>",
        "Jörg Häberle <haeberle@postbote.example>",
    ),
    subjects=(
        "Kündigung meines Vertrags {n}",
        "Kündigung der Hausratversicherung zum {day}",
        "Fristgerechte Kündigung, Vertrag {n}",
        "Widerruf und Kündigung {n}",
        "Ich möchte kündigen",
    ),
    sentences=(
        "Hiermit kündige ich den Vertrag {n} fristgerecht zum {day}.",
        "Bitte bestätigen Sie mir den Eingang der Kündigung schriftlich.",
        "Die Einzugsermächtigung widerrufe ich mit sofortiger Wirkung.",
        "Ich ziehe nach {place} und brauche die Versicherung nicht mehr.",
        "Nennen Sie mir bitte das Datum, zu dem der Vertrag endet.",
        "Von Angeboten, die mich zum Bleiben bewegen sollen, bitte ich abzusehen.",
        "Hilfsweise kündige ich zum nächstmöglichen Termin.",
    ),
    greeting="Sehr geehrte Damen und Herren,",
    closing="Hochachtungsvoll",
)
_TRAVEL = Kind(
    senders=(
        "Nordwind Airlines <booking@nordwind-air.example>",
        "Hotel Miramar <reservations@hotelmiramar.example>",
        "RailEurope Desk <tickets@raildesk.example>",
        "Island Ferries <noreply@islandferries.example>",
    ),
    subjects=(
        "Your booking {n} to {place}",
        "Boarding pass: {place}, {day}",
        "Your room in {place} is confirmed",
        "Itinerary {n}: {place}",
        "Check-in for {place} is open",
    ),
    sentences=(
        "Thank you for travelling to {place} with us; your booking code is {n}.",
        "Departure is on {day}, please be at the gate forty minutes before.",
        "Your seat reservation is attached, a printed ticket is not needed.",
        "Breakfast is included, and the room is available from three in the afternoon.",
        "One piece of hand luggage of up to eight kilograms is free of charge.",
        "The transfer from the airport to the hotel leaves every half hour.",
        "Online check-in closes one hour before departure.",
    ),
    greeting="Dear traveller,",
    closing="Have a pleasant journey",
)
_COMPILER = Kind(
    senders=(
        "Gareth Pugh <gareth@pugh.example>",
        "Ines Duarte <ines@duarte-dev.example>",
        "Oleg Marchenko <oleg@marchenko.example>",
        "Hana Sato <hana@sato.example>",
    ),
    subjects=(
        "[kestrel-dev] register allocator spills too early",
        "[kestrel-dev] RFC {n}: typed intermediate representation",
        "[kestrel-dev] Patch {n}: fix constant folding of shifts",
        "[kestrel-dev] failing test on the arm64 builder",
        "[kestrel-dev] release candidate {n}",
    ),
    sentences=(
        "The patch folds the two passes into one and keeps the intermediate representation typed.",
        "I bisected the failing test to commit {n}, where the type checker became lazy.",
        "Could somebody with an arm64 machine run the whole test suite on this branch?",
        "The parser now recovers after a missing bracket instead of giving up on the file.",
        "My benchmark shows that compile times drop by a tenth with the new allocator.",
        "Please review before {day}, I would like to have it in the release.",
        "The garbage collector does not see pointers that live only in registers.",
    ),
    greeting="Hi all,",
    closing="Cheers",
    list_id="Kestrel compiler development <kestrel-dev.lists.example>",
)
_FAMILIE = Kind(
    senders=(
        "Oma Hilde <hilde.lindner@auental-post.example>",
        "Stefan Lindner <stefan@lindner-holz.example>",
        "Tante Renate <renate@sonnenhang.example>",
    ),
    subjects=(
        "Sonntag bei uns?",
        "Papas Geburtstag",
        "Fotos aus {place}",
        "Re: Weihnachten",
        "Äpfel aus dem Garten",
    ),
    sentences=(
        "Der Baum hängt dieses Jahr so voll, dass wir alles gar nicht alleine essen können.",
        "Kommt ihr am {day} zum Kaffee, ich backe den Kuchen, den die Kinder so mögen?",
        "Papa hat wieder Rücken, aber zum Arzt geht er natürlich nicht.",
        "Die Kleine hat in {place} schwimmen gelernt, du glaubst nicht, wie stolz sie ist.",
        "Bring doch bitte die leeren Gläser mit, die mit den roten Deckeln.",
        "Ich hab beim Aufräumen Bilder von früher gefunden, da warst du gerade drei.",
        "Drück die Kinder ganz fest von mir.",
    ),
    greeting="Ihr Lieben,",
    closing="Bis bald und dicke Umarmung",
)
_RENTAL = Kind(
    senders=("Autoverleih Sprint <abrechnung@autoverleih-sprint.example>",),
    subjects=(
        "Ihre Rechnung Nr. {n}",
        "Rechnung {n} vom {day}",
        "Abrechnung Mietwagen, Kundennummer {n}",
    ),
    sentences=(
        "Für den Wagen {n} berechnen wir Ihnen {euro} Euro einschließlich Mehrwertsteuer.",
        "Bitte überweisen Sie den Betrag bis zum {day} auf unser Konto.",
        "Die Rechnung finden Sie als PDF im Anhang.",
        "Zahlbar innerhalb von 14 Tagen ohne Abzug, Verwendungszweck {n}.",
        "Bei Fragen zur Abrechnung erreichen Sie unsere Buchhaltung werktags bis 16 Uhr.",
    ),
    greeting="Sehr geehrte Frau Lindner,",
    closing="Mit freundlichen Grüßen\nIhre Buchhaltung",
)
_CHOIR = Kind(
    senders=(
        "Chor Sankt Anna <probe@chor-sankt-anna.example>",
        "Vera Notz <vera.notz@chor-sankt-anna.example>",
    ),
    subjects=(
        "Probe am {day}",
        "Noten für das Konzert in {place}",
        "Chorwochenende {place}",
        "Einsingen und Kleiderordnung",
    ),
    sentences=(
        "Wir proben am {day} die ersten beiden Sätze des Requiems.",
        "Der Sopran trifft sich eine halbe Stunde früher zum Einsingen.",
        "Bringt bitte die blauen Notenhefte und einen Bleistift mit.",
        "Beim Konzert in {place} singen wir auswendig, schwarz gekleidet.",
        "Im Tenor fehlen uns noch zwei Stimmen, fragt doch einmal herum.",
        "Die Stimmbildung übernimmt wieder unsere Kantorin.",
    ),
    greeting="Liebe Sängerinnen und Sänger,",
    closing="Mit klingenden Grüßen",
    list_id="Chor Sankt Anna <alle.chor-sankt-anna.example>",
)

FOLDERS = {
    "Rechnungen": _RECHNUNGEN,
    "Kündigungen": _KUENDIGUNGEN,
    "Travel": _TRAVEL,
    "Lists/Kestrel": _COMPILER,
    "Familie": _FAMILIE,
}
"""The label folders of the account, and what lies in them."""

RENTAL = "Mietwagen"
"""Reads like an invoice, but this user files it with the journeys."""

CHOIR = "Chor"
"""A kind for which there is no folder at first."""

_KINDS = {**FOLDERS, RENTAL: _RENTAL, CHOIR: _CHOIR}
_PLACES = ("Porto", "Bergen", "Triest", "Gent", "Kraków", "Málaga", "Split", "Tromsø")
_DAYS = ("3. März", "14. Mai", "21. Juni", "2. August", "9. Oktober", "28. November")


def archive() -> Iterator[tuple[str, datetime, bytes]]:
    """Folder, date and content of everything that the user has filed so far, oldest first."""
    for number in range(MAILS_PER_FOLDER):
        for folder in FOLDERS:
            yield folder, sent_at(folder, number), mail(folder, number)


def next_mails(kind: str, count: int, *, skip: int = 0) -> list[bytes]:
    """Mails of a kind that are not in the archive."""
    first = MAILS_PER_FOLDER + skip
    return [mail(kind, number) for number in range(first, first + count)]


def message_id(kind: str, number: int) -> str:
    """The Message-ID of a mail."""
    return f"<{list(_KINDS).index(kind)}.{number}@mails.example>"


def sent_at(kind: str, number: int) -> datetime:
    """The date of a mail; kinds take turns."""
    return _FIRST_DATE + timedelta(days=3 * number, hours=list(_KINDS).index(kind))


def mail(kind: str, number: int) -> bytes:
    """The mail of this kind and number; every fourth is HTML."""
    made = _KINDS[kind]
    chance = random.Random(f"{kind}:{number}")  # noqa: S311 - the same every time
    subject = made.subjects[number % len(made.subjects)]
    sentences = chance.sample(made.sentences, 4)
    slots = {
        "n": chance.randrange(10_000, 99_999),
        "euro": f"{chance.randrange(20, 900)},{chance.randrange(10, 99)}",
        "day": chance.choice(_DAYS),
        "place": chance.choice(_PLACES),
    }
    lines = [made.greeting, *sentences, made.closing]
    message = EmailMessage()
    message["From"] = made.senders[number % len(made.senders)]
    message["To"] = "Anja Lindner <anja@lindner.example>"
    message["Subject"] = subject.format(**slots)
    message["Date"] = format_datetime(sent_at(kind, number))
    message["Message-ID"] = message_id(kind, number)
    if made.list_id:
        message["List-Id"] = made.list_id
    text = "\n\n".join(lines).format(**slots)
    if number % 4 == 3:
        paragraphs = "".join(f"<p>{line}</p>" for line in text.splitlines() if line)
        message.set_content(f"<html><body>{paragraphs}</body></html>", subtype="html")
    else:
        message.set_content(text)
    return message.as_bytes().replace(b"\n", b"\r\n")


def stranger(number: int = 0) -> bytes:
    """Mail that belongs into none of the folders."""
    message = EmailMessage()
    message["From"] = f"Kurator {number} <museum{number}@antiquity.example>"
    message["To"] = "anja@lindner.example"
    message["Subject"] = f"Bronze age axe, find {number}"
    message["Date"] = format_datetime(_FIRST_DATE + timedelta(days=200 + number))
    message["Message-ID"] = f"<stranger.{number}@mails.example>"
    message.set_content(
        f"The corrosion on object {number} turned out to be malachite. Spectrometry gives eleven "
        "per cent tin.\n\nDo you still want to see it before it goes behind glass?\n"
    )
    return message.as_bytes().replace(b"\n", b"\r\n")
