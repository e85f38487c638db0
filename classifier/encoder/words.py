"""Word embeddings that stay what they are in the model's file: in half precision, and mapped.

They are four fifths of the bundled encoder: 384 of its 470 MB as float32, of which a mail looks
at a few hundred rows. Cast where they are looked up, these are the same numbers as if the whole
table had been cast. And a table that nobody changes need not be copied out of its file: its pages
are shared by all processes, and the system may drop them when memory is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

_NAME = "embeddings.word_embeddings.weight"
_HALVES = ({"F16"}, {"BF16"})


class StoredEmbedding(nn.Module):
    """What `nn.Embedding` gives with `table` [vocabulary, hidden] cast to `dtype`.

    The table is a buffer, not a parameter: nothing trains it, and transformers takes the
    precision of the first parameter for that of the model.
    """

    weight: Tensor

    def __init__(self, table: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", table)
        self._dtype = dtype

    def forward(self, ids: Tensor) -> Tensor:
        """[B, T] token ids → [B, T, hidden]"""
        return nn.functional.embedding(ids, self.weight).to(self._dtype)


def stored_words(files: Sequence[Path]) -> Tensor | None:
    """The word embeddings in safetensors `files`, mapped; None unless all that is in there has
    one and the same half precision. Raises `OSError` and `SafetensorError`."""
    table, kinds = None, set()
    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                kinds.add(file.get_slice(name).get_dtype())
                if name.endswith(_NAME):
                    table = file.get_tensor(name)
    return table if {kind for kind in kinds if "F" in kind} in _HALVES else None


def cast_but_words(module: PreTrainedModel, words: Tensor, dtype: torch.dtype) -> None:
    """Bring `module` to `dtype`, all but its word embeddings, which become `words`."""
    module.set_input_embeddings(nn.Identity())
    nn.Module.to(module, dtype)
    module.set_input_embeddings(StoredEmbedding(words, dtype))
