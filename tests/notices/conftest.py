"""The learnt account of `tests.faults`, and a service that webhooks call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.conftest import encoder, forks, learned, server, world
from tests.support.webhook_receiver import Receiver

__all__ = ["encoder", "forks", "learned", "server", "world"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Takes everything."""
    with Receiver() as running:
        yield running
