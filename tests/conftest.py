"""Common to all tests."""

from __future__ import annotations

import os

# Two test processes share two cores (`make test`): threads of torch that wait for each other
# would take longer than one alone. Set before anything imports torch; the programs that the
# tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
