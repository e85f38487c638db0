"""The benchmark of wrong labels, on made-up mails."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench import flipped_labels as bench
from tests.trainer.mailboxes import mailbox
from trainer.effect import effect
from trainer.replay import ReplaySettings

QUICK = ReplaySettings(every=10)
SHARE, SEED = 0.1, 1
MAILS = mailbox(160, noise=0.0)


@pytest.fixture(scope="module")
def result() -> bench.Result:
    """One mailbox, one seed."""
    return bench.measured("made up", MAILS, SHARE, [SEED], settings=QUICK)


def test_a_share_of_the_labels_becomes_another_one_of_the_mailbox() -> None:
    """The same ones with the same seed; nothing else of a mail changes."""
    spoilt = bench.flipped(MAILS, SHARE, SEED)
    wrong = [new for old, new in zip(MAILS, spoilt, strict=True) if new.label != old.label]
    assert len(wrong) == 16
    assert {one.label for one in wrong} <= {one.label for one in MAILS}
    assert [one.key for one in spoilt] == [one.key for one in MAILS]
    assert [one.label for one in bench.flipped(MAILS, SHARE, SEED)] == [o.label for o in spoilt]
    assert [one.label for one in bench.flipped(MAILS, SHARE, 2)] != [o.label for o in spoilt]


def test_wrong_labels_are_found_and_cost_mails(result: bench.Result) -> None:
    """Topics are plain here, so most flips are doubted, and hardly anything else is called bad."""
    [draw] = result.draws
    found = draw.found
    assert found.flipped == 16
    assert 0 < found.bad - 1 <= found.bad_flipped <= found.bad
    assert 6 <= found.doubted_flipped <= min(found.doubted, found.flipped)
    assert draw.mails <= len(MAILS) - QUICK.skip
    assert list(draw.left) == list(bench.LIVES)
    assert draw.left["no flips"].forced <= draw.left["as it is"].forced


def test_by_the_labels_that_are_told_it_says_what_effect_says(result: bench.Result) -> None:
    """The same replays, on the same mails."""
    spoilt = bench.flipped(MAILS, SHARE, SEED)
    said = effect(spoilt, bench.verdicts(spoilt), QUICK)
    [draw] = result.draws
    assert said is not None
    assert (said.mails, said.bad) == (draw.mails, draw.found.bad)
    told = [draw.left[life].forced_as_told for life in ("as it is", "without", "with better")]
    assert told == [
        lived.manual_moves_forced for lived in (said.as_it_is, said.without, said.with_better)
    ]


def test_a_person_puts_right_only_what_was_looked_at() -> None:
    """Other flips stay."""
    spoilt = bench.flipped(MAILS, SHARE, SEED)
    wrong = [at for at, one in enumerate(spoilt) if one.label != MAILS[at].label]
    seen = {MAILS[wrong[0]].key, MAILS[wrong[1]].key}
    mended = bench.put_right(spoilt, MAILS, seen)
    assert [at for at, one in enumerate(mended) if one.label != MAILS[at].label] == wrong[2:]


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, result: bench.Result) -> None:
    """What was kept is not measured again; a seed that is new is."""
    kept = replace(result.draws[0], mails=-1)
    path = tmp_path / "flipped-made up-0.1.json"
    path.write_text(json.dumps(asdict(replace(result, draws=(kept,)))), encoding="utf-8")
    small = MAILS[:40]
    found = bench.resumed(tmp_path, "made up", small, SHARE, [SEED, 2])
    assert [draw.seed for draw in found.draws] == [SEED, 2]
    assert found.draws[0] == kept
    assert 0 < found.draws[1].mails <= 20
    assert bench.Result.from_json(json.loads(path.read_text(encoding="utf-8"))) == found


def test_the_page_keeps_what_stands_around_the_tables(tmp_path: Path, result: bench.Result) -> None:
    """Only the block between the markers is replaced, and again the next time."""
    page = tmp_path / "page.md"
    page.write_text(
        f"before\n\n{bench.BEGIN}\nof last year\n{bench.END}\n\nafter\n", encoding="utf-8"
    )
    tables = "\n".join(bench.tables([result]))
    bench.write(page, "something")
    bench.write(page, tables)
    written = page.read_text(encoding="utf-8")
    assert written.startswith("before\n")
    assert written.endswith("\n\nafter\n")
    assert "of last year" not in written
    assert tables in written
    assert "| made up, 160 mails, 4 folders | 1 | 16 (10%) |" in written
