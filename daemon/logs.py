"""Structured logs on standard error: event names, counts and ids; never text from mail.

| what | said | not said |
|---|---|---|
| our own lines | events, accounts, row ids, counts, our errors | addresses, text, folder names |
| a library's line | its logger and the text before values are put in | the values |
| a Python warning | its category and place | its text |
| an exception | its kind and places (`daemon.crash`) | its text |
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any, TextIO

import structlog

from daemon.crash import install_hooks, trace

log = structlog.get_logger(__name__)

OWN = ("classifier", "trainer", "daemon")
"""Packages whose standard-library log lines are ours: values and all levels included."""


def configure_logging(level: str, format_: str) -> None:
    """Set up structlog, and send the libraries' warnings the same way.

    `level` is debug, info, warning or error; `format_` is console or json.
    """
    number = getattr(logging, level.upper())
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if format_ == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _route_libraries(number)
    install_hooks()


def _route_libraries(level: int) -> None:
    """One handler for the standard library's logging, whoever was there before."""
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Route)]
    root.addHandler(_Route())
    root.setLevel(max(level, logging.WARNING))
    for name in OWN:
        logging.getLogger(name).setLevel(level)
    warnings.showwarning = _warned


def _without_values(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """`exc_info` becomes the kind and the places of the exception."""
    found = event.pop("exc_info", None)
    error = found if isinstance(found, BaseException) else sys.exc_info()[1] if found else None
    return event if error is None else {**event, **trace(error)}


class _Route(logging.Handler):
    """Standard-library log records as structlog events."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            is_own = record.name.partition(".")[0] in OWN
            text = record.getMessage() if is_own else str(record.msg)
            error = record.exc_info[1] if record.exc_info else None
            fields: dict[str, Any] = trace(error) if error is not None else {}
            write = log.error if record.levelno >= logging.ERROR else log.warning
            if record.levelno < logging.WARNING:
                write = log.info if record.levelno >= logging.INFO else log.debug
            write("library.said", logger=record.name, text=text, **fields)
        except Exception:  # noqa: BLE001 - as logging itself: a log line may not end the program
            self.handleError(record)


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """In place of `warnings.showwarning`."""
    del message, file, line
    log.warning("library.warned", kind=category.__name__, where=f"{filename}:{lineno}")
