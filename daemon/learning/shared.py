"""A model that several accounts share, as one of them sees it.

It knows folders that this account does not have. What it takes for mail of these stays in the
inbox: their probability is added to that of "leave it", so that no other folder profits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.decision import Prediction
from classifier.labels import LEAVE
from daemon.learning.engine import AccountModel, Engine, ModelJudge
from daemon.learning.share import Share, shared_labels
from daemon.locks import model_lock
from daemon.sorting.judge import Verdict
from daemon.sorting.threads import LEFT_IN_INBOX
from daemon.store import Store

if TYPE_CHECKING:
    from classifier.featurizer import Featurizer
    from classifier.model import MailClassifier

Labels = Mapping[int, str]
"""Label by folder id."""


def account_models(engine: Engine, store: Store, account: str, share: Share | None) -> AccountModel:
    """The models that decide about an account's mail: its own, or those that it shares."""
    if share is None:
        return engine.account(account)
    directory = engine.settings.models_dir / share.owner

    def labels() -> Labels:
        return labels_of(store, account)

    return engine.once(
        f"{share.owner} {account}", lambda: SharedModel(engine, directory, share.name, labels)
    )


def labels_of(store: Store, account: str) -> Labels:
    """What an account's label folders, as they are now, are called in a shared model."""
    with store.read() as work:
        row = work.accounts.get(account)
        return shared_labels(account, work.folders.of(row)) if row is not None else {}


class SharedModel(AccountModel):
    """The registry of a shared model, and the model in use, for one of its accounts."""

    def __init__(
        self, engine: Engine, directory: Path, name: str, labels: Callable[[], Labels]
    ) -> None:
        super().__init__(engine, directory)
        self._name = name
        self._labels = labels

    @contextmanager
    def locked(self, at_each_try: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Exclude the other accounts from writing here; waits for its turn."""
        state_dir = self.directory.parent.parent
        with model_lock(state_dir, self._name, at_each_try=at_each_try):
            yield

    def judge(self) -> ModelJudge | None:
        """The model in use, with the account's folders as they are at this moment."""
        found = super().judge()
        if found is None:
            return None
        return SharedJudge(found.version, found.model, found.featurizer, self._labels())


class SharedJudge(ModelJudge):
    """`daemon.sorting.judge.Judge` for one account over a model of several."""

    def __init__(
        self, version: str, model: MailClassifier, featurizer: Featurizer, labels: Labels
    ) -> None:
        super().__init__(version, model, featurizer)
        self._labels = labels
        self._folders = {label: folder_id for folder_id, label in labels.items()}

    def parent_label(self, parent: int | None) -> str | None:
        """The label of the folder in which the nearest ancestor lies."""
        if parent is None:
            return None
        return LEAVE if parent == LEFT_IN_INBOX else self._labels.get(parent)

    def verdict(self, prediction: Prediction) -> Verdict:
        """The verdict on one mail, among the account's own folders."""
        shares = {label: p for label, p in prediction.ranked if label in self._folders}
        left = sum(p for label, p in prediction.ranked if label == LEAVE)
        elsewhere = sum(p for _, p in prediction.ranked) - sum(shares.values()) - left
        if left or elsewhere:
            shares[LEAVE] = left + elsewhere
        own = Prediction(tuple(sorted(shares.items(), key=lambda share: -share[1])))
        decision = self.model.decide(own)
        ranked = tuple((self._folders.get(label), p) for label, p in own.ranked)
        reason = self.model.sentence(decision)
        if decision.label == LEAVE and prediction.label != LEAVE:
            reason = self._not_here(prediction, elsewhere)
        return Verdict(ranked, decision.threshold, decision.moves, reason)

    def _not_here(self, prediction: Prediction, elsewhere: float) -> str:
        name = self.model.label_set.name(prediction.label)
        sure = f"{prediction.probability:.1%} sure of {name}"
        if prediction.label not in self._folders:
            return f"{sure}, a folder that this account does not have."
        return f"Only {sure}; {elsewhere:.1%} speaks for folders that this account does not have."
