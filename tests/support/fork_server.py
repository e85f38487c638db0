"""The `inboxd` command in a fraction of a second: forked where everything is imported already.

Hundreds of runs that are killed and started again would spend nearly all of their time on
importing torch. So one process (this module as a program) imports what `inboxd` imports, fills
the caches of these libraries, and forks for each run. What runs is the command itself,
`daemon.cli.main`, as a process of its own with its own id, signals, files and environment.

    with ForkServer(encoder) as forks:   # the directory of a (tiny) encoder
        run = forks.start(["run", "--once"], environment, directory)
        run.kill()                       # SIGKILL
        run.wait(), run.output()
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tests.support.running import Running

CHECKOUT = Path(__file__).parents[2]
POLL_SECONDS = 0.01
POISON = "POISON"
"""Variable of a run: a mail that holds this text kills the process that parses it."""


@dataclass
class Run:
    """One run of the command."""

    pid: int
    stdout: Path
    stderr: Path
    _server: ForkServer
    _code: int | None = None

    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended it), None while it runs."""
        if self._code is None:
            self._code = self._server.ask(poll=self.pid)["code"]
        return self._code

    def wait(self, seconds: float = 120.0) -> int:
        """Wait for the end; kills it and fails when that takes too long."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"inboxd did not end in {seconds} s\n{self.output()}")
            time.sleep(POLL_SECONDS)
        return code

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.send_signal(signal.SIGKILL)
        while self.poll() is None:
            time.sleep(POLL_SECONDS)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended: its number may belong to another one by then."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def output(self) -> str:
        """What it has said so far, logs included."""
        return self.stdout.read_text() + self.stderr.read_text()


@dataclass
class ForkServer(Running):
    """Client side; one request at a time."""

    encoder: Path
    _process: subprocess.Popen[str] | None = None
    _runs: list[Run] = field(default_factory=list)
    _started: int = 0

    def _running(self) -> Iterator[None]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self.encoder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "HF_DEACTIVATE_ASYNC_LOAD": "1",
                # Its console is made here, once for all runs: no table may break a value.
                "COLUMNS": "200",
            },
        )
        try:
            yield
        finally:
            for run in self._runs:
                run.kill()
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], at: Path) -> Run:
        """Run the command in directory `at`; its output goes into files there."""
        self._started += 1
        stdout, stderr = at / f"{self._started}.stdout", at / f"{self._started}.stderr"
        for path in (stdout, stderr):  # so that `output` finds them however early it is asked
            path.touch()
        answer = self.ask(
            arguments=list(arguments),
            environment=dict(environment),
            directory=str(at),
            stdout=str(stdout),
            stderr=str(stderr),
        )
        run = Run(answer["pid"], stdout, stderr, self)
        self._runs = [each for each in self._runs if each.poll() is None]
        self._runs.append(run)
        return run

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, one answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the fork server has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


def _import_everything(encoder: Path) -> None:
    """What the command would import, and what these libraries build at their first use.

    With OMP_NUM_THREADS=1 none of it starts a thread, which a fork would lose.
    """
    import transformers  # noqa: PLC0415
    from sqlalchemy.orm import configure_mappers  # noqa: PLC0415

    import classifier.artifact  # noqa: PLC0415
    import classifier.encoder  # noqa: PLC0415
    import classifier.featurizer  # noqa: PLC0415
    import daemon.bootstrap  # noqa: PLC0415
    import daemon.cli.main  # noqa: PLC0415
    import daemon.learning.refit  # noqa: PLC0415
    import daemon.service  # noqa: PLC0415
    import daemon.use_cases.cycle  # noqa: PLC0415
    import trainer.card  # noqa: PLC0415
    import trainer.evaluate  # noqa: PLC0415
    import trainer.gate  # noqa: PLC0415

    configure_mappers()
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers.AutoTokenizer.from_pretrained(encoder)
    transformers.AutoModel.from_pretrained(encoder)
    assert threading.active_count() == 1, threading.enumerate()
    del classifier, daemon, trainer


def _serve(requests: TextIO, answers: TextIO) -> None:
    codes: dict[int, int] = {}
    for line in requests:
        request = json.loads(line)
        if "poll" in request:
            answer = {"code": _code(request["poll"], codes)}
        else:
            answer = {"pid": _fork(request)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _code(pid: int, codes: dict[int, int]) -> int | None:
    if pid not in codes:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found == 0:
            return None
        codes[pid] = os.waitstatus_to_exitcode(status)
    return codes[pid]


def _fork(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = _run(request)
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not `sys.exit`: this frame's callers are the server's.
        os._exit(code)


def _be_killed_by(poison: bytes) -> None:
    """Whoever parses a mail with these bytes is gone, as by a fault in a library in C."""
    from daemon.sorting import sort  # noqa: PLC0415 - imported long ago

    names = vars(sort)
    parse = names["parse"]

    def fatal(content: bytes) -> Any:
        if poison in content:
            os.kill(os.getpid(), signal.SIGKILL)
        return parse(content)

    names["parse"] = fatal


def _run(request: dict[str, Any]) -> int:
    os.setsid()
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(name, flags, 0o600), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["inboxd", *request["arguments"]]
    if poison := os.environ.get(POISON):
        _be_killed_by(poison.encode())
    from daemon.cli.main import main  # noqa: PLC0415 - imported long ago

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


if __name__ == "__main__":
    _import_everything(Path(sys.argv[1]))
    _serve(sys.stdin, sys.stdout)
