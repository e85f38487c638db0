"""What the daemon keeps between two fits: used, bounded, dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing as closed
from pathlib import Path

import numpy as np
import pytest

from classifier.features import Block, index_of
from daemon.learning.kept import KeptFits, Memory
from daemon.learning.memo import ONE_BY_ONE, FeatureMemo
from daemon.store import Store
from daemon.store.tables import Message, ModelRow, ModelState
from daemon.use_cases.application import Application
from daemon.use_cases.cycle import run_cycle_once
from daemon.use_cases.forget import forget_sender
from daemon.use_cases.learn import learn, train
from tests.support.fake_mailbox import FakeServer
from tests.trainer.mailboxes import START, features, mailbox
from tests.use_cases.apps import ACCOUNT, closing, make_app
from trainer.fit import FitSettings, fit
from trainer.kept import KeptRidge

FINGERPRINT = "f"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with forty messages and their features."""
    with closed(Store.open(tmp_path / "store")) as found:
        random = np.random.default_rng(0)
        with found.write() as work:
            account = work.accounts.get_or_create(ACCOUNT, START)
            for number in range(40):
                message = Message(
                    account_id=account.id,
                    server_id=None,
                    fingerprint=str(number),
                    message_id_hash=str(number),
                    internal_date=START,
                    size=1,
                    first_seen_at=START,
                )
                work.messages.add(message)
                work.flush()
                work.features.put(
                    FINGERPRINT, {message.id: features(random, number % 4).to_bytes()}
                )
            work.commit()
        yield found


def memory_of(store: Store, size: int) -> Memory:
    """What is kept of a made-up mailbox."""
    memory = Memory(store, FINGERPRINT, (ACCOUNT,), KeptRidge())
    learner = memory.ridge.learner(FitSettings())
    fit(mailbox(size), {}, featurizer_fingerprint=FINGERPRINT, learner=learner)
    return memory


def test_the_model_after_a_move_is_that_of_a_process_that_keeps_nothing(
    app: Application, server: FakeServer, tmp_path: Path, encoder: Path
) -> None:
    """Kept and from scratch: the same weights for the same lessons."""
    assert app.engine.kept.bytes > 0
    server.move("Reisen", [1, 2], "Verein")
    result = run_cycle_once(app, ACCOUNT).refit
    assert result is not None
    assert result.version is not None
    kept = app.engine.account(ACCOUNT).load(result.version)
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as other:
        again = train(other, ACCOUNT)
        assert again.version is not None
        fresh = other.engine.account(ACCOUNT).load(again.version)
    assert kept.label_set.keys == fresh.label_set.keys
    np.testing.assert_array_equal(kept.active.numpy(), fresh.active.numpy())
    np.testing.assert_allclose(
        kept.wide_weight.detach().numpy(), fresh.wide_weight.detach().numpy(), atol=2e-3
    )
    assert kept.config.thresholds.keys() == fresh.config.thresholds.keys()


def test_what_another_process_has_overtaken_is_dropped_with_the_next_pass(
    app: Application, server: FakeServer, tmp_path: Path, encoder: Path
) -> None:
    """It trained, or forgot: its model is newer than the one that was fitted here."""
    with closing(make_app(tmp_path / "state", encoder, {ACCOUNT: server})) as other:
        train(other, ACCOUNT)
    assert app.engine.kept.bytes > 0
    run_cycle_once(app, ACCOUNT)
    assert app.engine.kept.bytes == 0


def test_a_forgotten_sender_is_not_in_what_is_kept(app: Application) -> None:
    """Neither the mails nor how common their features are."""
    forget_sender(app, "buchung@reise.example", ACCOUNT)
    fingerprint = app.engine.account(ACCOUNT).encoder().fingerprint
    memory = app.engine.kept.take(ACCOUNT, app.store, fingerprint)
    space = memory.ridge.space
    assert space is not None
    assert index_of(Block.SENDER, "buchung@reise.example") not in space.active
    assert len(memory.features(ACCOUNT)) == 24


