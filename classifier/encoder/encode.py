"""Texts in, vectors out: tokens, batches, masked mean, unit length."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

_log = logging.getLogger(__name__)
POOLING = "masked mean"
_WINDOW = 1024
"""Texts that are tokenised and sorted together: enough for batches of equal lengths, and few
enough that the tokens of a hundred thousand mails are never in memory at once."""
_TOKENS_PER_BATCH = {"cpu": 2048, "mps": 8192, "cuda": 32768}
"""CPU: measured with bench/encoder.py on one thread. float32 is best at 1,024 to 2,048; bfloat16
gains another 10 to 20 % at 4,096, but a waiting mail is let in between two batches, so they
should be short. The other two are not measured, only small enough for any GPU memory."""


def plan_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices of `lengths` in batches, longest first; rows x longest row ≤ `budget`.

    A text that is longer than the budget gets a batch of its own. Sorted, because a batch
    costs what its longest row costs for all of its rows.
    """
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * longest > budget:
            yield batch
            batch = []
        if not batch:
            longest = lengths[index]
        batch.append(index)
    if batch:
        yield batch


class Encoder:
    """A frozen `BertModel` with its tokenizer. Safe to use from several threads.

    `module` is the transformers model (in `eval` mode, on its device and in its precision),
    `tokenizer` its fast tokenizer. `fingerprint` names everything that the vectors depend on,
    except device and precision (see `load.fingerprint_of`).
    """

    def __init__(
        self,
        module: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        source: str,
        prefix: str,
        max_tokens: int,
        fingerprint: str,
        tokens_per_batch: int | None = None,
        lock: threading.Lock | None = None,
    ) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.source = source
        self.prefix = prefix
        self.max_tokens = max_tokens
        self.fingerprint = fingerprint
        self.device: torch.device = module.device
        self.tokens_per_batch = tokens_per_batch or _TOKENS_PER_BATCH[self.device.type]
        self._special = frozenset(tokenizer.all_special_ids)
        self._unknown = _token_id(tokenizer.unk_token_id)
        self._pad = _token_id(tokenizer.pad_token_id)
        self._lock = lock or threading.Lock()

    @property
    def hidden_size(self) -> int:
        """Length of the vectors."""
        return int(self.module.config.hidden_size)

    def variant(self, module: PreTrainedModel, fingerprint: str) -> Encoder:
        """The same around a changed `module`; both take turns, as they share the tokenizer."""
        return Encoder(
            module,
            self.tokenizer,
            source=self.source,
            prefix=self.prefix,
            max_tokens=self.max_tokens,
            fingerprint=fingerprint,
            tokens_per_batch=self.tokens_per_batch,
            lock=self._lock,
        )

    def describe(self) -> dict[str, str | int]:
        """What runs here, for logs, model cards and `inboxd status`; JSON-able."""
        config = self.module.config
        return {
            "source": self.source,
            "model_type": str(config.model_type),
            "layers": int(config.num_hidden_layers),
            "hidden_size": self.hidden_size,
            "parameters": sum(t.numel() for t in self.module.state_dict().values()),
            "device": str(self.device),
            "precision": str(self.module.dtype).removeprefix("torch."),
            "max_tokens": self.max_tokens,
            "prefix": self.prefix,
            "pooling": POOLING,
            "fingerprint": self.fingerprint,
        }

    def encode(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Unit-length masked means of the last hidden state: float32 [n, hidden].

        Row i belongs to `texts[i]`. `progress` is called after each batch with the number of
        texts done so far. Other threads get their turn between two batches: a new mail does
        not wait until a first learning run has ended. Raises `ArithmeticError` when the model
        gives NaN or infinity (broken weights); no such vector is ever returned.
        """
        vectors = np.empty((len(texts), self.hidden_size), np.float32)
        done = 0
        for start in range(0, len(texts), _WINDOW):
            rows = self.token_ids(texts[start : start + _WINDOW])
            for batch in plan_batches([len(row) for row in rows], self.tokens_per_batch):
                places = np.asarray(batch) + start
                vectors[places] = self._pooled([rows[index] for index in batch])
                done += len(batch)
                if progress is not None:
                    progress(done)
        return vectors

    def token_ids(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """Token ids of each text, prefix and special tokens included, cut after `max_tokens`
        (None: as for encoding)."""
        # Lone surrogates (from broken mail headers) are no UTF-8: the tokenizer refuses them.
        clean = [(self.prefix + t).encode("utf-8", "replace").decode() for t in texts]
        with self._lock:
            encoded = self.tokenizer(
                clean,
                truncation=True,
                max_length=max_tokens or self.max_tokens,
                return_attention_mask=False,
                return_token_type_ids=False,
                split_special_tokens=True,
            )
        return [self._without_forged(row) for row in encoded["input_ids"]]

    def _without_forged(self, row: list[int]) -> list[int]:
        """`row` with <unk> for special tokens that the text itself spells.

        A mail that says "</s>" means these characters. `split_special_tokens` is enough for
        word pieces; but a Unigram vocabulary lists "</s>" like any other piece.
        """
        inner = row[1:-1]
        if self._special.isdisjoint(inner):
            return row
        return [row[0], *(self._unknown if t in self._special else t for t in inner), row[-1]]

    def _pooled(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Vectors of one batch of token ids: float32 [rows, hidden]."""
        ids, mask = self._padded(rows)
        with self._lock:
            vectors = self._forward(ids, mask)
            if self.module.dtype == torch.float16 and not _all_finite(vectors):
                # float16 ends at 65,504; some models go beyond it inside. The fingerprint does
                # not depend on the precision, so going on in float32 is right.
                _log.warning("float16 overflows", extra={"action": "encoder.to_float32"})
                torch.nn.Module.to(self.module, torch.float32)
                vectors = self._forward(ids, mask)
        if not _all_finite(vectors):
            raise ArithmeticError(f"the encoder gives no finite vector in {self.module.dtype}")
        array: npt.NDArray[np.float32] = vectors.numpy()
        return array

    @torch.inference_mode()
    def _forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids, mask [rows, tokens] → unit vectors [rows, hidden], float32 on the CPU."""
        ids, mask = ids.to(self.device), mask.to(self.device)
        hidden = self.module(input_ids=ids, attention_mask=mask).last_hidden_state
        return torch.nn.functional.normalize(_masked_mean(hidden, mask), dim=-1).cpu()

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask, both int64 [rows, longest row]."""
        lengths = torch.tensor([len(row) for row in rows])
        places = torch.arange(int(lengths.max()))
        mask = (places[None, :] < lengths[:, None]).long()
        ids = torch.full(mask.shape, self._pad, dtype=torch.long)
        ids[mask.bool()] = torch.tensor([token for row in rows for token in row])
        return ids, mask


def _token_id(value: object) -> int:
    """transformers types the id of a special token as one, several or none."""
    return value if isinstance(value, int) else 0


def _all_finite(vectors: Tensor) -> bool:
    return bool(torch.isfinite(vectors).all())


def _masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens, in float32 whatever the model runs in.

    hidden [rows, tokens, hidden], mask [rows, tokens] → [rows, hidden]
    """
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
