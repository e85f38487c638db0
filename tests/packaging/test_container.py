"""The container: linted, built as far as that goes without an engine, and as documented."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import dockerfile_parse
import pytest
import yaml
from dockerfile_parse import DockerfileParser

from daemon.config.secrets import CONTAINER_SECRETS
from tests.support.dockerfile_build import is_in_context

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGING = CHECKOUT / "packaging"
PAGE = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")


def instructions(name: str) -> list[str]:
    """The values of all instructions of a kind, in order."""
    parser = DockerfileParser(path=str(PACKAGING / "Dockerfile"), cache_content=True)
    return [step["value"] for step in parser.structure if step["instruction"] == name]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """compose.yaml."""
    found: dict[str, Any] = yaml.safe_load((PACKAGING / "compose.yaml").read_text("utf-8"))
    return found


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint in PATH")
def test_the_linter_of_dockerfiles_is_silent() -> None:
    """Not even a remark."""
    done = subprocess.run(
        ["hadolint", "--failure-threshold", "style", str(PACKAGING / "Dockerfile")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_a_user_with_a_number_and_can_be_asked_for_its_health() -> None:
    """Kubernetes checks runAsNonRoot by the number."""
    assert instructions("USER") == ["10001:10001"]
    assert instructions("HEALTHCHECK")[0].endswith('CMD ["inboxd", "health"]')
    assert instructions("ENTRYPOINT") == ['["inboxd"]']


def test_nothing_is_copied_that_git_does_not_know() -> None:
    """Neither mail nor passwords nor caches that lie in a checkout get into an image."""
    copied = [word for value in instructions("COPY") if "--from" not in value
              for word in value.split()[:-1]]  # fmt: skip
    known = subprocess.run(
        ["git", "ls-files", *copied], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [name for name in copied if not any(k == name or k.startswith(f"{name}/")
                                               for k in known)] == []  # fmt: skip
    assert [name for name in copied if not is_in_context(CHECKOUT, name)] == []
    assert not is_in_context(CHECKOUT, ".git")
    assert not is_in_context(CHECKOUT, "packaging/secrets")


def can_mount() -> bool:
    """Root, and allowed to make a mount namespace."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True, check=False,
    )  # fmt: skip
    return tried.returncode == 0


@pytest.mark.timeout(900)
@pytest.mark.skipif(not can_mount(), reason="needs root and the right to mount")
def test_every_step_works_and_the_program_runs_on_a_read_only_system(tmp_path: Path) -> None:
    """Environment, installation, user and directories; then as that user: version, a look at an
    account without a server, and that nothing can be written elsewhere."""
    config = '[accounts.a]\nhost = "127.0.0.1"\nport = 1\ntls = "none"\nusername = "a"\n'
    commands = [
        ["id", "-u"],
        ["inboxd", "--version"],
        ["sh", "-c", f"printf '%s' '{config}' > /tmp/c.toml"],
        ["inboxd", "--config", "/tmp/c.toml", "status", "--json"],
        ["inboxd", "--config", "/tmp/c.toml", "run", "--once"],
        ["touch", "/opt/inboxd/written"],
    ]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-m",
         "tests.support.dockerfile_build", str(CHECKOUT), str(tmp_path),
         str(Path(dockerfile_parse.__file__).parents[1])],
        input=json.dumps(commands), capture_output=True, text=True, check=False, cwd=CHECKOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["value"] for line in lines if line.get("instruction") == "RUN"] == (
        instructions("RUN")
    )
    user, version, configured, status, once, written = [line for line in lines if "command" in line]
    assert user["out"] == "10001\n"
    assert version["out"].startswith("inboxd ")
    assert configured["code"] == 0, configured["err"]
    assert status["code"] == 0, status["err"]
    assert json.loads(status["out"])["state_dir"] == "/var/lib/inboxd"
    assert once["code"] == 3, once["err"]
    assert "/run/secrets" not in once["err"]
    assert written["code"] == 1
    assert "Read-only" in written["err"]


def test_compose_and_dockerfile_mean_the_same_places(compose: dict[str, Any]) -> None:
    """Volumes, configuration, and where secrets lie."""
    service = compose["services"]["inboxd"]
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
    assert {mounts["state"], mounts["cache"]} == set(json.loads(instructions("VOLUME")[0]))
    environment = " ".join(instructions("ENV"))
    assert f"INBOXD_CONFIG={mounts['./config.toml']}" in environment
    assert set(compose["volumes"]) == {"state", "cache"}
    assert service["build"]["dockerfile"] == "packaging/Dockerfile"


def test_the_composed_container_may_do_next_to_nothing(compose: dict[str, Any]) -> None:
    """Read-only, without capabilities, with bounds, and no port open to anybody."""
    service = compose["services"]["inboxd"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert "ports" not in service
    assert "privileged" not in service


def test_the_image_has_what_a_service_may_need() -> None:
    """Sign-in with OAuth 2 and PostgreSQL; pip would only warn of an extra that does not exist."""
    [installed] = [value for value in instructions("RUN") if '".[' in value]
    extras = set(re.findall(r'"\.\[([a-z,]+)\]"', installed)[0].split(","))
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extras == {"oauth", "postgres"}
    assert extras <= project["optional-dependencies"].keys()


def test_what_is_commented_out_for_a_database_fits_the_page(compose: dict[str, Any]) -> None:
    """Without the number sign it is the same file with a secret and a certificate more."""
    text = (PACKAGING / "compose.yaml").read_text("utf-8")
    uncommented = re.sub(r"^( +)# (?=- \./database|- database|database|  file)", r"\1", text,
                         flags=re.MULTILINE)  # fmt: skip
    found = yaml.safe_load(uncommented)
    secrets = found["services"]["inboxd"]["secrets"]
    [certificate] = set(found["services"]["inboxd"]["volumes"]) - set(
        compose["services"]["inboxd"]["volumes"]
    )
    assert secrets == ["private.password", "database.password"]
    assert secrets == list(found["secrets"])
    assert found["secrets"]["database.password"]["file"] == "./secrets/database.password"
    assert f"sslrootcert={certificate.split(':')[1]}" in PAGE
    assert f'database_password_file = "{CONTAINER_SECRETS[0]}/database.password"' in PAGE
    assert "secrets/database.password" in PAGE


def test_the_page_names_the_same_files_secrets_and_commands(compose: dict[str, Any]) -> None:
    """What a reader types is what the file says."""
    service = compose["services"]["inboxd"]
    for name in service["secrets"]:
        assert f"{CONTAINER_SECRETS[0]}/{name}" in PAGE
        assert compose["secrets"][name]["file"].removeprefix("./") in PAGE
    for place in (*json.loads(instructions("VOLUME")[0]), "packaging/compose.yaml", "10001",
                  "TORCH=cuda"):  # fmt: skip
        assert place in PAGE
    text = (PACKAGING / "compose.yaml").read_text("utf-8")
    commands = re.findall(r"^#   (docker compose .*)$", text, re.MULTILINE)
    assert len(commands) == 3
    assert [command for command in commands if command not in PAGE] == []
