"""What bad examples cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from tests.trainer.mailboxes import mailbox, names_of
from trainer.effect import effect
from trainer.quality import QualitySettings, judge
from trainer.replay import ReplaySettings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
QUICK = ReplaySettings(every=5)


def test_leaving_wrong_labels_out_leaves_fewer_mails_to_move() -> None:
    """A fifth of the labels is wrong; the replays are judged on the same other mails."""
    clean = mailbox(160, noise=0.0)
    random = np.random.default_rng(1)
    spoilt = [
        replace(one, label=f"folder-{random.integers(0, 4)}") if number % 5 == 0 else one
        for number, one in enumerate(clean)
    ]
    eager = QualitySettings(clear_own=0.4, clear_margin=0.2)
    report = judge(spoilt, names_of(clean), NOW, eager)
    seen: list[tuple[int, int]] = []

    found = effect(spoilt, report, QUICK, lambda done, total: seen.append((done, total)))

    assert found is not None
    assert found.bad > 0
    assert found.relabelled <= found.bad
    assert found.as_it_is.fewer == 0
    for other in (found.without, found.with_better):
        expected = found.as_it_is.manual_moves_forced - other.fewer
        assert other.manual_moves_forced == expected
        assert other.low <= other.fewer <= other.high
        assert other.fewer >= 0
    assert found.mails <= 160 - QUICK.skip
    assert seen[-1] == (480, 480)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_without_bad_examples_there_is_nothing_to_replay() -> None:
    """And nothing is replayed."""
    clean = mailbox(80, noise=0.0)

    assert effect(clean, judge(clean, names_of(clean), NOW), QUICK) is None
