"""Nothing of the mail and no password in any output, log, file or process, also in failures.

Words that occur nowhere else are planted as password, login name, sender, subject, body,
attachment and folder. Then every command and the daemon run at debug level, all goes wrong
that can, and everything that inboxd said or wrote is searched for the words.

What may show them, and why, is `MAY_SHOW`; nothing else may.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.test_daemon import Daemon
from tests.e2e.world import wait_until
from tests.support.canaries import Canaries, disguises
from tests.support.command import Home
from tests.support.dovecot import Dovecot
from tests.support.fork_server import ForkServer
from tests.support.mail_user import MailUser
from tests.support.running import free_port
from tests.support.tiny_bert import tiny_bert_directory

pytestmark = pytest.mark.dovecot

PASSWORD = "zaunkoenig.geheim.7319"
WRONG = "zilpzalp.falsch.8820"
FOLDER = "Grünfink-Akten"
CANARIES = Canaries(
    {
        "password": PASSWORD,
        "wrong password": WRONG,
        "login": "amselnutzer",
        "address": "stieglitz@gimpelverein.example",
        "name": "Dompfäffin Rotkehlchen",
        "subject": "Kanarienvögelbetreff",
        "body": "Wiedehopfnestbau",
        "attachment": "pirolrechnung.pdf",
        "folder": FOLDER,
    }
)
MAIL = {"address", "name", "subject", "body", "attachment"}

MAY_SHOW = {"why --words": {*MAIL, "folder"}}
"""By command: what its standard output may show, because the user asked on her own terminal
what in this mail counted. All others may show folder names, for the person who has to recognise
her folders. Standard error may show nothing."""

FILES_WITH_FOLDERS = ("inboxd.sqlite3", "models/")
"""Files of the state directory that hold folder names: to say where mail was moved, and what a
model's labels mean. No file holds anything else."""


def mail(folder: str, number: int) -> bytes:
    """One that belongs into a folder; those of the canary folder hold all canaries."""
    if folder != FOLDER:
        words = "Flug Hotel Buchung Reise Karte" if folder == "Reisen" else "Training Spiel Termin"
        return (
            f"From: info@{folder.lower()}.example\r\nTo: max@example.org\r\n"
            f"Subject: {words.split()[number % 3]} {number}\r\n"
            f"Message-ID: <{folder}-{number}@example.org>\r\n\r\n{words} {number}\r\n"
        ).encode()
    words_ = CANARIES.words
    return (
        f'From: "{words_["name"]}" <{words_["address"]}>\r\nTo: max@example.org\r\n'
        f"Subject: {words_['subject']} {number}\r\n"
        f"Message-ID: <f-{number}@gimpelverein.example>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{words_['body']} {number}\r\n"
        f"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; "
        f'filename="{words_["attachment"]}"\r\n\r\n%PDF\r\n--b--\r\n'
    ).encode()


BROKEN = (
    f"From: =?utf-8?b?!!!?= <{CANARIES.words['address']}\r\nSubject: =?x?q?".encode()
    + CANARIES.words["subject"].encode("latin-1")
    + b"\r\nDate: never\r\nContent-Type: text/html; charset=\xff\r\n\r\n<p><<\0"
    + CANARIES.words["body"].encode()
)


@dataclass
class Told:
    """Everything that inboxd told: outputs by command, and what processes showed of themselves."""

    home: Home
    forks: ForkServer
    outputs: list[tuple[str, str, str]] = field(default_factory=list)
    processes: list[bytes] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)

    def run(self, *arguments: str, label: str = "", **variables: str) -> str:
        """Run a command at debug level; returns what it wrote to standard output."""
        command = ["--log-level", "debug", *arguments]
        done = self.forks.start(command, self.home.environment(variables), self.home.root)
        name = label or " ".join(arguments)
        self.codes[name] = max(done.wait(), self.codes.get(name, 0))
        self.outputs.append((name, done.stdout.read_text(), done.stderr.read_text()))
        return self.outputs[-1][1]


