"""The subprocess of a deep fine-tune, seen from inboxd: feed it, listen to it, end it.

Texts go in through a pipe and are nowhere else. The pipe stays open while the child works: when
it closes, because inboxd was killed or wants to stop, the child ends at once, and so never
outlives its parent. What comes out are lines of JSON (`trainer.deep_worker`).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import structlog

from daemon.errors import ModelError

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0
OVERTIME_SECONDS = 900.0
"""The child ends training by itself when its time is up, and then still reads all mail with the
new encoder; after so much more it is killed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the child may take of this machine. `threads` 0: all cores."""

    nice: int
    memory_mb: int
    threads: int
    seconds: float


OnEvent = Callable[[Mapping[str, Any]], None]


def run_child(
    lines: Iterable[Mapping[str, Any]],
    directory: Path,
    limits: Limits,
    on_event: OnEvent,
    stopped: Callable[[], bool],
) -> dict[str, Any] | None:
    """Run the child to its end; its last word, or None when `stopped` became true.

    `lines`: the job and its texts, see `trainer.deep_worker`. Raises `ModelError`.
    """
    child = _spawn(directory, limits)
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the child has no pipes")
    events: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threads = [
        threading.Thread(target=_feed, args=(child.stdin, lines), name="deep:in", daemon=True),
        threading.Thread(target=_listen, args=(child.stdout, events), name="deep:out", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        return _follow(child, events, limits, on_event, stopped)
    finally:
        _end(child)
        for thread in threads:
            thread.join(GRACE_SECONDS)
        child.stdout.close()


def _follow(
    child: subprocess.Popen[bytes],
    events: queue.Queue[dict[str, Any] | None],
    limits: Limits,
    on_event: OnEvent,
    stopped: Callable[[], bool],
) -> dict[str, Any] | None:
    deadline = time.monotonic() + limits.seconds + OVERTIME_SECONDS
    while True:
        if stopped():
            return None
        if time.monotonic() > deadline:
            raise ModelError(
                "The deep fine-tune did not end in time and was stopped.",
                next_step="Give it more time: [deep_tuning] max_minutes",
            )
        try:
            event = events.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if event is None:
            raise _died(child.wait(), limits)
        if event.get("event") == "failed":
            raise _failed(event, limits)
        if event.get("event") == "done":
            return event
        on_event(event)


def _spawn(directory: Path, limits: Limits) -> subprocess.Popen[bytes]:
    threads = str(limits.threads or os.cpu_count() or 1)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [
        sys.executable, "-P", "-m", "trainer.deep_worker",
        "--nice", str(limits.nice), "--memory-mb", str(limits.memory_mb), "--threads", threads,
    ]  # fmt: skip
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # an exception's text may hold text from a mail
        cwd=directory,
        env=environment,
    )


def _feed(pipe: IO[bytes], lines: Iterable[Mapping[str, Any]]) -> None:
    try:
        for line in lines:
            pipe.write(json.dumps(line).encode() + b"\n")
        pipe.flush()
    except (BrokenPipeError, ValueError):  # the child, or the pipe, was closed meanwhile
        log.debug("deep.pipe_closed")


def _listen(pipe: IO[bytes], events: queue.Queue[dict[str, Any] | None]) -> None:
    for line in pipe:
        events.put(json.loads(line))
    events.put(None)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close its input, which ends it; kill it when that does not help."""
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _died(code: int, limits: Limits) -> ModelError:
    how = f"signal {-code}" if code < 0 else f"code {code}"
    return ModelError(
        f"The deep fine-tune ended unexpectedly ({how}).",
        next_step="Run it again, it goes on where it was; when it was killed for memory "
        f"({limits.memory_mb} MB allowed), lower [deep_tuning] batch_size.",
    )


def _failed(event: Mapping[str, Any], limits: Limits) -> ModelError:
    log.warning("deep.failed", kind=event["kind"], where=event.get("where"))
    if event["kind"] == "memory":
        return ModelError(
            f"The deep fine-tune needs more than {limits.memory_mb} MB of memory.",
            next_step="Raise [deep_tuning] memory_mb, or lower its batch_size or max_tokens.",
        )
    message = event.get("message") or f"The deep fine-tune failed ({event['kind']})."
    return ModelError(message, next_step=event.get("next_step") or ModelError.next_step)
