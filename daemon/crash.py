"""What may be told of an error that nobody expected: its kind and its places, never its text.

The text of an exception quotes what could not be handled: a header, a statement with its
values, a line from the server. So tracebacks go out as file and line alone, and the kernel is
asked for no core dumps, which would hold the password and whole mails.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import threading
from traceback import extract_tb
from types import TracebackType
from typing import Any

import structlog

log = structlog.get_logger(__name__)

CHAIN = 5
"""How many causes of an error are told."""


def trace(error: BaseException) -> dict[str, Any]:
    """For a log line: `kind`, `where` (file:line, outermost first), and the causes' kinds."""
    causes: list[str] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < CHAIN:
        causes.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    where = [f"{frame.filename}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
    return {"kind": type(error).__name__, "where": where} | ({"causes": causes} if causes else {})


def install_hooks() -> None:
    """From now on no traceback with values is printed, whichever thread fails."""
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _uncaught(
    kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    del kind
    log.error("crash", **trace(error))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and args.exc_type is not SystemExit:
        name = args.thread.name if args.thread is not None else None
        log.error("crash", thread=name, **trace(args.exc_value))


def _unraisable(unraisable: Any) -> None:
    error = unraisable.exc_value
    log.error("crash", **(trace(error) if error is not None else {"kind": "unknown"}))
