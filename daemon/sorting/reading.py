"""Reading mail so that no message can stop inboxd twice.

Parsing is bounded, but parsers and tokenizers in C, the server's answer and our own code may
still fail on one message in a way that ends the process. So each attempt is written down before
the message is fetched, and crossed out after it was read. Whoever finds an attempt left over
reads that message alone, so that its neighbours get out of suspicion, and after
`MAX_ATTEMPTS` nobody tries it again: it stays where it lies, and counts as unreadable.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog

from daemon.errors import MailboxError, ProtocolViolated
from daemon.store import Store
from daemon.store.tables import Placement

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 2
"""The first may have failed because of a neighbour in the same batch."""


def hopeless(store: Store, message_ids: Iterable[int]) -> set[int]:
    """Those messages that were tried often enough."""
    with store.read() as work:
        counts = work.attempts.counts(message_ids)
    return {message_id for message_id, count in counts.items() if count >= MAX_ATTEMPTS}


def batches(
    store: Store, placements: Sequence[Placement], size: int
) -> Iterator[Sequence[Placement]]:
    """`placements` in batches of `size`; those under suspicion alone, and last."""
    with store.read() as work:
        suspected = work.attempts.counts([p.message_id for p in placements])
    trusted = [p for p in placements if p.message_id not in suspected]
    for start in range(0, len(trusted), size):
        yield trusted[start : start + size]
    for placement in placements:
        if placement.message_id in suspected:
            yield [placement]


@contextmanager
def attempt(store: Store, message_ids: Collection[int]) -> Iterator[set[int]]:
    """An attempt at reading these messages; those that were read are to be added to the set.

    Messages that the server did not deliver keep their attempt. An attempt that ends because
    of the connection or the folder does not count; one that ends in any other way does.
    """
    read: set[int] = set()
    if not message_ids:
        yield read
        return
    now = datetime.now(UTC)
    with store.write() as work:
        before = work.attempts.counts(message_ids)
        work.attempts.put({key: before.get(key, 0) + 1 for key in message_ids}, now)
        work.commit()
    forgive: dict[int, int] = {}
    try:
        yield read
    except ProtocolViolated:
        log.warning("read.answer_unusable", messages=len(message_ids))
        raise
    except MailboxError:
        forgive = {key: before.get(key, 0) for key in message_ids}
        raise
    finally:
        settled = {**forgive, **dict.fromkeys(read, 0)}
        if settled:
            with store.write() as work:
                work.attempts.put(settled, now)
                work.commit()
