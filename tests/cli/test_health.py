"""`inboxd health`, as a container's HEALTHCHECK runs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from daemon.locks import instance_lock
from tests.support.command import Home
from tests.support.dovecot import Dovecot

IMPORTED = """
import sys
from daemon.cli.main import main
sys.argv = ["inboxd", "health"]
try:
    main()
except SystemExit:
    pass
print("heavy:", sorted({"torch", "transformers"} & set(sys.modules)))
"""


def test_health_fails_while_no_daemon_runs(home: Home) -> None:
    """Exit code 1, the one that Docker knows, and how to start it."""
    done = home.run("health")

    assert done.returncode == 1
    assert "inboxd run" in done.stdout


def test_health_of_a_daemon_that_has_just_started(home: Home) -> None:
    """Somebody holds the daemon's lock; the server is down, and has time to come back."""
    home.run("status")
    with instance_lock(home.state_dir):
        found = home.json("health")

    assert found["healthy"] is True
    assert found["accounts"][0]["state"] == "starting"
    assert found["accounts"][0]["last_cycle"] is None


@pytest.mark.dovecot
def test_health_after_a_pass(home: Home, server: Dovecot) -> None:
    """Exit code 1 all the same, since nothing runs any more; the account itself is well."""
    home.configure(server.port, server.user, server.password)
    home.ok("run", "--once")

    done = home.run("health", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["accounts"][0]["state"] == "ok"


def test_health_loads_nothing_heavy(home: Home) -> None:
    """It is asked every minute."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        capture_output=True,
        text=True,
        check=True,
        env={**home.environment({}), "PYTHONPATH": ":".join(sys.path)},
    )

    assert done.stdout.splitlines()[-1] == "heavy: []"
