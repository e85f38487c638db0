"""From a name to an encoder: sources, refusals, prefix, fingerprint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from classifier.encoder import Encoder, EncoderUnavailable, load_encoder
from classifier.encoder.locate import bundled_directory
from tests.classifier.encoder.data_file import write_data_file
from tests.support.tiny_bert import tiny_bert_directory

Load = Callable[..., Encoder]
REPOSITORY = Path(__file__).parents[3]


def _load(directory: Path | str, cache: Path, **options: object) -> Encoder:
    given: dict[str, object] = {"precision": "float32", **options}
    return load_encoder(str(directory), cache, "cpu", **given)  # type: ignore[arg-type]


@pytest.fixture
def own_directory(tiny_directory: Path, tmp_path: Path) -> Path:
    """A copy of the tiny BERT that the test may change."""
    return Path(shutil.copytree(tiny_directory, tmp_path / "own"))


def test_the_module_is_frozen_for_use_but_not_for_training(load_tiny: Load) -> None:
    """No dropout, SDPA attention, and parameters that a fine-tune may still train."""
    module = load_tiny().module
    assert not module.training
    assert module.config._attn_implementation == "sdpa"
    assert all(not parameter.is_inference() for parameter in module.parameters())


def test_loading_leaves_threads_and_log_settings_alone(load_tiny: Load) -> None:
    """Global state belongs to the caller."""
    before = (
        torch.get_num_threads(),
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
        torch.random.get_rng_state().tolist(),
    )
    load_tiny()
    assert before == (
        torch.get_num_threads(),
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
        torch.random.get_rng_state().tolist(),
    )


def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """A path is never mistaken for a hub id."""
    with pytest.raises(EncoderUnavailable, match="does not exist"):
        _load(tmp_path / "nowhere", tmp_path)


def test_another_kind_of_model_is_refused(own_directory: Path, tmp_path: Path) -> None:
    """Only the BERT family has the layers that training counts on."""
    config = json.loads((own_directory / "config.json").read_text())
    (own_directory / "config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
    with pytest.raises(EncoderUnavailable, match="'gpt2'"):
        _load(own_directory, tmp_path)


def test_pickled_weights_are_refused(own_directory: Path, tmp_path: Path) -> None:
    """A pytorch_model.bin can run code when loaded, so it is not loaded."""
    tensors = load_file(own_directory / "model.safetensors")
    torch.save(tensors, own_directory / "pytorch_model.bin")
    (own_directory / "model.safetensors").unlink()
    with pytest.raises(EncoderUnavailable, match="no complete safetensors"):
        _load(own_directory, tmp_path)


def test_missing_tensors_are_refused(own_directory: Path, tmp_path: Path) -> None:
    """transformers would fill the gap with random numbers."""
    tensors = load_file(own_directory / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, own_directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderUnavailable, match=r"encoder\.layer\.1\.output\.dense\.weight"):
        _load(own_directory, tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_truncated_file_is_refused(own_directory: Path, tmp_path: Path, name: str) -> None:
    """A half-copied directory gives the one expected error."""
    path = own_directory / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(EncoderUnavailable):
        _load(own_directory, tmp_path)


@pytest.mark.parametrize("max_tokens", [2, 513])
def test_a_length_that_the_model_cannot_read_is_refused(
    tiny_directory: Path, tmp_path: Path, max_tokens: int
) -> None:
    """The error names the limit instead of an index error in the middle of a run."""
    with pytest.raises(EncoderUnavailable, match="3 to 512"):
        _load(tiny_directory, tmp_path, max_tokens=max_tokens)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("multilingual-e5-small", "query: "),
        ("e5-base-v2", "query: "),
        ("multilingual-e5-large-instruct", ""),
        ("bert-base-german-cased", ""),
        ("note5-small", ""),
    ],
)
def test_the_prefix_follows_the_name(
    tiny_directory: Path, tmp_path: Path, name: str, prefix: str
) -> None:
    """Models called E5 want "query: "; others and the instruct ones do not."""
    directory = Path(shutil.copytree(tiny_directory, tmp_path / name))
    assert _load(directory, tmp_path / "cache").prefix == prefix


def test_the_manifest_of_a_converted_model_decides_its_prefix(tmp_path: Path) -> None:
    """A converted E5 keeps its prefix under any name; the configuration can overrule it."""
    data = write_data_file(tmp_path / "model.bin").data
    converted = bundled_directory(tmp_path / "cache", data)
    moved = converted.rename(tmp_path / "renamed")
    assert _load(moved, tmp_path, max_tokens=64).prefix == "query: "
    assert _load(moved, tmp_path, max_tokens=64, prefix="").prefix == ""


def test_the_fingerprint_ignores_place_and_precision(
    tiny_directory: Path, own_directory: Path, tmp_path: Path
) -> None:
    """Features stay valid when the model moves to another disk or a faster machine."""
    one = _load(tiny_directory, tmp_path)
    other = _load(own_directory, tmp_path, precision="bfloat16")
    assert one.fingerprint == other.fingerprint
    assert len(one.fingerprint) == 64


def test_the_fingerprint_ignores_the_version_of_the_library(
    own_directory: Path, tmp_path: Path
) -> None:
    """An upgrade of transformers alone must not throw away all features."""
    before = _load(own_directory, tmp_path).fingerprint
    config = json.loads((own_directory / "config.json").read_text())
    config["transformers_version"] = "5.99"
    (own_directory / "config.json").write_text(json.dumps(config))
    assert _load(own_directory, tmp_path).fingerprint == before


@pytest.mark.parametrize("change", ["weights", "tokenizer", "config", "prefix", "max_tokens"])
def test_the_fingerprint_changes_with_all_that_changes_vectors(
    own_directory: Path, tmp_path: Path, change: str
) -> None:
    """Features of another model, tokenizer or length are never mixed with these."""
    before = _load(own_directory, tmp_path).fingerprint
    options: dict[str, object] = {}
    if change == "weights":
        tiny_bert_directory(own_directory, seed=1)
    elif change == "tokenizer":
        path = own_directory / "tokenizer.json"
        path.write_text(path.read_text().replace('"lowercase": true', '"lowercase": false'))
    elif change == "config":
        path = own_directory / "config.json"
        path.write_text(path.read_text().replace('"gelu"', '"relu"'))
    else:
        options = {"prefix": "query: "} if change == "prefix" else {"max_tokens": 64}
    assert _load(own_directory, tmp_path, **options).fingerprint != before


def test_a_model_from_the_hub_is_used_without_asking_again(
    tiny_directory: Path, tmp_path: Path
) -> None:
    """A snapshot in the cache loads although there is no network."""
    repository = tmp_path / "cache" / "hub" / "models--someone--tiny-bert"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(tiny_directory, repository / "snapshots" / ("0" * 40))
    done = _run_offline("someone/tiny-bert", tmp_path / "cache")
    assert done.stdout.strip() == "32", done.stderr


@pytest.mark.parametrize("name", ["someone/tiny-bert", "not a name"])
def test_a_hub_model_without_network_names_the_next_step(tmp_path: Path, name: str) -> None:
    """Offline and never downloaded: a clear error that offers the bundled encoder."""
    done = _run_offline(name, tmp_path / "cache")
    assert done.returncode == 3, done.stderr
    assert '"bundled"' in done.stdout


OFFLINE = """
import sys
from pathlib import Path
from classifier.encoder import EncoderUnavailable, load_encoder
try:
    print(load_encoder(sys.argv[1], Path(sys.argv[2]), "cpu", precision="float32").hidden_size)
except EncoderUnavailable as error:
    print(error.next_step)
    sys.exit(3)
"""


def _run_offline(name: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's library reads the switch when it is imported."""
    return subprocess.run(
        [sys.executable, "-c", OFFLINE, name, str(cache)],
        cwd=REPOSITORY,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
