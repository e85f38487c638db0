"""Made-up mailboxes: features drawn by topic, no text, no encoder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from classifier.features import Block, Features, index_of
from trainer.examples import Example

HIDDEN = 8
START = datetime(2024, 1, 1, tzinfo=UTC)


def features(random: np.random.Generator, topic: int, *, words: int = 12) -> Features:
    """A mail about `topic`: words of the topic and common ones, a sender, a vector."""
    own = random.integers(0, 40, words) + 1000 * topic
    common = random.integers(0, 60, words) + 900_000
    names = [(Block.WORDS, f"word {number}") for number in [*own, *common]]
    names += [(Block.CHARACTERS, f"{number % 97}") for number in own]
    names += [(Block.SENDER, f"person {random.integers(0, 3) + 10 * topic}")]
    keys, counts = np.unique(
        np.array([index_of(block, name) for block, name in names], dtype=np.uint32),
        return_counts=True,
    )
    vector = random.normal(size=HIDDEN) + 3.0
    vector[topic % HIDDEN] += 2.0
    vector /= np.linalg.norm(vector)
    return Features(vector.astype(np.float16), keys, counts.astype(np.float32))


def example(number: int, label: str, content: Features, **fields: object) -> Example:
    """The `number`-th mail of a mailbox, one per hour."""
    values: dict[str, object] = {
        "key": f"key-{number:05d}",
        "label": label,
        "features": content,
        "date": START + timedelta(hours=number),
        "message_id": f"id-{number}",
    }
    return Example(**{**values, **fields})  # type: ignore[arg-type]


def mailbox(
    size: int = 120, folders: int = 4, *, seed: int = 0, noise: float = 0.1
) -> list[Example]:
    """`size` mails in time order; `noise` of them lie in a folder of another topic."""
    random = np.random.default_rng(seed)
    examples = []
    for number in range(size):
        topic = int(random.integers(0, folders))
        folder = int(random.integers(0, folders)) if random.random() < noise else topic
        examples.append(example(number, f"folder-{folder}", features(random, topic)))
    return examples


def names_of(examples: Sequence[Example]) -> dict[str, str]:
    """Display names: "folder-1" is shown as "Folder 1"."""
    return {one.label: one.label.replace("-", " ").capitalize() for one in examples}
