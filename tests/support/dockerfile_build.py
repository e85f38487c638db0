"""Carries out a Dockerfile without a container engine: each stage in a chroot of its own.

    unshare --mount python -m tests.support.dockerfile_build CHECKOUT WORKPLACE PACKAGES

The root directory of a stage is this machine's, with everything that is written going to a memory
file system (overlayfs), so that RUN and COPY may do what they do in an image and this machine is
not changed. What differs from an image: the system is this machine's, not the base image's, and
a virtual environment made in a stage sees PACKAGES (a directory of installed packages) behind its
own, to spare downloading PyTorch for a test.

At the end the last stage is made read-only and the commands below are run in it, as its user.
Needs root and the right to mount. Prints one JSON object per step.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

BASE_PATH = (
    f"{Path(sys.base_prefix) / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)


@dataclass
class Stage:
    """One FROM and what follows: where it is mounted, and what holds for its steps."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str = "0:0"

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """A command in the stage, as its user."""
        uid, gid = self.user.split(":")
        within = ["chroot", str(self.root), "setpriv", "--reuid", uid, "--regid", gid,
                  "--clear-groups", "env", "-i", "-C", self.directory,
                  *(f"{name}={value}" for name, value in self.variables.items())]  # fmt: skip
        return subprocess.run([*within, *command], capture_output=True, text=True, check=False)


class Build:
    """The stages so far, by name or number."""

    def __init__(self, checkout: Path, workplace: Path, packages: Path) -> None:
        self.checkout, self.workplace, self.packages = checkout, workplace, packages
        self.stages: dict[str, Stage] = {}
        self.global_arguments: dict[str, str] = {}
        self.current: Stage | None = None

    @property
    def stage(self) -> Stage:
        """The one that is being built."""
        assert self.current is not None
        return self.current

    def do(self, instruction: str, value: str) -> None:
        """Carry out one instruction. Raises `SystemExit` when it fails."""
        done = getattr(self, f"_{instruction.lower()}", None)
        if done is None:
            assert instruction in {"VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
            return
        done(value)
        tell({"instruction": instruction, "value": value})

    def _arg(self, value: str) -> None:
        name, _, default = value.partition("=")
        if self.current is None:
            self.global_arguments[name] = default
        else:
            self.stage.variables[name] = default

    def _from(self, value: str) -> None:
        name = value.split(" AS ")[1] if " AS " in value else str(len(self.stages))
        root = overlay(self.workplace / f"stage-{len(self.stages)}")
        self.current = self.stages[name] = Stage(root, {"PATH": BASE_PATH})

    def _env(self, value: str) -> None:
        for word in shlex.split(value):
            name, _, text = word.partition("=")
            self.stage.variables[name] = text.replace("$PATH", self.stage.variables["PATH"])

    def _workdir(self, value: str) -> None:
        self.stage.directory = value
        shutil.rmtree(self.stage.root / value.lstrip("/"), ignore_errors=True)
        (self.stage.root / value.lstrip("/")).mkdir(parents=True)

    def _user(self, value: str) -> None:
        self.stage.user = value

    def _copy(self, value: str) -> None:
        words = value.split()
        if words[0].startswith("--from="):
            source_root = self.stages[words.pop(0).removeprefix("--from=")].root
            sources = [source_root / word.lstrip("/") for word in words[:-1]]
        else:
            sources = [self._in_context(word) for word in words[:-1]]
        target = words[-1]
        place = self.stage.root / os.path.join(self.stage.directory, target).lstrip("/")  # noqa: PTH118 - an absolute target replaces the directory
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
            elif target.endswith("/"):
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, place)
            else:
                shutil.copy2(source, place)

    def _in_context(self, name: str) -> Path:
        if not is_in_context(self.checkout, name):
            raise SystemExit(f"{name} is kept out of the context by .dockerignore")
        return self.checkout / name

    def _run(self, value: str) -> None:
        done = self.stage.run(["/bin/sh", "-c", value])
        if done.returncode != 0:
            raise SystemExit(f"RUN {value}\n{done.stdout}\n{done.stderr}")
        for made in self.stage.root.glob("opt/*/lib/python3*/site-packages"):
            (made / "packages_of_this_machine.pth").write_text(f"{self.packages}\n")


def is_in_context(checkout: Path, name: str) -> bool:
    """Whether .dockerignore lets a file or directory in; it names what is allowed."""
    lines = (checkout / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "everything is kept out but what is named"
    assert all(rule.startswith(("!", "**/")) for rule in rules[1:])
    return f"!{name.rstrip('/')}" in rules


def overlay(directory: Path) -> Path:
    """This machine's files; what is written there stays in memory."""
    directory.mkdir()
    mount("-t", "tmpfs", "tmpfs", str(directory))
    for name in ("upper", "work", "root"):
        (directory / name).mkdir()
    root = directory / "root"
    layers = f"lowerdir=/,upperdir={directory / 'upper'},workdir={directory / 'work'}"
    mount("-t", "overlay", "overlay", "-o", layers, str(root))
    for name in ("proc", "dev", "sys"):
        mount("--rbind", f"/{name}", str(root / name))
    # An image's Python is everybody's; this machine's may lie in root's home.
    for above in Path(sys.base_prefix).parents:
        inside = root / str(above).lstrip("/")
        inside.chmod(inside.stat().st_mode | 0o011)
    return root


def mount(*arguments: str) -> None:
    """mount(8). Raises `CalledProcessError`."""
    subprocess.run(["mount", *arguments], check=True)


def tell(found: dict[str, Any]) -> None:
    """A line for whoever started this."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Build, then look at what was built."""
    checkout, workplace, packages = map(Path, sys.argv[1:4])
    parser = DockerfileParser(path=str(checkout / "packaging" / "Dockerfile"), cache_content=True)
    build = Build(checkout, workplace, packages)
    for step in parser.structure:
        if step["instruction"] != "COMMENT":
            build.do(step["instruction"], step["value"])
    look(build.stage, json.loads(sys.stdin.read()))


def look(stage: Stage, commands: list[list[str]]) -> None:
    """Run commands in the finished stage, as it is run: read-only but for its volumes."""
    for name in ("var/lib/inboxd", "var/cache/inboxd", "tmp"):
        mount("--bind", str(stage.root / name), str(stage.root / name))
    # The mount alone, not the file system below it, which the three share.
    mount("-o", "remount,bind,ro", str(stage.root))
    for command in commands:
        done = stage.run(command)
        found: dict[str, Any] = {"command": command, "code": done.returncode}
        tell({**found, "out": done.stdout, "err": done.stderr})


if __name__ == "__main__":
    main()
