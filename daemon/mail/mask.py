"""Masking what points to a person in a text that is about to leave the machine.

Each pattern repeats single characters up to a fixed bound, so the cost is linear in the text.
What cannot be found by form or by position stays: a name in the middle of a sentence, without
title and not among sender and recipients; postal addresses; numbers of fewer than five digits;
what a person can be recognised by from the story itself. Look through the file before it is
given away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from classifier.mail import Address

EMAIL, PHONE, IBAN, NUMBER, NAME = "[EMAIL]", "[PHONE]", "[IBAN]", "[NUMBER]", "[NAME]"

_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,4})?\b")
# Begins as numbers are dialled (+49, 0, (0), or is written the North American way.
_PHONE = re.compile(
    r"(?<![\w.,])(?:\+\d|\(?0\d|\(\+\d)[\d \u00a0/()-]{4,22}\d(?![\w])"
    r"|(?<!\w)\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\w)"
)
_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})(?!\d)|\d{4}-\d{2}-\d{2}(?!\d)")
# "Kundennummer: 4711-A", "Vertrags-Nr. 12", "customer no. AB12": at least one digit.
_NUMBERED = re.compile(
    r"\b((?:kunden|vertrags?|versicherungs?|versicherungsschein|policen?|schadens?|mitglieds?|"
    r"konto|zähler|auftrags?|bestell|rechnungs?|vorgangs?|buchungs?|steuer|personal|"
    r"customer|contract|policy|account|claim|member(?:ship)?|order|invoice|booking|"
    r"reference|case)[ -]?(?:nummer|nr\.?|number|no\.?|id|#))"
    r"(\s{0,3}(?:[:=#]|lautet|ist|is)?\s{0,3})(?=[A-Z/.-]{0,12}\d)[A-Z0-9][A-Z0-9/.-]{0,30}",
    re.IGNORECASE,
)
_CODE = re.compile(r"\b[A-Za-z]{1,5}[-/]?\d{4,20}(?:[-/][A-Za-z0-9]{1,20}){0,3}\b")
_LONG_NUMBER = re.compile(r"(?<![\w.,])\d{5,}(?:[-/]\d{1,20}){0,3}(?!\w)")

_TITLE = r"(?:Herrn?|Frau|Mr\.?|Mrs\.?|Ms\.?|Miss|Dr\.?|Prof\.?)"
_WORD = rf"(?!{_TITLE}(?!\w))[A-ZÄÖÜ][^\W\d_]{{1,30}}(?:['’-][^\W\d_]{{1,30}}){{0,2}}"
_TITLED = re.compile(rf"\b((?:{_TITLE} ){{1,3}})({_WORD})")
_GREETING = re.compile(
    r"^(\s{0,8}(?:Hallo|Hi|Hey|Hello|Dear|Liebe[rs]?|Moin|Servus|Grüß Gott|"
    r"Sehr geehrte[rs]?|Guten (?:Tag|Morgen|Abend)|Good (?:morning|afternoon|evening))"
    rf" (?:{_TITLE} ){{0,3}})({_WORD}(?: {_WORD}){{0,2}})(?= ?[,!.:;–-]|\s?$| [a-zäöü])"
)
_CLOSING = re.compile(
    r"^(\s{0,8}(?:(?:mit )?(?:freundliche[nmr]?|beste[nr]?|liebe[nr]?|herzliche[nr]?|viele[nr]?|"
    r"schöne[nr]?) gr(?:ü|ue)(?:ß|ss)(?:e[n]?)?|gru(?:ß|ss)|mfg|vg|lg|"
    r"(?:kind|best|warm)(?:est)? (?:regards|wishes)|regards|sincerely|yours(?: \w{1,12})?|"
    r"cheers|vielen dank|danke|thanks|thank you)[ ,.!]{0,4})(.{0,80})$",
    re.IGNORECASE,
)
_SIGNED = re.compile(
    rf"\s{{0,8}}(?:i\. ?[AV]\. )?({_WORD}(?: (?:{_WORD}|[A-Z]\.)){{0,3}})[,.]?\s{{0,8}}"
)
_LETTERS = re.compile(_WORD)
_RUN = re.compile(r"(?<![\w\[])\w[\w'’-]*+")
_JOINT = re.compile(r"(['’-])")
_MOST_PARTS = 3
"""Words of `_WORD` that hyphens or apostrophes may join to one name."""
_SIGNATURE_LINES = 2
"""Lines below a closing in which a name may stand."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


_NOBODY = _words(
    "damen herren team kunde kunden kundin kundinnen customer customers sir madam all alle "
    "zusammen freunde freundin freund eltern mitglied mitglieder kollegen kolleginnen kollege "
    "kollegin leser leserin leserinnen nachbarn nachbarinnen everyone everybody friends "
    "colleagues user member subscriber interessent interessenten abonnent ihr ihre für und "
    "support service kundenservice redaktion vorstand grüße grüßen gruß gruesse greetings"
)
"""What greetings and closings name besides persons."""
_ORGANISATION = _words(
    "ag gmbh kg mbh ohg ev e.v. inc ltd llc corp se team service services support newsletter "
    "news bank sparkasse shop store verein versicherung versicherungen stadtwerke rechnung "
    "bestellung info noreply kundenservice kundendienst hotel reisen verlag redaktion amt "
    "finanzamt schule universität university group gruppe list liste online system mailer "
    "daemon notification notifications alerts vorstand buchhaltung"
)
_ROLE = _words(
    "info noreply no-reply donotreply service support newsletter news kontakt contact office "
    "mail hello team shop order orders rechnung buchung billing admin postmaster webmaster "
    "mailer-daemon notification notifications alert alerts vorstand verein list sales"
)


