"""The main job once through: sort, be corrected, learn, sort right, undo.

Every stage is recorded as it was, so that each promise can be a test of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.e2e.mails import CHOIR, FOLDERS, RENTAL, next_mails, stranger
from tests.e2e.world import World
from tests.support.inventory import Inventory, StoredMessage

SORTED = {folder: next_mails(folder, 2) for folder in FOLDERS}
STRANGERS = [stranger(number) for number in range(2)]
RENTALS = next_mails(RENTAL, 2)
NEXT_RENTAL = next_mails(RENTAL, 1, skip=2)[0]
FILED = next_mails(CHOIR, 1)[0]
PUT_BACK = SORTED["Familie"][0]


@dataclass(frozen=True)
class Stage:
    """What `run --once --json` said of the account, and what the account held afterwards."""

    report: Any
    after: Inventory


@dataclass(frozen=True)
class Story:
    """The stages in order. `delivered` are all messages just before each pass."""

    world: World
    delivered: list[Counter[StoredMessage]]
    first: Stage
    corrected: Stage
    again: Stage
    undone: Any
    after_undo: Inventory
    last: Stage


def tell(world: World) -> Story:
    """Live through it."""
    delivered = []
    mails = [mail for some in SORTED.values() for mail in some]
    world.deliver([*mails, *STRANGERS, *RENTALS, FILED])
    delivered.append(world.mail_count())
    first = _run(world)

    for rental in RENTALS:
        world.move(rental, "Rechnungen", "Travel")
    world.move(PUT_BACK, "Familie", "INBOX")
    world.move(FILED, "INBOX", "Familie")
    world.deliver([NEXT_RENTAL])
    delivered.append(world.mail_count())
    corrected = _run(world)
    again = _run(world)

    undone = world.home.json("undo", "--last", "1")
    after_undo = world.inventory()
    last = _run(world)
    return Story(world, delivered, first, corrected, again, undone, after_undo, last)


def _run(world: World) -> Stage:
    [report] = world.home.json("run", "--once")
    return Stage(report, world.inventory())
