"""A low-rank change to the encoder: kept, checked, merged, and shared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

from classifier.encoder import Encoder, load_encoder
from classifier.encoder.adapter import (
    AdapterMismatch,
    adapted,
    load_adapter,
    save_adapter,
)
from classifier.manifest import ArtifactBroken
from tests.support.tiny_bert import tiny_bert_directory

TEXTS = ["invoice payment due", "flight hotel booking", "training termin verein"]


def tiny(directory: Path, *, seed: int = 0) -> Encoder:
    source = tiny_bert_directory(directory / f"bert-{seed}", seed=seed)
    return load_encoder(str(source), directory, "cpu", max_tokens=32, precision="float32")


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A random adapter on disk, and the vectors that peft itself makes with it."""
    encoder = tiny(tmp_path)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["query", "value"])
    torch.manual_seed(3)
    module = get_peft_model(encoder.module, config)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    module.eval()
    tensors = get_peft_model_state_dict(module)
    facts = {"r": 4, "lora_alpha": 8}
    save_adapter(tmp_path / "adapter", tensors, facts, base=encoder.fingerprint, manifest={})
    return tmp_path / "adapter", encoder.encode(TEXTS)


def test_merged_it_gives_the_vectors_that_peft_gives(
    saved: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    """And the base encoder below it stays as it was."""
    directory, expected = saved
    base = tiny(tmp_path)
    before = base.encode(TEXTS)
    tuned = adapted(base, load_adapter(directory))
    np.testing.assert_allclose(tuned.encode(TEXTS), expected, atol=1e-5)
    np.testing.assert_array_equal(base.encode(TEXTS), before)
    assert np.abs(tuned.encode(TEXTS) - before).max() > 0.01
    assert tuned.fingerprint != base.fingerprint


def test_unchanged_weights_are_shared(saved: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    """Only the changed matrices take memory of their own."""
    base = tiny(tmp_path)
    tuned = adapted(base, load_adapter(saved[0]))
    theirs = {tensor.data_ptr() for tensor in base.module.parameters()}
    own = [
        name for name, tensor in tuned.module.named_parameters() if tensor.data_ptr() not in theirs
    ]
    assert own
    assert all(name.endswith(("query.weight", "value.weight")) for name in own)


def test_it_fits_its_own_base_only(saved: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    """Another encoder of the same shape is refused."""
    with pytest.raises(AdapterMismatch):
        adapted(tiny(tmp_path, seed=1), load_adapter(saved[0]))


def test_damage_is_noticed(saved: tuple[Path, np.ndarray]) -> None:
    """One other byte is enough."""
    weights = saved[0] / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(ArtifactBroken):
        load_adapter(saved[0])


def test_nothing_in_it_is_pickled(saved: tuple[Path, np.ndarray]) -> None:
    """JSON and safetensors."""
    assert {path.suffix for path in saved[0].iterdir()} == {".json", ".safetensors"}
