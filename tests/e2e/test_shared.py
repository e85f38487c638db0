"""Two accounts on two servers that spell folders differently, and one model for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.mails import mail, message_id, next_mails
from tests.e2e.story import NEXT_RENTAL, RENTALS
from tests.e2e.world import World, start_dovecot
from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.encoder_cache import real_encoder_cache
from tests.support.mail_servers import KINDS

PREFIXED = KINDS["dovecot-namespace"]
"""Below INBOX., with dots between parent and child."""

COMMON = ("Rechnungen", "Travel")
"""Folders of both accounts; "Familie" and two more has only info@."""


@pytest.fixture(scope="module")
def prefixed() -> Iterator[Dovecot]:
    """The server of support@."""
    with PREFIXED.make({f"support{number}": "secret" for number in range(5)}) as running:
        assert isinstance(running, Dovecot)
        yield running


@pytest.fixture(scope="module")
def plain() -> Iterator[Dovecot]:
    """The server of info@."""
    with start_dovecot() as running:
        yield running


@pytest.fixture
def team(plain: Dovecot, prefixed: Dovecot, tmp_path: Path) -> Iterator[tuple[World, World]]:
    """info@ with all of its mail filed, support@ with two empty folders; one inboxd for both."""
    home = Home(tmp_path, real_encoder_cache())
    info = World(plain, _unused(plain), home)
    support = World(prefixed, _unused(prefixed), home, PREFIXED)
    configure(info, support)
    info.file_archive()
    for folder in COMMON:
        support.person.create(support.path(folder))
    home.ok("learn", "--account", "info")
    yield info, support
    for world in (info, support):
        world.close()


def _unused(server: Dovecot) -> str:
    homes = server.root / "home"
    return next(user for user in server.users if not any((homes / user).iterdir()))


def configure(info: World, support: World, *, info_shares: bool = True) -> None:
    """Both accounts of the team; support@ always shares the model."""
    home = info.home
    home.password_file.write_text("secret\n")
    home.password_file.chmod(0o600)
    lines = [f'[state]\ndir = "{home.state_dir}"', "[model]\ntarget_precision = 0.8"]
    for name, world, shares in (("info", info, info_shares), ("support", support, True)):
        lines.append(
            f'[accounts.{name}]\nhost = "127.0.0.1"\nport = {world.server.port}\ntls = "none"\n'
            f'username = "{world.user}"\npassword_file = "{home.password_file}"\nmode = "sort"'
        )
        if shares:
            lines.append('shared_model = "team"')
    home.write_config("\n".join(lines))


def test_corrections_in_one_account_sort_the_mail_of_the_other(
    team: tuple[World, World],
) -> None:
    """A kind of mail that nobody ever filed in support@, and one that it has no folder for."""
    info, support = team
    info.deliver(RENTALS)
    info.home.ok("run", "--once")
    taken_for = [info.folders_of(rental) for rental in RENTALS]
    assert taken_for == [["Rechnungen"], ["Rechnungen"]]
    for rental in RENTALS:
        info.move(rental, "Rechnungen", "Travel")
    [family] = next_mails("Familie", 1)
    support.deliver([NEXT_RENTAL, family])

    reports = {each["account"]: each for each in info.home.json("run", "--once")}

    assert reports["info"]["refit"]["promoted"] is True
    assert reports["support"]["refit"] is None
    assert support.folders_of(NEXT_RENTAL) == ["Travel"]
    assert support.folders_of(family) == ["INBOX"]
    why = info.home.ok("why", "--account", "support", message_id("Familie", 16))
    assert "Familie, a folder that this account does not have" in why
    state = info.home.json("status")["accounts"]
    assert state["support"]["model"] == state["info"]["model"]
    assert state["support"]["shared_with"] == ["info"]


def test_two_processes_train_one_after_the_other(team: tuple[World, World]) -> None:
    """Both end well, and the model that was trained last is in use in both accounts."""
    info, support = team
    info.home.ok("run", "--once")
    both = [info.home.start("train", "--account", name, "--json") for name in ("info", "support")]
    for process in both:
        output, _ = process.communicate()
        assert process.returncode == 0, output

    models = info.home.json("models", "list")

    assert len(models) == len({each["version"] for each in models}) == 3
    assert [each["state"] for each in models].count("current") == 1
    assert len({each["model"] for each in info.home.json("status")["accounts"].values()}) == 1


def test_whoever_leaves_takes_the_mail_along(team: tuple[World, World]) -> None:
    """The next pass trains without it, and nothing of the former models is left on disk."""
    info, support = team
    for folder in COMMON:
        for number in range(100, 106):
            support.person.append(support.path(folder), mail(folder, number))
    info.home.ok("learn", "--account", "support")
    shared = info.home.state_dir / "models" / "@team"
    before = {path.name for path in shared.iterdir() if path.is_dir()}
    configure(info, support, info_shares=False)

    reports = {each["account"]: each for each in info.home.json("run", "--once")}

    refit = reports["support"]["refit"]
    assert refit["promoted"] is True
    assert refit["examples"] == 12
    assert refit["report"]["share"]["accounts"] == ["support"]
    assert {path.name for path in shared.iterdir() if path.is_dir()} == {refit["version"]}
    assert refit["version"] not in before
    assert reports["info"]["refit"]["promoted"] is True
    state = info.home.json("status")["accounts"]
    assert state["info"]["shared_model"] is None
    assert state["info"]["model"] != state["support"]["model"]
