"""The program and what it needs."""

from __future__ import annotations

from tests.use_cases.fixtures import app, encoder, server

__all__ = ["app", "encoder", "server"]
