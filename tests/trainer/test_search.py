"""The search for hyperparameters: on validation mail only, and resumable."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from classifier.space import BlockWeights
from tests.trainer.mailboxes import mailbox
from trainer.errors import ModelNotTrainable
from trainer.examples import time_split
from trainer.search import SPACE, Point, search, validate

SPLIT = time_split(mailbox(240, noise=0.05))
PRESENT = Point(0.03, BlockWeights())


def test_a_second_call_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    """The trials of both count, and the best can only get better."""
    database = tmp_path / "tuning" / "study.sqlite3"

    first = search(SPLIT, PRESENT, trials=3, database=database)
    second = search(SPLIT, PRESENT, trials=2, database=database)

    assert (first.trials, first.new) == (3, 3)
    assert (second.trials, second.new) == (5, 2)
    assert second.study == first.study
    assert second.best_validation.log_loss <= first.best_validation.log_loss
    assert database.stat().st_mode & 0o077 == 0


def test_the_present_settings_are_tried_first(tmp_path: Path) -> None:
    """So that what is found is never worse on the validation mail."""
    found = search(SPLIT, PRESENT, trials=1, database=tmp_path / "study.sqlite3")

    assert found.best == Point.of(PRESENT.parameters())
    assert found.best_validation.log_loss == pytest.approx(
        found.present_validation.log_loss, abs=1e-6
    )


def test_the_test_part_is_never_looked_at(tmp_path: Path) -> None:
    """Whatever it holds, even nothing, the trials are the same."""
    without = replace(SPLIT, test=())

    one = search(SPLIT, PRESENT, trials=3, database=tmp_path / "one.sqlite3")
    other = search(without, PRESENT, trials=3, database=tmp_path / "other.sqlite3")

    assert one == other


def test_other_mail_gets_a_study_of_its_own_that_begins_with_the_best_known(
    tmp_path: Path,
) -> None:
    """Figures of other mail do not compare, but what was good is tried again."""
    database = tmp_path / "study.sqlite3"
    later = time_split(mailbox(260, noise=0.05))

    first = search(SPLIT, PRESENT, trials=6, database=database)
    second = search(later, PRESENT, trials=3, database=database)

    assert second.study != first.study
    assert second.trials == 3
    with closing(sqlite3.connect(database)) as opened:
        query = "SELECT param_name, param_value FROM trial_params ORDER BY param_id"
        tried = {(name, float(f"{value:.3g}")) for name, value in opened.execute(query)}
    assert ("ridge_lambda", first.best.ridge_lambda) in tried


def test_killed_in_the_middle_it_loses_one_trial_at_most(tmp_path: Path) -> None:
    """By SIGKILL: what was finished is there, and the trial that ran is written off."""
    database = tmp_path / "study.sqlite3"
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.trainer import test_search as t\n"
        "def slow(done, total):\n"
        "    print(done, flush=True)\n"
        "t.search(t.SPLIT, t.PRESENT, trials=1000, database=Path(sys.argv[1]), progress=slow)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(database)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        finished = 0
        while finished < 3:
            finished = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)

    found = search(SPLIT, PRESENT, trials=1, database=database)

    assert found.new == 1
    assert found.trials >= finished + 1
    with closing(sqlite3.connect(database)) as opened:
        states = dict(opened.execute("SELECT state, count(*) FROM trials GROUP BY state"))
    assert states.get("RUNNING", 0) == 0
    assert states.get("FAIL", 0) <= 1


def test_a_point_survives_the_way_through_the_search_space() -> None:
    """Relative to the weight that stays as it is; multiplying everything changes nothing."""
    point = Point(0.06, BlockWeights(words=2.0, characters=4.0, deep=3.0, meta=0.5))
    halved = Point.of(point.parameters())

    assert halved == Point(0.03, BlockWeights(sender=0.5, recipients=0.5, list=0.5))
    assert set(point.parameters()) == set(SPACE)
    assert validate(SPLIT, point).log_loss == pytest.approx(
        validate(SPLIT, halved).log_loss, abs=1e-3
    )


def test_too_little_validation_mail_is_refused(tmp_path: Path) -> None:
    """Before a study is made."""
    with pytest.raises(ModelNotTrainable, match="validate"):
        search(time_split(mailbox(60)), PRESENT, trials=1, database=tmp_path / "study.sqlite3")
    assert list(tmp_path.iterdir()) == []
