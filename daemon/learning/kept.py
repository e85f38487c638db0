"""What the daemon keeps in memory between two fits of a model, so that the next one is quick.

The similarities of all mails, the factor over them and their rows: see `trainer.kept`. Nothing of
it is written to disk; after a start the first fit is from scratch. Whoever fits takes the memory
of the account, or of the shared model, and gives it back when the model is recorded, so that it is
used by one fit at a time and a fit that fails leaves none.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from daemon.learning.memo import FeatureMemo
from daemon.store import Store

if TYPE_CHECKING:
    from daemon.learning.gather import FeatureSource
    from trainer.descriptions import Description
    from trainer.examples import Example
    from trainer.kept import KeptRidge

log = structlog.get_logger(__name__)

_EXAMPLE_BYTES = 1500
"""What an example takes beside its row and its content."""


@dataclass(slots=True)
class Memory:
    """What is kept of the fits of one model; `accounts`: whose mail it learns from. `version`:
    the model that was fitted last, "" before any."""

    store: Store
    fingerprint: str
    accounts: tuple[str, ...]
    ridge: KeptRidge
    version: str = ""
    _features: dict[str, FeatureMemo] = field(default_factory=dict)
    _described: tuple[Description, ...] = ()
    _descriptions: list[Example] = field(default_factory=list)

    def features(self, account: str) -> FeatureMemo:
        """The features of one account's examples."""
        return self._features.setdefault(account, FeatureMemo(self.store, self.fingerprint))

    @property
    def bytes(self) -> int:
        """How much memory it takes, once the features' contents are released."""
        return self.ridge.bytes + _EXAMPLE_BYTES * sum(map(len, self._features.values()))

    def release(self) -> None:
        """Hold no features' contents any more."""
        for memo in self._features.values():
            memo.release()

    def description_examples(
        self, described: Sequence[Description], source: FeatureSource
    ) -> list[Example]:
        """The pseudo-mails of `described`, encoded when they are others than the last time."""
        from classifier.features import Features  # noqa: PLC0415 - numpy
        from trainer.descriptions import description_examples  # noqa: PLC0415

        if tuple(described) != self._described:
            self._descriptions = description_examples(
                described, lambda mails: [Features.from_bytes(f) for f in source.featurize(mails)]
            )
            self._described = tuple(described)
        return self._descriptions


class KeptFits:
    """The memories of all models, by account or shared model. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Memory] = {}  # the one given back last at the end

    @property
    def bytes(self) -> int:
        """What all of them take."""
        with self._lock:
            return sum(memory.bytes for memory in self._kept.values())

    def take(
        self, name: str, store: Store, fingerprint: str, accounts: Sequence[str] | None = None
    ) -> Memory:
        """The memory of an account, for one fit; an empty one where none suits.

        Or of a shared model, which learns from several `accounts`. It suits features under the
        same fingerprint and of the same accounts, and as long as the model fitted with it is still
        the newest: another process that trained, or forgot, has overtaken it.
        """
        from trainer.kept import KeptRidge  # noqa: PLC0415 - loads torch

        with self._lock:
            memory = self._kept.pop(name, None)
        learnt_from = (name,) if accounts is None else tuple(accounts)
        if (
            memory is not None
            and memory.fingerprint == fingerprint
            and memory.accounts == learnt_from
            and memory.version == _newest_version(store, name)
        ):
            return memory
        return Memory(store, fingerprint, learnt_from, KeptRidge())

    def give_back(self, name: str, memory: Memory, version: str, most_bytes: int) -> None:
        """Keep what was taken until the next fit, `version` having been made with it.

        Not when it is larger than `most_bytes`; the memories of other accounts make room, that of
        the account first that was fitted longest ago.
        """
        memory.release()
        memory.version = version
        with self._lock:
            self._kept.pop(name, None)
            room = most_bytes - memory.bytes
            if room < 0:
                log.info("train.not_kept", account=name, bytes=memory.bytes, most=most_bytes)
                return
            while sum(each.bytes for each in self._kept.values()) > room:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = memory

    def drop(self, name: str) -> None:
        """Keep nothing of this account."""
        with self._lock:
            self._kept.pop(name, None)

    def drop_overtaken(self, name: str, store: Store) -> None:
        """Keep nothing that another process has overtaken; see `take`."""
        with self._lock:
            memory = self._kept.get(name)
        if memory is not None and memory.version != _newest_version(store, name):
            self.drop(name)


def _newest_version(store: Store, name: str) -> str | None:
    with store.read() as work:
        account = work.accounts.get(name)
        return None if account is None else work.models.newest_version(account)
