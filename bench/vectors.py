"""An encoder that keeps its vectors: what was encoded once is not encoded again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.featurizer import Progress, TextEncoder


class KeptVectors:
    """`encoder`, with its vectors by the hash of their texts in an .npz file of `directory`.

    They are kept in half precision, which is what mail's features are made of anyway.
    """

    def __init__(self, encoder: TextEncoder, directory: Path) -> None:
        self._encoder = encoder
        self._path = directory / f"vectors-{encoder.fingerprint[:16]}.npz"
        self._known: dict[str, NDArray[np.float16]] = {}
        if self._path.exists():
            with np.load(self._path, allow_pickle=False) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    @property
    def fingerprint(self) -> str:
        """That of the encoder."""
        return self._encoder.fingerprint

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """As `TextEncoder.encode`."""
        keys = [hashlib.blake2b(text.encode("utf-8", "replace")).hexdigest() for text in texts]
        missing = [at for at, key in enumerate(keys) if key not in self._known]
        if missing:
            made = self._encoder.encode([texts[at] for at in missing], progress)
            for at, vector in zip(missing, made, strict=True):
                self._known[keys[at]] = vector.astype(np.float16)
        return np.stack([self._known[key] for key in keys]).astype(np.float32)

    def save(self) -> None:
        """Write the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part.npz")
        np.savez(
            part, keys=np.array(list(self._known)), vectors=np.stack(list(self._known.values()))
        )
        part.replace(self._path)