def person_names(addresses: Iterable[Address]) -> tuple[str, ...]:
    """Words of the display names that look like a person's: two to four words, none of them of
    an organisation, and no address of a role such as info@. Longest first."""
    words: set[str] = set()
    for each in addresses:
        local = each.address.partition("@")[0].lower()
        found = _LETTERS.findall(each.name[:100])
        is_plain = 2 <= len(found) <= 4 and not re.search(r"\d", each.name)
        known = {word.lower() for word in re.split(r"[\s,]+", each.name[:100])}
        if is_plain and local not in _ROLE and not known & _ORGANISATION:
            words.update(word for word in found if len(word) > 2)
    return tuple(sorted(words, key=lambda word: (-len(word), word)))


def mask(text: str, names: Iterable[str] = ()) -> str:
    """`text` with addresses, numbers and names replaced by [EMAIL], [NAME] and so on.

    `names` are words to replace wherever they stand alone; those of greetings, closings and
    after a title are found here. Masked twice is masked once.
    """
    text = _EMAIL.sub(EMAIL, text)
    text = _IBAN.sub(_iban, text)
    text = _NUMBERED.sub(rf"\1\2{NUMBER}", text)
    text = _PHONE.sub(_phone, text)
    text = _CODE.sub(NUMBER, text)
    text = _LONG_NUMBER.sub(NUMBER, text)
    lines, found = _without_names(text.split("\n"))
    return _without_words("\n".join(lines), {*names, *found})


def _iban(match: re.Match[str]) -> str:
    """Mask the longest beginning whose check digits are right (ISO 13616: modulo 97 is 1)."""
    whole = match[0]
    for end in range(len(whole), 14, -1):
        plain = whole[:end].replace(" ", "").upper()
        if whole[end - 1] != " " and 15 <= len(plain) <= 34:
            digits = "".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])
            if int(digits) % 97 == 1:
                return IBAN + whole[end:]
    return whole


def _phone(match: re.Match[str]) -> str:
    is_date = _DATE.match(match[0]) is not None
    enough = sum(sign.isdigit() for sign in match[0]) >= 7
    return PHONE if enough and not is_date else match[0]


def _without_names(lines: list[str]) -> tuple[list[str], set[str]]:
    """Lines without names after titles, in greetings and below closings; and those names."""
    found: set[str] = set()
    kept: list[str] = []
    signing = 0
    for line in lines:
        shown = line
        closing = _CLOSING.match(line[:240])
        if closing is not None:
            shown = closing[1] + _signature(line[closing.end(1) :], found)
            signing = _SIGNATURE_LINES
        elif signing and line.strip():
            shown = _signature(line, found)
            signing -= 1
        shown = _GREETING.sub(lambda match: _named(match, found), shown)
        kept.append(_TITLED.sub(lambda match: _named(match, found), shown))
    return kept, found


def _signature(line: str, found: set[str]) -> str:
    match = _SIGNED.fullmatch(line[:120])
    if match is None or _words(match[1]) & (_NOBODY | _ORGANISATION):
        return line
    found.update(_LETTERS.findall(match[1]))
    return line.replace(match[1], NAME)


def _named(match: re.Match[str], found: set[str]) -> str:
    if _words(match[2]) & _NOBODY:
        return match[0]
    found.update(_LETTERS.findall(match[2]))
    return match[1] + NAME


def _without_words(text: str, names: set[str]) -> str:
    """`text` without these words, runs of them as one.

    By looking words up, not by one pattern made of all names: a text of nothing but greetings
    would cost its length times their number.
    """
    wanted = {name for name in names if len(name) > 2}
    if not wanted:
        return text
    text = _RUN.sub(lambda match: _masked_run(match, wanted), text)
    return text.replace(f"{NAME} {NAME}", NAME)


def _masked_run(match: re.Match[str], wanted: set[str]) -> str:
    """One word, or several joined by hyphens, with the longest names in it replaced."""
    if match.string[match.end() : match.end() + 1] == "]":  # [NAME] and its like stay
        return match[0]
    parts = _JOINT.split(match[0])  # words at even places, joints at odd ones
    shown: list[str] = []
    position = 0
    while position < len(parts):
        ends = range(min(position + 2 * _MOST_PARTS - 1, len(parts)), position, -2)
        longest = next((end for end in ends if "".join(parts[position:end]) in wanted), None)
        end = longest if longest is not None else position + 1
        shown += [NAME] if longest is not None else parts[position:end]
        shown += parts[end : end + 1]
        position = end + 1
    return "".join(shown)
