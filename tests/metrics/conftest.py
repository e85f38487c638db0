"""A tiny encoder, and the port of an application whose metrics are served."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_bert import tiny_bert_directory


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tiny BERT."""
    return tiny_bert_directory(tmp_path_factory.mktemp("encoder") / "tiny-bert")
