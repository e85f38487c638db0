"""One model directory: written to the side, renamed, and checked before anything is loaded.

    config.json         `MailClassifierConfig`
    model.safetensors   the head's tensors (wide weights in half precision)
    …                   whatever else explains the model (model card, report)
    manifest.json       format version, what the caller adds, size and SHA-256 of every file

Loading reads JSON and safetensors only, from the very bytes that were hashed: nothing is
unpickled, imported or executed, and no network is touched. The hashes detect damage; they are
no signature, so whoever can write the directory can replace the model.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from classifier.manifest import ArtifactBroken, checked_contents, read_manifest, write_directory
from classifier.model import MailClassifier, MailClassifierConfig

__all__ = ["ArtifactBroken", "load_model", "read_manifest", "save_model"]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


def save_model(
    model: MailClassifier,
    directory: Path,
    *,
    manifest: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
) -> None:
    """Write the model to `directory`, which must not exist yet.

    `manifest` holds JSON values that explain the model (created, data hash, metrics …);
    `files` maps names to text that is kept beside it. The directory appears complete or not
    at all: it is written as `directory.part` and renamed. Files 0600, directories 0700.
    """
    contents = {name: text.encode() for name, text in (files or {}).items()}
    contents[CONFIG] = model.config.to_json_string(use_diff=False).encode()
    contents[WEIGHTS] = safetensors.torch.save(_head(model), metadata={"format": "pt"})
    write_directory(directory, contents, manifest)


def load_model(directory: Path) -> MailClassifier:
    """The model in evaluation mode, on the CPU. Raises `ArtifactBroken`."""
    contents = checked_contents(directory)
    try:
        config = MailClassifierConfig.from_dict(json.loads(contents[CONFIG]))
        model = MailClassifier(config)
        tensors = safetensors.torch.load(contents[WEIGHTS])
        wide = tensors["wide_weight"]
        model.load_state_dict({**tensors, "wide_weight": wide.float()}, strict=True)
    except (
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        struct.error,
        safetensors.SafetensorError,
    ) as error:
        raise ArtifactBroken(f"{directory} does not hold a usable model: {error}") from error
    _check_tensors(model, directory)
    model.requires_grad_(requires_grad=False)
    model.train(mode=False)
    return model


def _head(model: MailClassifier) -> dict[str, torch.Tensor]:
    """Tensors to save: all but the encoder's; wide weights halved, they are most of the size."""
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if not name.startswith("encoder.")
    }
    tensors["wide_weight"] = tensors["wide_weight"].half()
    return tensors


def _check_tensors(model: MailClassifier, directory: Path) -> None:
    """Finite weights, ascending feature keys: what `predict` relies on."""
    active = model.active.numpy()
    if len(active) and (np.any(np.diff(active) <= 0) or active[0] < 0 or active[-1] >= 2**32):
        raise ArtifactBroken(f"{directory}: the feature keys are not in order")
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ArtifactBroken(f"{directory}: {name} holds values that are not finite")
