"""Bursts of moves: recorded and obeyed at once, learned from only when a person says so."""

from __future__ import annotations

import pytest

from daemon.sorting.bursts import BurstLimits
from daemon.sorting.threads import parent_folder
from daemon.store.tables import Correction, Hold, HoldReason
from tests.sorting.world import Killed, World, mail

MANY = BurstLimits(moves_per_hour=30, folder_share=0.0)
SHARE = BurstLimits(moves_per_hour=0, folder_share=0.5)


@pytest.fixture
def many(world: World) -> World:
    """Forty mails in the inbox, and room for thirty moves in an hour."""
    world.limits = MANY
    world.deliver(*(f"Hallo {number}" for number in range(40)))
    world.notice()
    return world


def holds(world: World) -> list[Hold | None]:
    """The state of every correction, oldest first."""
    return [each.hold for each in corrections(world)]


def corrections(world: World) -> list[Correction]:
    """Every correction, oldest first."""
    with world.store.read() as work:
        return work.corrections.latest(world.account(work), 1000)[::-1]


def unlearned(world: World, folder: str) -> int:
    """How many mails `inboxd learn` would make examples of in a folder."""
    with world.store.read() as work:
        row = next(f for f in work.folders.of(world.account(work)) if f.name == folder)
        return len(work.placements.newest_unlabelled(row, 1000))


def test_as_many_moves_as_the_limit_are_learned(many: World) -> None:
    """A diligent person is no burst."""
    many.move_all("INBOX", "Reisen", 30)
    found = many.notice()
    assert (found.lessons, found.held) == (30, 0)
    assert len(many.examples()) == 30


def test_one_more_than_the_limit_is_held_and_recorded(many: World) -> None:
    """Nothing is learned, nothing is lost, and `learn` does not learn it by the back door."""
    many.move_all("INBOX", "Reisen", 31)
    found = many.notice()
    assert (found.lessons, found.held) == (0, 31)
    assert many.examples() == []
    assert holds(many) == [Hold.HELD] * 31
    assert {each.hold_reason for each in corrections(many)} == {HoldReason.MANY}
    assert unlearned(many, "Reisen") == 0


def test_a_burst_over_several_passes_is_held_as_a_whole(many: World) -> None:
    """What was learned from its beginning is taken back when the limit is reached."""
    many.move_all("INBOX", "Reisen", 20)
    assert many.notice().lessons == 20
    many.move_all("INBOX", "Reisen")
    found = many.notice()
    assert (found.lessons, found.held, found.taken_back) == (0, 20, 20)
    assert many.examples() == []
    assert holds(many) == [Hold.HELD] * 40


def test_moves_over_many_hours_are_no_burst(many: World) -> None:
    """The same number, spread over a day."""
    for _ in range(8):
        many.move_all("INBOX", "Reisen", 5)
        many.tick(hours=1)
        many.notice()
    assert len(many.examples()) == 40


def test_a_burst_that_relabels_leaves_the_old_labels(many: World) -> None:
    """What was known before is known still, also of mail that a pass had relabelled already."""
    many.move_all("INBOX", "Reisen", 16)
    many.notice()
    many.tick(hours=2)
    many.move_all("INBOX", "Rechnungen", 16)
    many.notice()
    many.tick(hours=2)
    before = sorted(many.examples())

    many.move_all("Reisen", "Bewerbungen")
    many.notice()
    many.move_all("Rechnungen", "Bewerbungen")
    many.notice()

    assert [label for label, _ in sorted(many.examples())] == [label for label, _ in before]
    assert holds(many)[-32:] == [Hold.HELD] * 32


def test_put_backs_in_a_burst_are_obeyed_though_not_learned(world: World) -> None:
    """Never moved again: that does not wait for anybody's word."""
    world.limits = BurstLimits(moves_per_hour=3)
    world.deliver(*(f"Rechnungen {number}" for number in range(5)))
    assert world.cycle().moved == 5
    world.move_all("Rechnungen", "INBOX")
    found = world.notice()
    assert (found.lessons, found.held) == (0, 5)
    assert world.examples() == []
    world.renumber("INBOX")
    assert world.cycle().seen == 0
    assert len(world.server.folder("INBOX").messages) == 5


