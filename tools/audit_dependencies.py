"""Known vulnerabilities in the pinned packages (pip-audit), for `make audit`.

The list of vulnerabilities is looked up on the network. Without it this says so and exits with
2, so that nobody takes "could not look" for "nothing found" (0) or "found something" (1).
"""

from __future__ import annotations

import subprocess
import sys

OUT_OF_REACH = (
    "ConnectionError", "Max retries", "Failed to establish", "Temporary failure", "ReadTimeout",
    "ConnectTimeout", "ProxyError", "SSLError", "Failed to query", "ServiceError", "HTTPError",
    "JSONDecodeError",
)  # fmt: skip


def main() -> int:
    """Returns 0 (nothing known), 1 (vulnerable packages), 2 (could not look)."""
    command = [
        sys.executable, "-m", "pip_audit", "--progress-spinner=off", "--local",
        "--skip-editable", "--timeout=15",
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return report(done.returncode, done.stdout, done.stderr)


def report(code: int, output: str, errors: str) -> int:
    """Say what came out; returns the exit status."""
    if code and is_out_of_reach(errors):
        print("The list of known vulnerabilities is out of reach: nothing was checked.")
        print("Run make audit again on a machine with access to it.")
        return 2
    print(output or errors, end="")
    return 1 if code else 0


def is_out_of_reach(errors: str) -> bool:
    """Whether it failed for want of a network, not for what it found."""
    return any(sign in errors for sign in OUT_OF_REACH)


if __name__ == "__main__":
    sys.exit(main())
