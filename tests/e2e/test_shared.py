"""Two accounts on two servers that spell folders differently, and one model for both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.mails import mail, message_id, next_mails
from tests.e2e.story import NEXT_RENTAL, RENTALS
from tests.e2e.world import World
from tests.support.dovecot import Dovecot
from tests.support.mail_servers import KINDS

PREFIXED = KINDS["dovecot-namespace"]
"""Below INBOX., with dots between parent and child."""

COMMON = ("Rechnungen", "Travel")
"""Folders of both accounts; "Familie" and two more has only the first one, "private"."""


@pytest.fixture(scope="module")
def prefixed() -> Iterator[Dovecot]:
    """The server of support@."""
    with PREFIXED.make({f"support{number}": "secret" for number in range(5)}) as running:
        assert isinstance(running, Dovecot)
        yield running


@pytest.fixture
def team(world: World, prefixed: Dovecot) -> Iterator[tuple[World, World]]:
    """Her account, which has learned by itself before, and support@ with two empty folders: one
    inboxd for both, which has learned together what she had filed."""
    support = World(prefixed, _unused(prefixed), world.home, PREFIXED)
    configure(world, support)
    for folder in COMMON:
        support.person.create(support.path(folder))
    world.home.ok("learn", "--account", "private")
    yield world, support
    support.close()


def _unused(server: Dovecot) -> str:
    homes = server.root / "home"
    return next(user for user in server.users if not any((homes / user).iterdir()))


def configure(private: World, support: World, *, both_share: bool = True) -> None:
    """Both accounts; support@ always shares the model."""
    home = private.home
    lines = [f'[state]\ndir = "{home.state_dir}"', "[model]\ntarget_precision = 0.8"]
    for name, world, shares in (("private", private, both_share), ("support", support, True)):
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
    private, support = team
    private.deliver(RENTALS)
    private.home.ok("run", "--once")
    taken_for = [private.folders_of(rental) for rental in RENTALS]
    assert taken_for == [["Rechnungen"], ["Rechnungen"]]
    for rental in RENTALS:
        private.move(rental, "Rechnungen", "Travel")
    [family] = next_mails("Familie", 1)
    support.deliver([NEXT_RENTAL, family])

    reports = {each["account"]: each for each in private.home.json("run", "--once")}

    assert reports["private"]["refit"]["promoted"] is True
    assert reports["support"]["refit"] is None
    assert support.folders_of(NEXT_RENTAL) == ["Travel"]
    assert support.folders_of(family) == ["INBOX"]
    why = private.home.ok("why", "--account", "support", message_id("Familie", 16))
    assert "Familie, a folder that this account does not have" in why
    state = private.home.json("status")["accounts"]
    assert state["support"]["model"] == state["private"]["model"]
    assert state["support"]["shared_with"] == ["private"]


def test_two_processes_train_one_after_the_other(team: tuple[World, World]) -> None:
    """Both end well, and the model that was trained last is in use in both accounts."""
    private, _ = team
    private.home.ok("run", "--once")
    both = [
        private.home.start("train", "--account", name, "--json") for name in ("private", "support")
    ]
    for process in both:
        output, _ = process.communicate()
        assert process.returncode == 0, output

    models = private.home.json("models", "list")

    assert len(models) == len({each["version"] for each in models}) == 3
    assert [each["state"] for each in models].count("current") == 1
    assert len({each["model"] for each in private.home.json("status")["accounts"].values()}) == 1


def test_whoever_leaves_takes_the_mail_along(team: tuple[World, World]) -> None:
    """The next pass trains without it, nothing of the former models is left on disk, and what the
    account had learned by itself is used again."""
    private, support = team
    for folder in COMMON:
        for number in range(100, 106):
            support.person.append(support.path(folder), mail(folder, number))
    private.home.ok("learn", "--account", "support")
    shared = private.home.state_dir / "models" / "@team"
    before = {path.name for path in shared.iterdir() if path.is_dir()}
    configure(private, support, both_share=False)

    reports = {each["account"]: each for each in private.home.json("run", "--once")}

    refit = reports["support"]["refit"]
    assert refit["promoted"] is True
    assert refit["examples"] == 12
    assert refit["report"]["share"]["accounts"] == ["support"]
    assert {path.name for path in shared.iterdir() if path.is_dir()} == {refit["version"]}
    assert refit["version"] not in before
    state = private.home.json("status")["accounts"]
    assert state["private"]["shared_model"] is None
    assert state["private"]["model"] == private.learned[0]["refit"]["version"]
