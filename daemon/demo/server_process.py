"""The process in which the demo's mail server runs: pymap, in memory.

    python -m daemon.demo.server_process PORT    (user and password: one line each on stdin)

The password comes through the pipe, as others may read process arguments. The pipe stays
open as long as whoever started this lives: when it closes, however that came about, the
server ends too.
"""

from __future__ import annotations

import gc
import os
import sys
import threading

HOST = "127.0.0.1"


def main() -> None:
    """Serve one empty account until standard input is closed."""
    port = sys.argv[1]
    user, password = (sys.stdin.readline().rstrip("\n") for _ in range(2))
    from pymap.main import main as serve  # noqa: PLC0415 - after the arguments are read

    # pymap holds no reference to its connections' tasks; from Python 3.13 on the garbage
    # collector takes them, and the connection is gone. This process is short-lived.
    gc.disable()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Without --demo-data pymap's "demo user" is an ordinary account with nothing in it.
    sys.argv = ["pymap", "--host", HOST, "--port", port, "--no-tls"]
    sys.argv += ["--no-service", "managesieve", "--no-service", "admin"]
    sys.argv += ["dict", f"--demo-user={user}", f"--demo-password={password}"]
    serve()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
