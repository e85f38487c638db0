"""The person and inboxd in the same second; two daemons; two machines."""

from __future__ import annotations

import random
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.mails import FOLDERS, next_mails
from tests.e2e.world import World, wait_until
from tests.faults.conftest import Scenario
from tests.faults.passes import finish
from tests.faults.scale import scaled
from tests.faults.world import QuickHome, launch
from tests.support.conservation import Books
from tests.support.mail_user import MailUser

ACTS = ("move", "copy", "delete", "flag")


def act(client: MailUser, what: str, uid: int) -> bool:
    """One act of the person on a mail of the inbox; for move and copy, whether the mail was
    still there."""
    imap: Any = client._client
    imap._imap.untagged_responses.pop("COPYUID", None)
    if what in {"move", "copy"}:
        getattr(client, what)("INBOX", [uid], "Archive")
        return bool(imap._imap.untagged_responses.get("COPYUID"))
    if what == "flag":
        client.flag("INBOX", [uid], "\\Flagged")
    else:
        client.delete("INBOX", [uid])
    return False


@pytest.mark.timeout(0)
def test_the_person_acts_in_the_same_second(world: World, scenario: Scenario) -> None:
    """She moves, copies, deletes and flags mail that inboxd is about to move: whoever is first
    wins, and every mail is accounted for."""
    rounds = scaled(1, 20)
    chance = random.Random("races")  # noqa: S311 - the same every time
    books = Books(world)
    books.open()
    person = world.another_client()
    for number in range(rounds):
        mails = [m for kind in FOLDERS for m in next_mails(kind, 2, skip=2 * number)]
        books.deliver(mails)
        uids = {mail: world.uid_of(mail, "INBOX") for mail in mails}
        run = launch(world, "run", "--once")
        wait_until(lambda: bool(world.dovecot.session_processes(world.user)[1:]), run.output)
        uncertain: dict[bytes, tuple[str, ...]] = {}
        for mail in chance.sample(mails, len(mails)):
            threading.Event().wait(chance.uniform(0.0, 0.2))
            what = chance.choice(ACTS)
            if act(person, what, uids[mail]):
                if what == "move":
                    books.placed(mail, "Archive")
                else:
                    books.copied(mail)
            elif what in {"flag", "delete"}:
                uncertain[mail] = ("\\Flagged",) if what == "flag" else ()
        run.wait()
        finish(world)
        for mail, flags in uncertain.items():
            books.perhaps(mail, *flags)
        books.close()
    scenario("the person moves, copies, deletes, flags in the same second", runs=rounds)


def test_a_second_daemon_on_the_same_state_is_refused(world: World, scenario: Scenario) -> None:
    """Exit code 4, the process id of the first, and the first goes on."""
    books = Books(world)
    books.open()
    daemon = launch(world, "--log-level", "debug", "run")
    try:
        wait_until(lambda: "service.started" in daemon.output(), daemon.output)
        second = world.home.run("run")
        assert second.returncode == 4, second
        assert f"process {daemon.pid}" in second.stderr
        [mail] = next_mails("Travel", 1)
        books.deliver([mail])
        world.eventually(mail, "Travel")
    finally:
        daemon.kill()
    finish(world)
    books.close()
    scenario("two daemons on one state directory")


@pytest.mark.timeout(0)
def test_two_machines_on_one_account(world: World, tmp_path: Path, scenario: Scenario) -> None:
    """Each has a state of its own and both sort at once: every mail is moved by one of them, and
    what the other believed was its move is no lesson."""
    rounds = scaled(1, 10)
    root = tmp_path / "second"
    root.mkdir()
    assert isinstance(world.home, QuickHome)
    home = replace(world.home, root=root)
    home.configure(world.server.port, world.user, world.server.users[world.user])
    shutil.copytree(world.home.state_dir, home.state_dir)
    other = World(world.server, world.user, home)
    books, other_books = Books(world), Books(other)
    books.open()
    other_books.open()
    for number in range(rounds):
        mails = [m for kind in FOLDERS for m in next_mails(kind, 2, skip=2 * number)]
        books.deliver(mails)
        other_books.expected = books.expected
        runs = [launch(each, "run", "--once") for each in (world, other)]
        assert [run.wait() for run in runs] == [0, 0], [run.output() for run in runs]
        for each in (world, other):
            finish(each)
        after = books.look()
        for account in (books, other_books):
            account._nothing_lost_added_or_altered(after)
            account._where_the_database_says(after)
            account._nothing_open()
        assert all(len(world.folders_of(mail)) == 1 for mail in mails)
    scenario("two machines on one account", runs=rounds)
