"""The property list for launchd, the service manager of macOS (launchd.plist(5))."""

from __future__ import annotations

import plistlib
from pathlib import Path

from daemon.service_manager.plan import ServicePlan

LABEL = "org.inboxd.inboxd"
FILE = f"{LABEL}.plist"


def render_plist(plan: ServicePlan, home: Path) -> str:
    """The property list of a user's agent. launchd knows no watchdog and no readiness."""
    content = {
        "Label": LABEL,
        "ProgramArguments": list(plan.command),
        "RunAtLoad": True,
        # Started again after a failure, not after `inboxd` ended because it was told to.
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 30,
        "ExitTimeOut": 20,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Nice": 10,
        "Umask": 0o077,
        "SoftResourceLimits": {"Core": 0},
        "HardResourceLimits": {"Core": 0},
        "StandardErrorPath": str(log_file(home)),
    }
    return plistlib.dumps(content, sort_keys=False).decode("utf-8")


def agent_directory(home: Path) -> Path:
    """Where a user's own agents lie."""
    return home / "Library" / "LaunchAgents"


def log_file(home: Path) -> Path:
    """launchd has no journal."""
    return home / "Library" / "Logs" / "inboxd.log"
