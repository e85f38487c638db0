"""Features of an account's examples between two fits: known by content, read when looked at.

A fit from what is kept looks at the features of new mail only. So the examples of two fits share
objects that hold no content until somebody asks, and that are the same object as long as the
stored features are the same: this is how `trainer.pairs` knows a mail again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from classifier.features import HEADER_BYTES, Features, Indices, Values
from daemon.store import Store, UnitOfWork

ONE_BY_ONE = 32
"""After so many single reads the rest is read at once: somebody goes through all of them."""


class StoredFeatures(Features):
    """Features in the store's cache, read from there when they are looked at, until released.

    `header` identifies the content: its lengths and its checksum.
    """

    __slots__ = ("_content", "_read", "header")

    header: bytes
    _content: Features | None
    _read: Callable[[], Features]

    def __init__(self, header: bytes, read: Callable[[], Features]) -> None:
        # The parent is frozen; these are no fields of it.
        object.__setattr__(self, "header", header)
        object.__setattr__(self, "_read", read)
        object.__setattr__(self, "_content", None)

    @property
    def vector(self) -> NDArray[np.float16]:
        """See `Features`."""
        return self._held().vector

    @property
    def indices(self) -> Indices:
        """See `Features`."""
        return self._held().indices

    @property
    def values(self) -> Values:
        """See `Features`."""
        return self._held().values

    def hold(self, content: Features | None) -> None:
        """Have this content in memory; None: no more."""
        object.__setattr__(self, "_content", content)

    def _held(self) -> Features:
        if self._content is None:
            self.hold(self._read())
        assert self._content is not None
        return self._content


class FeatureMemo:
    """The features of an account's examples under one fingerprint, by message.

    Used by one fit at a time.
    """

    def __init__(self, store: Store, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._store = store
        self._known: dict[int, StoredFeatures] = {}
        self._single_reads = 0

    def __len__(self) -> int:
        return len(self._known)

    def of(self, work: UnitOfWork, message_ids: Iterable[int]) -> dict[int, Features]:
        """The features of those of the messages that have them; what is new is read at once.

        All others are forgotten.
        """
        headers = work.features.headers(self.fingerprint, message_ids, HEADER_BYTES)
        before, self._known = self._known, {}
        new = []
        for message_id, header in headers.items():
            one = before.get(message_id)
            if one is None or one.header != header:
                one = StoredFeatures(header, partial(self._read, message_id))
                new.append(message_id)
            self._known[message_id] = one
        self._hold(work, new)
        return dict(self._known)

    def release(self) -> None:
        """Hold no content any more; whoever looks at it reads it again."""
        for one in self._known.values():
            one.hold(None)
        self._single_reads = 0

    def _read(self, message_id: int) -> Features:
        self._single_reads += 1
        wanted = [message_id] if self._single_reads <= ONE_BY_ONE else list(self._known)
        with self._store.read() as work:
            found = work.features.get(self.fingerprint, [message_id])
            if len(wanted) > 1:
                self._hold(work, wanted)
        if message_id not in found:
            raise LookupError(f"the features of message {message_id} are gone")
        return Features.from_bytes(found[message_id])

    def _hold(self, work: UnitOfWork, message_ids: Iterable[int]) -> None:
        for message_id, data in work.features.get(self.fingerprint, message_ids).items():
            self._known[message_id].hold(Features.from_bytes(data))
