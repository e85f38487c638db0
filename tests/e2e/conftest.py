"""Everything here runs the installed command against a real Dovecot with the real encoder.

Mail is learnt from once; every test then gets a copy of that account and of inboxd's state, so
that no test depends on another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.story import Story, tell
from tests.e2e.world import World, copy_world, new_world, start_dovecot, world_on
from tests.support.dovecot import Dovecot
from tests.support.encoder_cache import real_encoder_cache
from tests.support.mail_servers import KINDS, RunningServers, server_parameters, servers

__all__ = ["servers"]

NewWorld = Callable[[World, Dovecot], World]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this directory need both."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.encoder)
            item.add_marker(pytest.mark.dovecot)


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An account whose mail inboxd has learnt from; tests only copy it."""
    with start_dovecot() as server:
        world = new_world(server, tmp_path_factory.mktemp("learned"), real_encoder_cache())
        world.file_archive()
        world.learned = world.home.json("learn")
        yield world
        world.close()


@pytest.fixture(scope="session")
def story(learned: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The main job from beginning to end, told once; tests only read it."""
    world = copy_world(learned, learned.dovecot, tmp_path_factory.mktemp("story"))
    yield tell(world)
    world.close()


LOOP_SERVERS = [name for name in KINDS if name != "dovecot-bare"]
"""Without MOVE and UIDPLUS inboxd moves nothing (see the mailbox contract)."""


@pytest.fixture(
    scope="session", params=server_parameters(LOOP_SERVERS, usual=("dovecot", "pymap", "gmail"))
)
def told(
    request: pytest.FixtureRequest,
    servers: RunningServers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    """The story on each server, from the first mail on."""
    if request.param == "dovecot":
        yield request.getfixturevalue("story")
        return
    account = servers.account(request.param)
    world = world_on(account, tmp_path_factory.mktemp(request.param), real_encoder_cache())
    world.file_archive()
    world.learned = world.home.json("learn")
    yield tell(world)
    world.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    """A Dovecot for one module."""
    with start_dovecot() as running:
        yield running


@pytest.fixture
def copy_of(tmp_path: Path) -> Iterator[NewWorld]:
    """Makes copies of an account on some server; they are closed after the test."""
    made: list[World] = []

    def copy(original: World, server: Dovecot) -> World:
        root = tmp_path / f"home{len(made)}"
        root.mkdir()
        made.append(copy_world(original, server, root))
        return made[-1]

    yield copy
    for world in made:
        world.close()


@pytest.fixture
def world(learned: World, server: Dovecot, copy_of: NewWorld) -> World:
    """A copy of the learnt account, to do with as the test likes."""
    return copy_of(learned, server)
