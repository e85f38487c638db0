"""Log lines: what a library or an exception says about mail does not get into them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

CANARY = "Kanarienvogel"

PRELUDE = """
import logging, sys, threading, warnings
from daemon.logs import configure_logging
configure_logging("debug", "json")
canary = "".join(["Kanarien", "vogel"])
"""


def said(script: str, code: int = 0) -> list[dict[str, object]]:
    """The log lines of a process that runs this; none of them may hold the canary."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert CANARY not in done.stdout + done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_librarys_line_comes_without_its_values() -> None:
    """Logger and template, in our format; an exception as kind and places."""
    lines = said("""
logging.getLogger("somebody").warning("cannot read %s", canary)
try:
    int(canary)
except ValueError:
    logging.getLogger("somebody").exception("job %s failed", canary)
""")
    assert [line["text"] for line in lines] == ["cannot read %s", "job %s failed"]
    assert {line["logger"] for line in lines} == {"somebody"}
    assert lines[1]["kind"] == "ValueError"


def test_what_libraries_say_below_a_warning_is_not_written() -> None:
    """At debug level imapclient, SQLAlchemy and APScheduler would tell everything."""
    assert (
        said("""
for name in ("imapclient.imapclient", "sqlalchemy.engine", "apscheduler.scheduler", "urllib3"):
    logging.getLogger(name).debug("sending %s", canary)
    logging.getLogger(name).info("sent %s", canary)
""")
        == []
    )


def test_a_python_warning_is_named_and_placed() -> None:
    """Its text may quote a header that could not be read."""
    [line] = said("warnings.warn('odd header ' + canary, UserWarning)")
    assert line["kind"] == "UserWarning"


def test_our_own_lines_below_structlog_keep_their_values() -> None:
    """The classifier logs through the standard library, and knows what it may say."""
    [line] = said("logging.getLogger('classifier.encoder').info('building %s', 'e5')")
    assert line["text"] == "building e5"


def test_an_error_in_any_thread_is_told_without_its_text() -> None:
    """Main thread, other threads, and objects that fail while they are collected."""
    lines = said(
        """
def fail():
    raise ValueError(canary)
class Collected:
    def __del__(self):
        fail()
thread = threading.Thread(target=fail, name="worker:private")
thread.start()
thread.join()
Collected()
try:
    fail()
except ValueError as error:
    raise RuntimeError(canary) from error
""",
        code=1,
    )
    assert [line["event"] for line in lines] == ["crash"] * 3
    assert [line["kind"] for line in lines] == ["ValueError", "ValueError", "RuntimeError"]
    assert lines[0]["thread"] == "worker:private"
    assert lines[2]["causes"] == ["ValueError"]
    assert all(":" in place for line in lines for place in line["where"])  # type: ignore[attr-defined]


def test_a_crash_leaves_no_core_dump() -> None:
    """It would hold the password and whole mails."""
    script = "import resource; sys.stdout.write(str(resource.getrlimit(resource.RLIMIT_CORE)[0]))"
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0"


def test_values_of_a_statement_are_not_in_its_error() -> None:
    """SQLAlchemy would quote them."""
    said("""
from pathlib import Path
import tempfile
from sqlalchemy import text
from daemon.store.engine import open_engine
with tempfile.TemporaryDirectory() as name, open_engine(Path(name) / "x").connect() as connection:
    try:
        connection.execute(text("SELECT * FROM missing WHERE a = :a"), {"a": canary})
    except Exception as error:
        sys.stdout.write(str(error))
""")
    assert logging.getLogger("sqlalchemy.engine").level == logging.NOTSET
