"""`inboxd demo` as a person sees it: a whole run, Ctrl-C in the middle, --keep."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.encoder_cache import real_encoder_cache
from tests.support.tiny_bert import tiny_bert_directory

_INBOXD = Path(sys.executable).parent / "inboxd"
_SECONDS = 280


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables for a demo with a BERT that is loaded in a moment."""
    root = tmp_path_factory.mktemp("tiny")
    directory = tiny_bert_directory(root / "tiny-bert")
    return {"INBOXD_MODEL__ENCODER": str(directory), "INBOXD_MODEL__CACHE_DIR": str(root)}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The demo's TMPDIR; what is left in it afterwards was left by the demo."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    return directory


@contextmanager
def _demo(place: Path, variables: dict[str, str], *options: str) -> Iterator[subprocess.Popen[str]]:
    """A running demo with an environment of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INBOXD_")}
    environment |= {"TMPDIR": str(place), "COLUMNS": "100", **variables}
    demo = subprocess.Popen(
        [_INBOXD, "demo", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    try:
        yield demo
    finally:
        demo.kill()
        demo.communicate()


def _server_is_gone(output: str) -> bool:
    """Whether nothing listens where the demo's mail server did."""
    found = re.search(r"127\.0\.0\.1:(\d+)", output)
    assert found is not None, output
    try:
        socket.create_connection(("127.0.0.1", int(found[1])), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False


def _read_until(demo: subprocess.Popen[str], text: str) -> str:
    """The output up to the line with `text`."""
    assert demo.stdout is not None
    seen = ""
    for line in demo.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(seen)


@pytest.mark.encoder
def test_the_demo_shows_the_whole_loop_and_leaves_nothing_behind(place: Path) -> None:
    """Sorted with hardly a mistake, corrected, learned, sorted anew; then no process, no file."""
    variables = {"INBOXD_MODEL__CACHE_DIR": str(real_encoder_cache())}
    with _demo(place, variables) as demo:
        output, _ = demo.communicate(timeout=_SECONDS)
    assert demo.returncode == 0, output
    ordinary = re.search(r"in chapter 3 (\d+) of (\d+)", output)
    assert ordinary is not None, output
    right, moved = int(ordinary[1]), int(ordinary[2])
    assert moved >= 25
    assert right >= 0.97 * moved
    assert re.search(r"relabelled +Rechnungen +Privat", output)
    assert re.search(r"put back +\w+ +INBOX", output)
    assert re.search(r"model \S+ is in use", output)
    assert re.search(r"Oktober: 203,5 kWh.*→ Privat.*✓", output)
    assert "still lies in the inbox; inboxd leaves it there" in output
    assert "2 trained, 2 promoted" in output
    assert _server_is_gone(output)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("moment", ["Learning from the folders", "→ Newsletter"])
def test_ctrl_c_cleans_up_at_any_time(
    place: Path, tiny_encoder: dict[str, str], moment: str
) -> None:
    """While BERT reads, or with the daemon's threads at work: exit code 130, nothing left."""
    with _demo(place, tiny_encoder) as demo:
        output = _read_until(demo, moment)
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, output + rest
    assert "Interrupted; nothing of the demo is left." in rest
    assert "Traceback" not in rest
    assert _server_is_gone(output + rest)
    assert list(place.iterdir()) == []


def test_a_kept_demo_can_be_looked_into(place: Path, tiny_encoder: dict[str, str]) -> None:
    """--keep says where the directory is, and the other commands work on it without a server."""
    with _demo(place, tiny_encoder, "--keep") as demo:
        output, _ = demo.communicate(timeout=_SECONDS)
    assert demo.returncode == 0, output
    (directory,) = place.iterdir()
    assert f"Kept: {directory}" in output
    assert _server_is_gone(output)
    command = [str(_INBOXD), "--config", str(directory / "config.toml"), "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    account = json.loads(done.stdout)["accounts"]["demo"]
    assert account["state"] == "ready"
    assert account["corrections"] >= 1
    assert account["sorted"] + account["left"] >= 41
