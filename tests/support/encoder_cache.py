"""Where the real encoder is kept between test runs."""

from __future__ import annotations

import os
from pathlib import Path


def real_encoder_cache() -> Path:
    """$INBOXD_TEST_CACHE, or .cache/encoder of the checkout. Converted there once (250 MB)."""
    configured = os.environ.get("INBOXD_TEST_CACHE")
    return Path(configured) if configured else Path(__file__).parents[2] / ".cache" / "encoder"
