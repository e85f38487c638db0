"""What the program needs."""

from __future__ import annotations

from tests.use_cases.fixtures import encoder, server

__all__ = ["encoder", "server"]
