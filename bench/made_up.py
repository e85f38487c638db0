"""Made-up mails for measurements of speed: random vectors, and as many features as in real mail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from classifier.features import HASH_BITS, Block, Features
from trainer.examples import Example

HIDDEN = 384


def made_up(size: int, folders: int, draws: int) -> list[Example]:
    """Mails whose features and vectors lean towards their folder."""
    random = np.random.default_rng(0)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    centres = random.normal(size=(folders, HIDDEN))
    examples = []
    for number in range(size):
        folder = int(random.integers(0, folders))
        vector = 8.0 + centres[folder] + 2.0 * random.normal(size=HIDDEN)
        content = Features(
            (vector / np.linalg.norm(vector)).astype(np.float16), *bag(random, folder, draws)
        )
        date = start + timedelta(hours=number)
        examples.append(Example(str(number), f"folder-{folder}", content, date, str(number)))
    return examples


def bag(random: np.random.Generator, folder: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Ascending keys and counts: a quarter words, the rest n-grams, one sender.

    Ranks are log-uniform, which is Zipf's law over half a million features; every tenth draw
    is from a vocabulary of the folder's own.
    """
    ranks = np.exp(random.random(draws) * np.log(500_000)).astype(np.int64)
    own = random.random(draws) < 0.1
    numbers = np.where(own, ranks * 37 + folder * 1_000_003, ranks) % (1 << HASH_BITS)
    blocks = np.where(numbers % 4 == 0, Block.WORDS, Block.CHARACTERS)
    sender = (Block.SENDER << HASH_BITS) + folder * 10 + random.integers(0, 10)
    keys = np.append((blocks << HASH_BITS) + numbers, sender).astype(np.uint32)
    unique, counts = np.unique(keys, return_counts=True)
    return unique, counts.astype(np.float32)