def look_at_processes(pid: int) -> Iterator[bytes]:
    """Arguments and environment of a process and of all its children."""
    for name in ("cmdline", "environ"):
        yield Path(f"/proc/{pid}/{name}").read_bytes()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from look_at_processes(int(child))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The whole story, once."""
    root = tmp_path_factory.mktemp("canaries")
    encoder = tiny_bert_directory(root / "encoder")
    variables = {
        "INBOXD_MODEL__ENCODER": str(encoder),
        "INBOXD_MODEL__TARGET_PRECISION": "0.5",
        "INBOXD_MODEL__THREADS": "1",
    }
    with ForkServer(encoder) as forks, Dovecot(users={CANARIES.words["login"]: PASSWORD}) as server:
        home = Home(root, root / "cache", variables)
        home.configure(server.port, server.user, PASSWORD)
        person = MailUser(server.host, server.port, server.user, PASSWORD)
        story = Told(home, forks)
        all_is_well(story, person)
        all_goes_wrong(story, person)
        person.close()
        yield story


def all_is_well(told: Told, person: MailUser) -> None:
    """Every command, as it is meant to be used."""
    for folder in (FOLDER, "Reisen", "Verein"):
        person.create(folder)
        for number in range(8):
            person.append(folder, mail(folder, number))
    told.run("check")
    told.run("learn")
    for number in range(20, 23):
        person.append("INBOX", mail(FOLDER, number))
    person.append("INBOX", BROKEN)
    told.run("run", "--once", label="run")
    told.run("status")
    told.run("history")
    told.run("why", "<f-20@gimpelverein.example>", label="why")
    told.run("why", "<f-20@gimpelverein.example>", "--words", label="why --words")
    told.run("undo", "--last", "1", label="undo")
    person.move(FOLDER, [1, 2], "Reisen")
    told.run("run", "--once", label="run", INBOXD_TRAINING__HOLD_MOVES_PER_HOUR="1")
    told.run("held", "list", label="held")
    told.run("held", "confirm", label="held")
    told.run("train")
    (told.home.root / "mail.eml").write_bytes(mail(FOLDER, 50))
    told.run("classify", "mail.eml", label="classify")
    for arguments in (("examples", "list"), ("models", "list"), ("models", "show")):
        told.run(*arguments, label=arguments[0])
    told.run("pause")
    told.run("resume")


def all_goes_wrong(told: Told, person: MailUser) -> None:
    """Killed while it works, a corrupt model, a wrong password, a server that is down."""
    process = told.home.start("--log-level", "debug", "run")
    daemon = Daemon(process)
    try:
        daemon.wait_for("service.started")
        told.processes += look_at_processes(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    told.outputs.append(("process", "", daemon.log))
    variables = told.home.environment({"INBOXD_LOGGING__FORMAT": "json"})
    forked = told.forks.start(["--log-level", "debug", "run"], variables, told.home.root)
    wait_until(lambda: "cycle.done" in forked.output(), forked.output)
    person.append("INBOX", BROKEN + b"2")
    person.append("INBOX", mail(FOLDER, 60))
    wait_until(lambda: "sort.round" in forked.output(), forked.output)
    forked.kill()
    told.outputs.append(("daemon", "", forked.output()))
    for path in told.home.state_dir.glob("models/*/*/model.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    person.append("INBOX", mail(FOLDER, 70))
    told.run("run", "--once", label="corrupt model")
    told.home.password_file.write_text(WRONG)
    told.run("check", label="wrong password")
    told.run("run", "--once", label="wrong password, run")
    told.run("check", label="server down", INBOXD_ACCOUNTS__PRIVATE__PORT=str(free_port()))


def test_the_story_happened(told: Told) -> None:
    """Otherwise the searches below would find nothing for want of anything to find."""
    assert {name: code for name, code in told.codes.items() if code} == {
        "wrong password": 5,
        "wrong password, run": 5,
        "server down": 5,
    }
    shown = {name: out for name, out, _ in told.outputs}
    assert FOLDER in shown["history"]
    assert "damaged" in shown["corrupt model"]
    assert "yes" in shown["undo"]
    assert CANARIES.words["body"].lower() in shown["why --words"].lower()
    [log] = [err for name, _, err in told.outputs if name == "daemon"]
    assert '"event": "sort.round"' in log


def test_no_log_line_and_no_error_shows_any_of_it(told: Told) -> None:
    """Standard error, at debug level, of every command and of the daemon."""
    shown = {name: CANARIES.found_in(err) for name, _, err in told.outputs}
    assert {name: found for name, found in shown.items() if found} == {}


def test_standard_output_shows_what_it_is_there_to_show(told: Told) -> None:
    """Folder names; and text of the mail only where the user asks for it."""
    for name, out, _ in told.outputs:
        assert CANARIES.found_in(out) <= MAY_SHOW.get(name, {"folder"}), name


def test_no_file_of_the_state_directory_holds_any_of_it(told: Told) -> None:
    """Raw bytes of the database, of -wal and -shm after a kill, of all models, of the locks."""
    found = CANARIES.found_below(told.home.state_dir)
    assert set.union(set(), *found.values()) <= {"folder"}
    strange = [name for name in found if not name.startswith(FILES_WITH_FOLDERS)]
    assert strange == []
    assert any("folder" in words for words in found.values())


def test_no_process_shows_a_password(told: Told) -> None:
    """Arguments and environment of the daemon and its children, which others may see."""
    assert len(told.processes) >= 2
    assert b"inboxd" in told.processes[0]
    assert [CANARIES.found_in(each) for each in told.processes] == [set()] * len(told.processes)


def test_a_crash_report_holds_kinds_and_places_only(tmp_path: Path) -> None:
    """A fault of ours whose text quotes a mail: exit code 1, no text."""
    script = (
        "import daemon.use_cases.status as use_case, daemon.cli.main as command, sys\n"
        "word = sys.argv.pop()\ndef fail(app):\n    raise ValueError(word)\n"
        "use_case.status = fail\ncommand.main()\n"
    )
    home = Home(tmp_path)
    home.configure(free_port(), "max", PASSWORD)
    done = subprocess.run(
        [sys.executable, "-c", script, "status", CANARIES.words["subject"]],
        capture_output=True,
        text=True,
        env=home.environment({}),
        check=False,
    )
    assert done.returncode == 1
    assert "Unexpected ValueError" in done.stderr
    assert CANARIES.found_in(done.stdout + done.stderr) == set()


def test_the_search_finds_a_word_in_every_disguise() -> None:
    """Encoded as mail, IMAP and JSON encode it, in the middle of something else."""
    word = CANARIES.words["subject"]
    for form in disguises(word):
        assert "subject" in CANARIES.found_in(b"xx" + form + b"yy")
    assert CANARIES.found_in("a mail about nothing") == set()