def test_nothing_is_kept_when_the_configuration_says_so(
    tmp_path: Path, encoder: Path, server: FakeServer
) -> None:
    """`keep_fit_mb = 0`."""
    settings = {"keep_fit_mb": 0}
    with closing(
        make_app(tmp_path / "state", encoder, {ACCOUNT: server}, training=settings)
    ) as app:
        assert learn(app, ACCOUNT).refit.version is not None
        assert app.engine.kept.bytes == 0


def test_the_account_fitted_longest_ago_makes_room(store: Store) -> None:
    """The bound holds for all accounts together; what alone is too large is not kept."""
    kept = KeptFits()
    memories = {name: memory_of(store, 60) for name in ("one", "two", "three")}
    most = sum(memory.bytes for memory in memories.values()) - 1
    for name, memory in memories.items():
        kept.give_back(name, memory, "v", most)
    assert kept.bytes == memories["two"].bytes + memories["three"].bytes
    kept.give_back("four", memory_of(store, 60), "v", 1000)
    assert kept.bytes == memories["two"].bytes + memories["three"].bytes
    kept.drop("two")
    assert kept.bytes == memories["three"].bytes


def test_what_suits_another_encoder_is_not_taken(store: Store) -> None:
    """And it is gone: one account keeps one."""
    kept = KeptFits()
    kept.give_back(ACCOUNT, memory_of(store, 60), "v", 10**9)
    assert kept.take(ACCOUNT, store, "other").bytes == 0
    assert kept.bytes == 0


def test_what_was_learnt_from_other_accounts_is_not_taken(store: Store) -> None:
    """Somebody joined the shared model, or left it: how common words are came from his mail too."""
    kept = KeptFits()
    memory = Memory(store, FINGERPRINT, ("info", "support"), KeptRidge())
    model = ModelRow(
        version="v",
        state=ModelState.PROMOTED,
        reason="",
        examples=2,
        data_hash="",
        report={},
        created_at=START,
    )
    with store.write() as work:
        model.account_id = work.accounts.get_or_create("@team", START).id
        work.models.add(model)
        work.commit()
    kept.give_back("@team", memory, "v", 10**9)
    assert kept.take("@team", store, FINGERPRINT, ("info", "support")) is memory
    kept.give_back("@team", memory, "v", 10**9)
    assert kept.take("@team", store, FINGERPRINT, ("info",)) is not memory


def test_unchanged_features_are_the_same_object_and_changed_ones_another(store: Store) -> None:
    """A message number that means other content is another mail."""
    memo = FeatureMemo(store, FINGERPRINT)
    with store.read() as work:
        before = memo.of(work, range(1, 41))
    memo.release()
    with store.write() as work:
        other = features(np.random.default_rng(77), 2)
        work.features.put(FINGERPRINT, {7: other.to_bytes()})
        work.features.drop([9])
        work.commit()
        after = memo.of(work, range(1, 41))
    assert sorted(after) == [at for at in range(1, 41) if at != 9]
    assert [at for at in after if after[at] is not before[at]] == [7]
    assert after[7] == other


def test_released_features_are_read_again(store: Store) -> None:
    """One by one at first, then all that remain at once: the same content."""
    memo = FeatureMemo(store, FINGERPRINT)
    with store.read() as work:
        found = memo.of(work, range(1, 41))
    before = {at: one.to_bytes() for at, one in found.items()}
    memo.release()
    assert {at: one.to_bytes() for at, one in found.items()} == before
    assert len(found) > ONE_BY_ONE


def test_features_that_are_gone_are_an_error(store: Store) -> None:
    """Nobody learns from nothing instead."""
    memo = FeatureMemo(store, FINGERPRINT)
    with store.read() as work:
        found = memo.of(work, [3])
    memo.release()
    with store.write() as work:
        work.features.drop([3])
        work.commit()
    with pytest.raises(LookupError):
        _ = found[3].indices
