"""The server says no, the folders change, the account cannot be reached."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from imapclient.exceptions import IMAPClientError

from tests.e2e.mails import mail, next_mails
from tests.e2e.world import World, wait_until
from tests.faults.conftest import Scenario
from tests.faults.passes import finish
from tests.faults.scale import heavy, some
from tests.faults.world import Learned, launch
from tests.support.conservation import Books
from tests.support.dovecot import Dovecot
from tests.support.fault_proxy import Command, Fault, FaultProxy
from tests.support.inventory import digest

MAILS = next_mails("Travel", 2)
ANJA = {"anja": "secret"}


def maildir(world: World, folder: str = "") -> Path:
    """Where the test server keeps a folder."""
    return world.dovecot.root / "home" / world.user / "Maildir" / folder


def log_out(world: World) -> None:
    """The person closes her mail program; the next act opens it again."""
    world.close()
    world.people.clear()
    world.__dict__.pop("person", None)
    wait_until(lambda: not world.dovecot.session_processes(world.user))


def fill_up(world: World) -> None:
    """Until the server takes nothing more."""
    for size in (30_000, 10_000, 2_000, 500, 100):
        refused = False
        while not refused:
            try:
                world.person.append("Archive", b"Subject: x\r\n\r\n" + b"x" * size + b"\r\n")
            except IMAPClientError as error:
                if "OVERQUOTA" not in str(error):
                    raise
                refused = True


def test_over_quota_mail_stays_with_its_reason(
    learned: Learned, tmp_path: Path, scenario: Scenario
) -> None:
    """Without MOVE the copy is refused; nothing is expunged, and nothing is asked again and
    again."""
    with (
        Dovecot(users=ANJA, hidden=("MOVE",), quota="200K") as server,
        learned.copy(server, tmp_path) as world,
    ):
        world.deliver(MAILS)
        fill_up(world)
        books = Books(world)
        books.open()
        finish(world)
        books.close()
        [(reason,)] = world.rows("SELECT DISTINCT reason FROM decisions WHERE action = 'left'")
        assert "OVERQUOTA" in reason
        scenario("over quota", "Dovecot maildir without MOVE")


def test_a_read_only_folder_receives_nothing(
    learned: Learned, tmp_path: Path, scenario: Scenario
) -> None:
    """An ACL allows looking only: the mail stays in the inbox, with the reason."""
    with Dovecot(users=ANJA, acl=True) as server, learned.copy(server, tmp_path) as world:
        (maildir(world, "Travel") / "dovecot-acl").write_text("owner lr\n")
        books = Books(world)
        books.open()
        books.deliver(MAILS)
        finish(world)
        books.close()
        assert [world.folders_of(each) for each in MAILS] == [["INBOX"]] * 2
        scenario("read-only folder (ACL)")


def deleted(world: World) -> None:
    """What lay in it goes too; that is the person's doing."""
    world.another_client().remove("Travel")


def renamed(world: World) -> None:
    """The same mail under another name."""
    world.another_client().rename("Travel", "Reisen")


def created(world: World) -> None:
    """Somebody else's folder."""
    world.another_client().create("Neu")


@pytest.mark.parametrize("change", some([deleted, renamed, created], [renamed]))
def test_folders_that_change_between_plan_and_move(
    change: Callable[[World], None], world: World, scenario: Scenario
) -> None:
    """The command waits, the folders change, the command arrives."""
    books = Books(world)
    books.open()
    books.deliver(MAILS)
    with FaultProxy(world.server.port) as proxy:
        proxy.spoil(Command.MOVE, Fault.LATE)
        run = launch(world, "run", "--once", INBOXD_ACCOUNTS__PRIVATE__PORT=str(proxy.port))
        wait_until(proxy.struck.is_set, run.output)
        if change is deleted:
            for number in range(16):
                books.deleted(mail("Travel", number))
        change(world)
        run.wait()
        proxy.release()
    finish(world)
    books.close()
    inbox_or_new = {"INBOX", "Reisen", "Travel", "Neu"}
    assert all(set(world.folders_of(each)) <= inbox_or_new for each in MAILS)
    assert world.rows("SELECT count(*) FROM corrections") == [(0,)]
    scenario(f"folder {change.__name__} between plan and move")


