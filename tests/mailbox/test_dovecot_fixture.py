"""The throw-away Dovecot tells what is missing and leaves nothing behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support import dovecot as fixture
from tests.support.dovecot import Dovecot


def test_a_missing_dovecot_is_an_error_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    """No silent skip: the message names the packages."""
    monkeypatch.setattr(fixture, "_BINARY", Path("/nowhere/dovecot"))
    server = Dovecot()
    with pytest.raises(RuntimeError, match="apt-get install"), server:
        pass
    assert not server.root.exists()


@pytest.mark.dovecot
def test_a_stopped_server_is_gone_with_its_directory() -> None:
    """No process listens, no file is left."""
    with Dovecot() as server:
        assert server.ca_file.exists()
    assert not server.root.exists()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((server.host, server.port), timeout=1)


@pytest.mark.dovecot
def test_a_restarted_server_has_kept_its_mail() -> None:
    """`stop` and `start` in the middle of a test are a server that is rebooted."""
    with Dovecot() as server:
        server.doveadm("mailbox", "create", "-u", server.user, "Bleibt")
        server.stop()
        server.start()
        assert "Bleibt" in server.doveadm("mailbox", "list", "-u", server.user)
