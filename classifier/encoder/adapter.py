"""A low-rank change to an encoder (LoRA: Hu et al., 2021), as a directory of its own.

    adapter_config.json         as peft writes it, so that peft can load the directory too
    adapter_model.safetensors   pairs A [rank, in] and B [out, rank] by module
    manifest.json               what it belongs to, what it was made from; sizes and hashes

For serving, W + (alpha / rank) · B A is computed once for the changed modules. All other tensors
(nearly all: the word embeddings alone are three quarters of the bundled encoder) are those of
the base encoder, in memory too: ten accounts with an adapter each cost little more than one.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from classifier.encoder.encode import Encoder
from classifier.manifest import ArtifactBroken, checked_contents, read_manifest, write_directory

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_KEY = re.compile(r"\A(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


class AdapterMismatch(Exception):
    """The adapter was made for another encoder."""


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """A checked adapter in memory. `pairs`: (A, B) by module name; `fingerprint` that of the
    encoder that it makes of the base whose fingerprint is `base`."""

    base: str
    fingerprint: str
    scaling: float
    pairs: Mapping[str, tuple[Tensor, Tensor]]


def save_adapter(
    directory: Path,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    base: str,
    manifest: Mapping[str, Any],
) -> str:
    """Write peft's `tensors` and `config` to `directory`; returns the new encoder fingerprint.

    `base`: fingerprint of the encoder that was tuned. `manifest`: JSON values to keep with it.
    """
    plain = {name: tensor.detach().cpu().float().contiguous() for name, tensor in tensors.items()}
    weights = safetensors.torch.save(plain, metadata={"format": "pt"})
    settings = json.dumps(config, indent=1, sort_keys=True).encode()
    fingerprint = _fingerprint(base, settings, weights)
    facts = {**manifest, "base": base, "fingerprint": fingerprint}
    write_directory(directory, {CONFIG: settings, WEIGHTS: weights}, facts)
    return fingerprint


def load_adapter(directory: Path) -> Adapter:
    """Read from the very bytes that were hashed. Raises `ArtifactBroken`."""
    contents = checked_contents(directory)
    try:
        base = str(read_manifest(directory)["base"])
        config = json.loads(contents[CONFIG])
        tensors = safetensors.torch.load(contents[WEIGHTS])
        pairs = _pairs(tensors)
        scaling = float(config["lora_alpha"]) / int(config["r"])
        fingerprint = _fingerprint(base, contents[CONFIG], contents[WEIGHTS])
    except (
        KeyError,
        TypeError,
        ValueError,
        ZeroDivisionError,
        struct.error,
        safetensors.SafetensorError,
    ) as error:
        raise ArtifactBroken(f"{directory} holds no usable adapter: {error}") from error
    return Adapter(base, fingerprint, scaling, pairs)


def adapted(encoder: Encoder, adapter: Adapter) -> Encoder:
    """The tuned encoder; shares all unchanged tensors with `encoder`.

    Raises `AdapterMismatch` when it was made for another encoder, `ArtifactBroken` when its
    modules do not fit.
    """
    if encoder.fingerprint != adapter.base:
        raise AdapterMismatch(
            f"the adapter belongs to encoder {adapter.base[:12]}, not {encoder.fingerprint[:12]}"
        )
    module = _sharing_copy(encoder.module)
    for name, (narrow, wide) in adapter.pairs.items():
        try:
            linear = module.get_submodule(name)
        except AttributeError as error:
            raise ArtifactBroken(f"the encoder has no module {name}") from error
        _add(linear, name, adapter.scaling * (wide @ narrow))
    return encoder.variant(module, adapter.fingerprint)


def _sharing_copy(module: PreTrainedModel) -> PreTrainedModel:
    """A copy whose parameters and buffers are the very same objects."""
    if module.dtype == torch.float16:
        # `Encoder` may turn a float16 module into float32 in place, shared tensors included.
        return copy.deepcopy(module)
    tensors = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})


def _add(linear: nn.Module, name: str, change: Tensor) -> None:
    """Give `linear` a weight of its own: the old one plus `change` [out, in]."""
    old = linear.weight
    if not isinstance(old, Tensor) or old.shape != change.shape:
        raise ArtifactBroken(f"the adapter's change of {name} has another shape than the module")
    new = (old.float() + change.to(old.device)).to(old.dtype)
    linear.weight = nn.Parameter(new, requires_grad=False)


def _pairs(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    sides: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        match = _KEY.fullmatch(key)
        if match is None or tensor.ndim != 2 or not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"unexpected tensor {key}")
        sides.setdefault(match["module"], {})[match["side"]] = tensor.float()
    pairs = {name: (pair["A"], pair["B"]) for name, pair in sides.items()}
    if not pairs:
        raise ValueError("there is no tensor in it")
    return pairs


def _fingerprint(base: str, config: bytes, weights: bytes) -> str:
    """SHA-256 over all that the vectors depend on."""
    digest = hashlib.sha256(base.encode())
    for part in (config, weights):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
