"""The systemd unit, in two variants (systemd.service(5), systemd.exec(5)).

A service of the system gets a user of its own and sees hardly anything of the machine. A service
of a user can only be restricted by what the kernel lets unprivileged processes do to themselves:
system calls, privileges and resources, but no view of the files of its own. See docs/adr/0037.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from daemon.service_manager.plan import CACHE_ROOT, LABEL, STATE_ROOT, Scope, ServicePlan

UNIT = f"{LABEL}.service"

WATCHDOG_SECONDS = 120
"""Twice the longest pause between two signs of life; see `daemon.notify`."""

_COMMON = """\
# Ready when the accounts are being looked after; hung when it says nothing for two minutes.
Type=notify
NotifyAccess=main
WatchdogSec={watchdog}s
TimeoutStartSec=10min
TimeoutStopSec=20s
Restart=on-failure
RestartSec=30s
# A fault of the configuration does not go away by itself.
RestartPreventExitStatus=2
# The daemon ends its own children; whatever is left after it is killed.
KillMode=mixed

# Steps back behind everything else on this machine.
Nice=10
CPUWeight=20
IOWeight=20
MemoryMax={memory_mb}M
TasksMax=512
LimitCORE=0
OOMScoreAdjust=500
# When the tuning of the encoder takes too much, that process goes, not the daemon.
OOMPolicy=continue

# What the process may still do. MemoryDenyWriteExecute= is not among it: PyTorch's oneDNN writes
# machine code for this processor at run time, and computes nothing where it may not.
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native
# @resources stays: threads are placed, and the tuning lowers its priority and limits its memory.
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
"""

_SYSTEM = """\
# A user that exists while the service runs, and two directories that are its own.
DynamicUser=yes
User={label}
StateDirectory={state}
StateDirectoryMode=0700
CacheDirectory={cache}
CacheDirectoryMode=0700
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateUsers=yes
PrivateMounts=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
CapabilityBoundingSet=
AmbientCapabilities=
KeyringMode=private
RemoveIPC=yes
{devices}
"""

_NO_DEVICES = """\
# No GPU either; device = "cuda" in [model] and a new `inboxd service install` open it.
PrivateDevices=yes
DevicePolicy=closed"""

_CUDA_DEVICES = """\
# The NVIDIA GPU that [model] device asks for, and no other device.
DevicePolicy=closed
DeviceAllow=char-nvidia-frontend rw
DeviceAllow=char-nvidia rw
DeviceAllow=char-nvidia-caps rw
DeviceAllow=char-nvidia-uvm rw"""

_NETWORK = """\
Wants=network-online.target
After=network-online.target
"""


def render_unit(plan: ServicePlan) -> str:
    """The unit's text. The paths of the plan are absolute and hold no control characters."""
    is_system = plan.scope is Scope.SYSTEM
    credentials = "".join(
        f"LoadCredential={name}:{_specifiers(str(path))}\n" for name, path in plan.credentials
    )
    return (
        "[Unit]\n"
        "Description=inboxd, sorts mail into the folders where it belongs\n"
        f"{_NETWORK if is_system else ''}"
        "# Never given up: a full disk is tidied one day.\n"
        "StartLimitIntervalSec=0\n\n"
        "[Service]\n"
        f"ExecStart={_command_line(plan.command)}\n"
        f"ExecReload={_command_line((*plan.command[:-1], 'reload'))}\n"
        f"{credentials}"
        f"{_COMMON.format(watchdog=WATCHDOG_SECONDS, memory_mb=plan.memory_mb)}"
        f"{_system(plan) if is_system else ''}\n"
        "[Install]\n"
        f"WantedBy={'multi-user.target' if is_system else 'default.target'}\n"
    )


def _system(plan: ServicePlan) -> str:
    return "\n" + _SYSTEM.format(
        label=LABEL,
        state=quote(str(plan.state_dir.relative_to(STATE_ROOT))),
        cache=quote(str(plan.cache_dir.relative_to(CACHE_ROOT))),
        devices=_CUDA_DEVICES if plan.uses_cuda else _NO_DEVICES,
    )


def _command_line(words: tuple[str, ...]) -> str:
    return " ".join(map(quote, words))


def quote(word: str) -> str:
    """One word of a command line or of a list in a unit (systemd.syntax(7)).

    Specifiers (%) and variables ($) stand for themselves; quotes only where they are needed.
    """
    escaped = _specifiers(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    is_plain = escaped == word and word and not any(c.isspace() or c in "';" for c in word)
    return word if is_plain else f'"{escaped}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def unit_directory(scope: Scope, config_home: Path) -> Path:
    """Where an administrator's or a user's own units lie (systemd.unit(5)); `config_home` is
    $XDG_CONFIG_HOME."""
    if scope is Scope.SYSTEM:
        return Path("/etc/systemd/system")
    return config_home / "systemd" / "user"


def learn_command(plan: ServicePlan) -> str:
    """How the first learning of a service of the system is run: as its user, on its directories,
    with its passwords."""
    properties = [
        "DynamicUser=yes",
        f"User={LABEL}",
        f"StateDirectory={plan.state_dir.relative_to(STATE_ROOT)}",
        f"CacheDirectory={plan.cache_dir.relative_to(CACHE_ROOT)}",
        *(f"LoadCredential={name}:{path}" for name, path in plan.credentials),
    ]
    given = " ".join(f"--property={shlex.quote(text)}" for text in properties)
    words = " ".join(shlex.quote(word) for word in (*plan.command[:-1], "learn"))
    return f"sudo systemd-run --pty --wait --collect {given} {words}"
