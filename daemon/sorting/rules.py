"""Rules that a person wrote: tried in order before the model, the first that fits decides.

A rule's move is a move like the model's: planned, journalled, verified, undone the same way,
made once per mail, and never an example. What it decided is stored as a number, the names of its
conditions and a digest, without the patterns: they may hold the addresses of correspondents,
which the database does not keep. Their text is found again in the configuration.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from daemon.mail.letterhead import Letterhead
from daemon.patterns import Pattern

CONTACT = "contact"
"""In place of a rule: the person writes to the sender."""

CONTACT_REASON = "You write to its sender, and keep_contacts leaves such mail in the inbox."

IsContact = Callable[[str], bool]


def nobody(_address: str) -> bool:
    """Without keep_contacts nobody is a contact."""
    return False


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a rule; `name` is "sender", "domain", "list", "subject" or, for a header
    field, "header NAME"."""

    name: str
    pattern: Pattern

    def holds(self, head: Letterhead) -> bool:
        """Whether the mail fits. What a mail lacks fits nothing."""
        return any(map(self.pattern.matches, self._values(head)))

    def _values(self, head: Letterhead) -> list[str]:
        match self.name:
            case "sender":
                return [head.sender]
            case "domain":
                return [head.domain] if self.pattern.is_regex else _with_parents(head.domain)
            case "list":
                return [head.list_id]
            case "subject":
                return [head.subject]
        return head.field(self.name.removeprefix("header "))

    def __str__(self) -> str:
        return f"{self.name} {json.dumps(self.pattern.text, ensure_ascii=False)}"


def _with_parents(domain: str) -> list[str]:
    """mail.bank.example, bank.example, example."""
    parts = domain.split(".")
    return [".".join(parts[at:]) for at in range(len(parts))]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: all its conditions must hold. `number` counts from 1; `folder` None: the mail
    is left in the inbox."""

    number: int
    conditions: tuple[Condition, ...]
    folder: str | None

    def matches(self, head: Letterhead) -> bool:
        """Whether it decides about this mail, if no earlier one does."""
        return all(each.holds(head) for each in self.conditions)

    @property
    def text(self) -> str:
        """The conditions with their patterns, for the person who wrote them."""
        return ", ".join(map(str, self.conditions))

    @property
    def names(self) -> str:
        """The conditions without their patterns."""
        return ", ".join(each.name for each in self.conditions)

    @property
    def digest(self) -> str:
        """Recognises the rule when others before it are added or removed."""
        said = json.dumps([[each.name, each.pattern.text] for each in self.conditions])
        return hashlib.blake2b(f"{said} {self.folder}".encode(), digest_size=4).hexdigest()

    @property
    def stored(self) -> str:
        """What a decision says of it: "2: sender, subject #1f3a5c7e"."""
        return f"{self.number}: {self.names} #{self.digest}"

    @property
    def reason(self) -> str:
        """Why a mail goes where it goes, without the patterns."""
        outcome = "leaves it in the inbox" if self.folder is None else f"files it in {self.folder}"
        return f"Your rule {self.number} ({self.names}) {outcome}."


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided about one mail without the model: `folder` by name, None for the inbox.
    `rule` is what the decision keeps of it."""

    folder: str | None
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules of an account in their order, and after them the contacts that are kept."""

    rules: tuple[Rule, ...] = ()
    is_contact: IsContact = nobody

    def __bool__(self) -> bool:
        """Whether any mail could be decided on by it."""
        return bool(self.rules) or self.is_contact is not nobody

    def matching(self, head: Letterhead) -> list[Rule]:
        """All rules that fit; the first of them decides."""
        return [rule for rule in self.rules if rule.matches(head)]

    def ruling(self, head: Letterhead) -> Ruling | None:
        """What the first rule that fits says, else what is said of contacts, else nothing."""
        for rule in self.rules:
            if rule.matches(head):
                return Ruling(rule.folder, rule.stored, rule.reason)
        if head.sender and self.is_contact(head.sender):
            return Ruling(None, CONTACT, CONTACT_REASON)
        return None


def describe_rule(stored: str, rules: Sequence[Rule]) -> str:
    """What a decision says of its rule, with the patterns as far as the rule still stands in the
    configuration: `rule 2: sender "*@bank.example"`."""
    if stored == CONTACT:
        return "keep_contacts: you write to its sender"
    number, _, rest = stored.partition(": ")
    names, _, digest = rest.rpartition(" #")
    known = next((rule for rule in rules if rule.digest == digest), None)
    if known is None:
        return f"rule {number}: {names} (changed since, or removed)"
    moved = "" if known.number == int(number) else f" (now rule {known.number})"
    return f"rule {number}: {known.text}{moved}"
