"""What happens on the stage: mail is delivered, a person moves it, and the daemon reacts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from daemon.demo.mails import INBOX, MessageBuilder, SampleMail, Samples
from daemon.demo.person import Person
from daemon.demo.screen import Screen
from daemon.demo.watch import Watcher
from daemon.store.tables import Action
from daemon.use_cases.application import Application
from daemon.use_cases.history import HistoryEntry


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one delivered mail, `seconds` after the server had it."""

    mail: SampleMail
    entry: HistoryEntry
    seconds: float

    @property
    def sorted(self) -> bool:
        """Whether inboxd moved it."""
        return self.entry.action == Action.MOVED.value

    @property
    def place(self) -> str:
        """Where it lies now, as far as inboxd has to do with it."""
        return self.entry.folder if self.sorted and self.entry.folder else INBOX

    @property
    def right(self) -> bool:
        """Whether it lies where its author wanted it to."""
        return self.place == self.mail.folder


@dataclass(slots=True)
class Play:
    """Everything that the acts need, and what has happened so far."""

    screen: Screen
    app: Application
    samples: Samples
    person: Person
    watcher: Watcher
    mails_per_second: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)

    def deliver(self, mails: Iterable[SampleMail]) -> list[Outcome]:
        """Deliver one mail after the other, each when the one before has been dealt with."""
        builder = MessageBuilder(self.samples, datetime.now(UTC))
        delivered = []
        for mail in mails:
            now = datetime.now(UTC)
            self.person.append(INBOX, builder.build(mail, now), now)
            arrived = time.monotonic()
            entry = self.watcher.wait_for(
                f"the daemon decides on {mail.subject!r}", partial(self.watcher.decision, mail)
            )
            outcome = Outcome(mail, entry, time.monotonic() - arrived)
            self.screen.decision(mail, entry, outcome.seconds)
            delivered.append(outcome)
        self.outcomes += delivered
        return delivered


@dataclass(frozen=True, slots=True)
class Moved:
    """One mail that the person moved."""

    mail: SampleMail
    source: str
    target: str


def mails_to_move(play: Play) -> list[Moved]:
    """Deliver mail that inboxd cannot know the place of, until the person has two to move.

    A mail that comes to the right place by itself needs no correction.
    """
    story = play.samples.story
    found = [one for one in play.deliver(story["wallbox"][:2]) if not one.right]
    if len(found) < 2:
        play.screen.say("That went well. What about letters from the children's school?")
        found += [one for one in play.deliver(story["school"]) if not one.right]
    return [Moved(one.mail, one.place, one.mail.folder) for one in found]


def mail_to_put_back(play: Play) -> Moved | None:
    """Deliver one that belongs into the inbox although it looks like others that do not.

    Should inboxd leave it there by itself, the person puts another one back, the last that was
    sorted: only what was moved can be put back.
    """
    play.deliver(play.samples.story["keep"][:1])
    candidates = [one for one in play.outcomes if one.sorted and one.mail.group in {None, "keep"}]
    return Moved(candidates[-1].mail, candidates[-1].place, INBOX) if candidates else None


def correct(play: Play, moves: Sequence[Moved]) -> float:
    """Let the person move the mails; returns the time of the last move (monotonic)."""
    for move in moves:
        play.person.move(move.source, move.mail.message_id, move.target)
        play.screen.move(move.mail, move.source, move.target)
    return time.monotonic()
