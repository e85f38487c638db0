"""Encoders that several test modules share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from classifier.encoder import Encoder, load_encoder
from tests.support.encoder_cache import real_encoder_cache
from tests.support.tiny_bert import tiny_bert_directory

Load = Callable[..., Encoder]


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BertModel directory that tests only read."""
    return tiny_bert_directory(tmp_path_factory.mktemp("tiny") / "tiny-bert")


@pytest.fixture
def load_tiny(tiny_directory: Path, tmp_path: Path) -> Load:
    """Loads the tiny BERT on the CPU in float32, with other options where given."""

    def load(**options: object) -> Encoder:
        given: dict[str, object] = {"precision": "float32", **options}
        return load_encoder(str(tiny_directory), tmp_path / "cache", "cpu", **given)  # type: ignore[arg-type]

    return load


@pytest.fixture(scope="session")
def real_encoder() -> Encoder:
    """The bundled encoder in float32."""
    return load_encoder("bundled", real_encoder_cache(), "cpu", precision="float32")
