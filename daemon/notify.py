"""What the daemon tells its supervisor: ready, how it is, that it lives, that it stops.

The protocol is that of sd_notify(3): lines NAME=value in one datagram to the socket that
$NOTIFY_SOCKET names. systemd speaks it, and others that took it over. Without the variable there
is nobody to tell, and nothing is sent. Why own code, and what a sign of life means: docs/adr/0038.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass

import structlog

from daemon.pulse import Vital

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
"""How often the daemon looks whether there is something to tell."""

STATUS_SECONDS = 10.0
"""A status that only grew older is told anew after so many seconds."""

SEND_SECONDS = 2.0
"""A supervisor that reads nothing for so long is not waited for."""

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Where to, and how often at least (None: no watchdog)."""

    address: str
    watchdog_seconds: float | None

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Supervisor | None:
        """Who started this process and wants to hear of it; None: nobody.

        The variables are taken out of `environment`: a process that this one starts does not
        speak for it.
        """
        values = {name: environment.pop(name, "") for name in _VARIABLES}
        address = values["NOTIFY_SOCKET"]
        if not address:
            return None
        if not address.startswith(("/", "@")):  # sd_notify(3) also knows vsock, between machines
            log.warning("notify.unknown_address", address=address)
            return None
        return cls(address, _watchdog(values["WATCHDOG_USEC"], values["WATCHDOG_PID"]))

    def send(self, *assignments: str) -> bool:
        """One datagram; whether it arrived. No failure of it may stop the sorting of mail."""
        name = self.address
        # An address in Linux' abstract namespace begins with a zero byte, written as @.
        target = "\0" + name[1:] if name.startswith("@") else name
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(SEND_SECONDS)
                sender.connect(target)
                sender.send("\n".join(assignments).encode())
        except OSError as error:
            log.warning("notify.failed", error=type(error).__name__)
            return False
        return True


def _watchdog(microseconds: str, process: str) -> float | None:
    """sd_watchdog_enabled(3): seconds, None when it is not meant for this process."""
    if process and process != str(os.getpid()):
        return None
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 1_000_000


class Notifier:
    """Tells a supervisor how the workers are. `vitals` is asked at every tick."""

    def __init__(
        self,
        supervisor: Supervisor | None,
        vitals: Callable[[], Sequence[Vital]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._supervisor = supervisor
        self._vitals = vitals
        self._clock = clock
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._status = ""
        self._status_due = self._sign_due = clock()
        self._silent: tuple[str, ...] = ()

    def ready(self) -> None:
        """The workers are at work. From now on a thread says so again and again."""
        if self._supervisor is None:
            return
        self._tell("READY=1", f"STATUS={status_line(self._vitals(), self._clock())}")
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self._thread.start()

    def reloading(self) -> None:
        """The configuration is read again; `ready_again` ends it."""
        # RELOADING=1 without the time is ignored by units of Type=notify-reload.
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def ready_again(self) -> None:
        """The new configuration is in force, or the old one stays."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """The daemon ends, because it was told to."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(SEND_SECONDS)
        self._tell("STOPPING=1", "STATUS=stopping")

    def tick(self) -> None:
        """Tell what there is to tell by now: a changed status, and that everybody lives."""
        now, vitals = self._clock(), self._vitals()
        self._tell_status(now, vitals)
        silent = tuple(vital.account for vital in vitals if not vital.is_alive)
        if silent != self._silent:
            self._silent = silent
            log.log(40 if silent else 20, "notify.silent_workers", accounts=list(silent))
        seconds = self._supervisor.watchdog_seconds if self._supervisor is not None else None
        if seconds is None or silent or now < self._sign_due:
            return
        self._sign_due = now + seconds / 2
        self._tell("WATCHDOG=1")

    def _tell_status(self, now: float, vitals: Sequence[Vital]) -> None:
        status = status_line(vitals, now)
        # Without its age, which changes every second.
        facts = repr([(vital.account, vital.is_alive, vital.is_failing) for vital in vitals])
        if facts == self._status and now < self._status_due:
            return
        self._status, self._status_due = facts, now + STATUS_SECONDS
        self._tell(f"STATUS={status}")

    def _run(self) -> None:
        while not self._end.wait(TICK_SECONDS):
            self.tick()

    def _tell(self, *assignments: str) -> None:
        if self._supervisor is not None:
            self._supervisor.send(*assignments)


def status_line(vitals: Sequence[Vital], now: float) -> str:
    """ "3 accounts, last cycle 12 s ago", and who is in trouble."""
    parts = ["1 account" if len(vitals) == 1 else f"{len(vitals)} accounts"]
    passes = [vital.last_pass for vital in vitals if vital.last_pass is not None]
    parts.append(f"last cycle {_age(now - max(passes))} ago" if passes else "no cycle yet")
    for word, names in (
        ("failing", [v.account for v in vitals if v.is_failing and v.is_alive]),
        ("silent", [v.account for v in vitals if not v.is_alive]),
    ):
        if names:
            parts.append(f"{word}: {' '.join(names)}")
    return ", ".join(parts)


def _age(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"
