"""A person, her corrections, and folders that lose their autonomy by them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from daemon.sorting.promises import (
    SETTLED,
    WouldBe,
    judge_folder,
    lift_unmeant,
    resume,
    review,
    sentence,
    suspend_broken,
)
from daemon.store.tables import Action, Hold
from tests.sorting.test_rules import rule
from tests.sorting.world import World
from tests.support.stores import Stores

PROMISED = 0.97


def suspend(world: World) -> list[str]:
    """What inboxd does once it has noticed people's moves; the folders that it suspends now."""
    with world.store.write() as work:
        found = suspend_broken(work, world.account(work), PROMISED, world.now)
        work.commit()
        return [row.folder.name for row in found]


def broken(world: World) -> dict[int, str]:
    """What the next pass is told of suspended folders."""
    with world.store.read() as work:
        return {r.folder_id: sentence(r) for r in work.promises.broken(world.account(work))}


def live(world: World, folder: str) -> tuple[int, int]:
    """Moves with a known outcome, and wrong ones."""
    with world.store.read() as work:
        folder_id = world.folder_ids()[folder]
        found = judge_folder(work, world.account(work), folder_id, PROMISED, world.now)
        return found.moves, found.wrong


def sorts(world: World, first: int, count: int, folder: str = "Rechnungen") -> list[str]:
    """Mails arrive and are sorted; returns their subjects."""
    subjects = [f"{folder} {number}" for number in range(first, first + count)]
    world.deliver(*subjects)
    world.cycle()
    return subjects


def overrules(world: World, subjects: list[str], target: str = "Reisen") -> None:
    """She moves them elsewhere, and inboxd notices."""
    for subject in subjects:
        world.move(subject, target)
    world.notice()


def test_a_burst_of_mistakes_suspends_one_folder_and_no_other(world: World) -> None:
    """Mail for it is suggested from then on, with the reason; other folders go on."""
    overrules(world, sorts(world, 1, 4))
    with capture_logs() as logs:
        assert suspend(world) == ["Rechnungen"]
    [line] = [each for each in logs if each["event"] == "folder.suspended"]
    assert (line["moves"], line["wrong"], line["log_level"]) == (4, 4, "warning")
    assert line["folder"] == world.folder_ids()["Rechnungen"]
    assert "Rechnungen" not in str(line)
    world.suspended = broken(world)
    world.deliver("Rechnungen 10", "Bewerbungen 11")
    found = world.cycle()
    assert (found.moved, found.by_action) == (1, {Action.SUGGESTED: 1})
    assert world.where("Rechnungen 10") == ["INBOX"]
    suggestion = world.decisions()[-2]
    assert suggestion.reason.endswith(
        "It gets suggestions only: 4 of its last 4 moves were wrong, and 97.0% right were promised."
    )


@pytest.mark.parametrize("target", ["Reisen", "INBOX"])
def test_one_mistake_in_a_small_folder_suspends_nothing(world: World, target: str) -> None:
    """Whether she relabels or puts back."""
    overrules(world, sorts(world, 1, 1), target)
    assert suspend(world) == []
    assert live(world, "Rechnungen") == (1, 1)


def test_a_move_counts_as_right_only_once_she_could_have_seen_it(world: World) -> None:
    """After two days, or when she has overruled a later one."""
    subjects = sorts(world, 1, 3)
    assert live(world, "Rechnungen") == (0, 0)
    overrules(world, subjects[1:2])
    assert live(world, "Rechnungen") == (2, 1)
    world.tick(seconds=SETTLED.total_seconds())
    assert live(world, "Rechnungen") == (3, 1)


def test_many_right_moves_outweigh_some_mistakes(world: World) -> None:
    """Four in a row are too many in a new folder, and not among fifty."""
    sorts(world, 1, 46)
    world.tick(days=3)
    overrules(world, sorts(world, 50, 4))
    assert live(world, "Rechnungen") == (50, 4)
    assert suspend(world) == []


def test_undone_and_ruled_moves_count_for_nothing(world: World) -> None:
    """Undo says nothing about each mail, and a rule is no promise of the model."""
    world.rules = type(world.rules)((rule(1, "Rechnungen", subject="Hallo *"),))
    world.deliver(*(f"Hallo {number}" for number in range(6)))
    world.cycle()
    overrules(world, [f"Hallo {number}" for number in range(6)])
    sorts(world, 1, 6)
    world.undo(last=6)
    world.tick(days=3)
    assert live(world, "Rechnungen") == (0, 0)
    assert suspend(world) == []


def test_deleting_and_archiving_overrule_nothing(world: World) -> None:
    """What is done with is moved on; that was no mistake."""
    subjects = sorts(world, 1, 6)
    overrules(world, subjects[:3], "Trash")
    overrules(world, subjects[3:], "Archive")
    assert suspend(world) == []


def test_a_suspension_survives_a_restart(world: World, stores: Stores) -> None:
    """And is not made anew, nor lifted, by looking again."""
    overrules(world, sorts(world, 1, 4))
    suspend(world)
    world.store.close()
    world.store = stores.open(world.directory)
    assert suspend(world) == []
    assert list(broken(world)) == [world.folder_ids()["Rechnungen"]]


def test_a_renamed_folder_stays_suspended(world: World) -> None:
    """It is the same folder."""
    overrules(world, sorts(world, 1, 4))
    suspend(world)
    world.server.rename("Rechnungen", "Belege")
    world.notice()
    assert list(broken(world)) == [world.folder_ids()["Belege"]]


def test_a_burst_that_she_discards_gives_the_trust_back(world: World) -> None:
    """It counts at once, for caution; when it was not meant, the promise is whole."""
    world.limits = type(world.limits)(moves_per_hour=3)
    overrules(world, sorts(world, 1, 5))
    assert suspend(world) == ["Rechnungen"]
    with world.store.write() as work:
        account = world.account(work)
        assert lift_unmeant(work, account) == []
        held = work.corrections.held(account)
        assert len(held) == 5
        for each in held:
            each.hold = Hold.DISCARDED
        work.flush()
        assert [row.folder.name for row in lift_unmeant(work, account)] == ["Rechnungen"]
        work.commit()
    assert suspend(world) == []
    assert broken(world) == {}


def test_her_word_gives_the_trust_back_and_begins_anew(world: World) -> None:
    """Former mistakes do not count any more; new ones do."""
    overrules(world, sorts(world, 1, 4))
    suspend(world)
    world.tick()
    with world.store.write() as work:
        [row] = work.promises.broken(world.account(work))
        resume(row, world.now, because="person")
        work.commit()
    assert suspend(world) == []
    overrules(world, sorts(world, 10, 3))
    assert suspend(world) == []
    overrules(world, sorts(world, 20, 1))
    assert suspend(world) == ["Rechnungen"]


def test_a_model_gives_the_trust_back_when_it_is_right_on_mail_since_then(world: World) -> None:
    """Each model is asked once; twenty would-be moves at least, and right ones."""
    overrules(world, sorts(world, 1, 4))
    suspend(world)
    since = [world.now + timedelta(minutes=number) for number in range(25)]
    with world.store.write() as work:
        [row] = work.promises.broken(world.account(work))
        assert not review(row, [WouldBe(at, right=True) for at in since[:19]], "m1", world.now)
        assert row.reviewed_with == "m1"
        wrong = [WouldBe(at, right=at != since[3]) for at in since]
        assert not review(row, wrong, "m2", world.now)
        assert review(row, [WouldBe(at, right=True) for at in since], "m3", world.now)
        assert row.broken_at is None
        assert row.counted_from == world.now
        work.commit()
    assert suspend(world) == []
