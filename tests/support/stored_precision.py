"""Models whose weights lie on disk in another precision than transformers wrote them in."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def rewrite(directory: Path, *dtypes: torch.dtype, only: str = "") -> Path:
    """Cast the weights in `directory` to each of `dtypes` in turn; returns `directory`.

    `only` those whose name contains it. To float16 and on to float32 are the numbers of float16,
    written as float32.
    """
    path = directory / "model.safetensors"
    tensors = load_file(path)
    for dtype in dtypes:
        tensors = {
            name: tensor.to(dtype) if only in name else tensor for name, tensor in tensors.items()
        }
    save_file(tensors, path, metadata={"format": "pt"})
    return directory
