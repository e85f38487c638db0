"""The demo's mail server starts, serves one empty account, and ends whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.demo import server as server_module
from daemon.demo.person import Person, quoted
from daemon.demo.server import MailServer
from daemon.errors import MailboxError, MailboxUnreachable

_HOLDER = """
import sys
from daemon.demo.server import MailServer
with MailServer() as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return False
    return True


def _person(server: MailServer) -> Person:
    return Person(server.host, server.port, server.user, server.password)


def test_a_person_can_file_find_and_move_mail() -> None:
    """Folders with umlauts and delimiters, too; a mail is in one place at a time."""
    message = b"Message-ID: <1@demo.example>\r\nSubject: Test\r\n\r\nText\r\n"
    with MailServer() as server, _person(server) as person:
        person.create("Kündigungen")
        person.create("Listen/Leuchtturm & Co")
        person.append("Kündigungen", message, datetime.now(UTC))
        assert person.find("Kündigungen", "<1@demo.example>") is not None
        person.move("Kündigungen", "<1@demo.example>", "Listen/Leuchtturm & Co")
        assert person.find("Kündigungen", "<1@demo.example>") is None
        assert person.find("Listen/Leuchtturm & Co", "<1@demo.example>") is not None


def test_moving_what_is_not_there_is_an_error_in_plain_words() -> None:
    """And so is a folder that does not exist."""
    with MailServer() as server, _person(server) as person:
        with pytest.raises(MailboxError, match="not in 'INBOX'"):
            person.move("INBOX", "<1@demo.example>", "INBOX")
        with pytest.raises(MailboxError, match="refused a command"):
            person.find("Nowhere", "<1@demo.example>")


def test_the_server_lets_nobody_in_without_the_password() -> None:
    """The password is new each time and in no process argument."""
    with MailServer() as server:
        with pytest.raises(MailboxError):
            Person(server.host, server.port, server.user, "wrong")
        assert server.process_id is not None
        if sys.platform == "linux":
            arguments = Path(f"/proc/{server.process_id}/cmdline").read_bytes()
            assert server.password.encode() not in arguments


def test_the_server_is_gone_after_its_block() -> None:
    """Also when the block ends by an exception."""
    server = MailServer()
    with suppress(KeyboardInterrupt), server:
        assert _listens(server.port)
        raise KeyboardInterrupt
    assert server.process_id is None
    assert not _listens(server.port)


def test_the_server_ends_with_a_killed_demo() -> None:
    """kill -9 leaves no time to clean up; the closed pipe tells the server."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        assert _listens(port)
        os.kill(holder.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _listens(port)


def test_a_port_that_stays_taken_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason, and what to do; a foreign server on that port is not taken for ours."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(server_module, "_free_port", lambda: port)
        with pytest.raises(MailboxUnreachable, match="address already in use") as caught:
            MailServer().__enter__()
    assert "127.0.0.1" in caught.value.next_step


@pytest.mark.parametrize(
    ("folder", "encoded"),
    [
        ("INBOX", '"INBOX"'),
        ("~peter/mail/台北/日本語", '"~peter/mail/&U,BTFw-/&ZeVnLIqe-"'),
        ("Q&A", '"Q&-A"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
    ],
)
def test_folder_names_are_written_in_modified_utf_7(folder: str, encoded: str) -> None:
    """The second example is that of RFC 3501, section 5.1.3."""
    assert quoted(folder) == encoded


def test_a_missing_pymap_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package's name and the command that brings it back."""
    monkeypatch.setitem(sys.modules, "pymap", None)
    with pytest.raises(MailboxUnreachable, match="pymap, is not installed") as caught:
        MailServer().__enter__()
    assert "make install" in caught.value.next_step