def test_half_of_a_folder_at_once_is_held_and_the_rest_is_learned(world: World) -> None:
    """Only the moves out of that folder belong to the burst."""
    world.limits = SHARE
    world.deliver(*(f"Alt {number}" for number in range(40)), folder="Reisen")
    world.deliver("Neu 1")
    world.notice()
    world.move_all("Reisen", "Rechnungen", 20)
    world.move("Neu 1", "Bewerbungen")
    found = world.notice()
    assert (found.lessons, found.held) == (1, 20)
    assert world.examples() == [("Bewerbungen", "moved")]
    assert {each.hold_reason for each in corrections(world)} == {None, HoldReason.FOLDER}


def test_less_than_half_of_a_folder_is_learned(world: World) -> None:
    """Nineteen of forty."""
    world.limits = SHARE
    world.deliver(*(f"Alt {number}" for number in range(41)), folder="Reisen")
    world.notice()
    world.move_all("Reisen", "Rechnungen", 20)
    assert world.notice().lessons == 20


def test_a_small_folder_may_be_emptied(world: World) -> None:
    """Half of six mails is an afternoon's tidying."""
    world.limits = SHARE
    world.deliver(*(f"Alt {number}" for number in range(6)), folder="Reisen")
    world.notice()
    world.move_all("Reisen", "Rechnungen")
    assert world.notice().lessons == 6


def test_emptying_the_inbox_is_no_burst_by_share(world: World) -> None:
    """That is what an inbox is for."""
    world.limits = SHARE
    world.deliver(*(f"Neu {number}" for number in range(30)))
    world.notice()
    world.move_all("INBOX", "Rechnungen")
    assert world.notice().lessons == 30


def test_limits_of_zero_hold_nothing(world: World) -> None:
    """Who does not want it turns it off."""
    world.limits = BurstLimits(0, 0.0)
    world.deliver(*(f"Alt {number}" for number in range(150)), folder="Reisen")
    world.notice()
    world.move_all("Reisen", "Rechnungen")
    assert world.notice().lessons == 150


def test_a_renamed_folder_is_no_burst(world: World) -> None:
    """Its mail has not moved; the label goes with it."""
    world.limits = SHARE
    world.deliver(*(f"Alt {number}" for number in range(60)), folder="Reisen")
    world.notice()
    world.server.rename("Reisen", "Urlaub")
    found = world.notice()
    assert (found.held, found.noticed) == (0, [])


def test_a_later_move_of_a_held_mail_is_learned_and_ends_its_waiting(many: World) -> None:
    """The person's newest word about a mail counts."""
    many.move_all("INBOX", "Reisen", 31)
    many.notice()
    many.tick(hours=2)
    many.move("Hallo 0", "Rechnungen")
    assert many.notice().lessons == 1
    assert many.examples() == [("Rechnungen", "moved")]
    assert holds(many).count(Hold.SUPERSEDED) == 1
    assert holds(many).count(Hold.HELD) == 30


def test_what_the_person_said_since_is_not_taken_back(many: World) -> None:
    """An example that was excluded or relabelled by a command is her own word."""
    many.move_all("INBOX", "Reisen", 20)
    many.notice()
    with many.store.write() as work:
        [first, *_] = work.examples.usable(many.account(work))
        work.examples.teach(
            many.account(work), first.message_id, first.folder, "relabelled", many.now
        )
        work.commit()
    many.move_all("INBOX", "Reisen")
    assert many.notice().taken_back == 19
    assert many.examples() == [("Reisen", "relabelled")]


def test_held_mail_draws_no_answers_into_its_folder(many: World) -> None:
    """A thread follows mail that people filed, not mail in a burst that nobody confirmed."""
    many.move_all("INBOX", "Reisen", 31)
    many.notice()
    answer = mail("Re: Hallo 3", in_reply_to="<hallo-3@example.org>")
    many.server.append("INBOX", answer)
    many.notice()
    waiting = many.placements("INBOX")[-1]
    with many.store.read() as work:
        assert parent_folder(work, many.account(work), waiting.message) is None


def test_half_way_through_a_pass_nothing_is_learned_or_held(many: World) -> None:
    """Moves, lessons and holds are one transaction: killed before its end, all come again."""
    many.move_all("INBOX", "Reisen", 31)
    broken = many.dying("snapshot", "before", call=2)
    with pytest.raises(Killed):
        many.notice(broken)
    assert corrections(many) == []
    assert many.notice().held == 31
