"""These tests run on every mail server."""

from __future__ import annotations

from tests.support.mail_servers import servers

__all__ = ["servers"]