def test_after_another_uidvalidity_nothing_is_moved_again(world: World, scenario: Scenario) -> None:
    """The server lost the indexes of inbox and target after a move."""
    books = Books(world)
    books.open()
    books.deliver(MAILS)
    finish(world)
    log_out(world)
    for folder in ("", "Travel"):
        for path in maildir(world, folder).glob("dovecot*"):
            if path.is_file():
                path.unlink()
    more = next_mails("Travel", 2, skip=2)
    books.deliver(more)
    finish(world)
    books.close()
    assert [world.folders_of(each) for each in (*MAILS, *more)] == [["Travel"]] * 4
    assert world.rows("SELECT count(*) FROM corrections") == [(0,)]
    scenario("UIDVALIDITY reset of inbox and target")


def test_too_many_connections_and_a_changed_password_only_delay(
    learned: Learned, tmp_path: Path, scenario: Scenario
) -> None:
    """Both are told with exit code 5, and mail is untouched until they are mended."""
    with Dovecot(users=ANJA, max_connections=1) as server, learned.copy(server, tmp_path) as world:
        world.deliver(MAILS)
        # The inventory needs the one connection itself, so it is told by the files.
        limited = world.home.run("run", "--once")
        assert limited.returncode == 5, limited
        log_out(world)
        books = Books(world)
        books.open()

        world.home.password_file.write_text("wrong\n")
        refused = world.home.run("run", "--once")
        assert refused.returncode == 5, refused
        assert "password" in refused.stdout + refused.stderr

        world.home.password_file.write_text("secret\n")
        finish(world)
        books.close()
        scenario("connection limit reached")
        scenario("password changed")


OTHER_HOST = "-subj /CN=mail.example.org -addext subjectAltName=DNS:mail.example.org"
THIS_HOST = "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
_NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem"
_CA = """\
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


def for_another_host(root: Path) -> None:
    """A good certificate of somebody else."""
    _openssl(root, f"req -x509 {_NEW_KEY} -days 2 {OTHER_HOST} -out cert.pem")


def expired(root: Path) -> None:
    """For this host, but of two years ago."""
    (root / "ca.conf").write_text(_CA)
    (root / "index.txt").write_text("")
    (root / "serial").write_text("01\n")
    _openssl(root, f"req {_NEW_KEY} {THIS_HOST} -out request.pem")
    dates = "-startdate 20240101000000Z -enddate 20240201000000Z"
    signing = "ca -batch -config ca.conf -selfsign -keyfile key.pem"
    _openssl(root, f"{signing} -in request.pem {dates} -notext -out cert.pem")


def _openssl(root: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=root, check=True, capture_output=True)


@heavy
@pytest.mark.parametrize("make", [expired, for_another_host])
def test_a_certificate_that_proves_nothing_is_refused(
    make: Callable[[Path], None], learned: Learned, tmp_path: Path, scenario: Scenario
) -> None:
    """The password is not sent, mail is untouched, and the message says what to look at."""
    with Dovecot(users=ANJA) as server, learned.copy(server, tmp_path) as world:
        books = Books(world)
        books.open()
        books.deliver(MAILS)
        log_out(world)
        server.stop()
        make(server.root)
        server.start()
        secured = {
            "INBOXD_ACCOUNTS__PRIVATE__TLS": "implicit",
            "INBOXD_ACCOUNTS__PRIVATE__PORT": str(server.tls_port),
            "INBOXD_ACCOUNTS__PRIVATE__CA_FILE": str(server.ca_file),
        }
        done = world.home.run("run", "--once", **secured)
        assert done.returncode == 5, done
        assert "certificate" in done.stdout + done.stderr
        there = {message.digest for message in world.inventory()["INBOX"]}
        assert there == {digest(each) for each in MAILS}
        finish(world)
        books.close()
        scenario(f"certificate {make.__name__.replace('_', ' ')}")
