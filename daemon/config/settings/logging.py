"""What inboxd writes to standard error: [logging]."""

from __future__ import annotations

import enum

from daemon.config.settings.section import Section


class LogLevel(enum.StrEnum):
    """The least important kind of log line that is still written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """What a log line looks like."""

    CONSOLE = "console"
    JSON = "json"


class LoggingSettings(Section):
    """What inboxd writes to standard error. Never text from mail, never passwords."""

    level: LogLevel = LogLevel.INFO
    """The least important kind of line that is still written."""

    format: LogFormat = LogFormat.CONSOLE
    """How a line looks: "console" for people, "json" one object per line for programs."""
