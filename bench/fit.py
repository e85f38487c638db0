"""How long learning takes: fit, one more mail, prediction, the mails most like one; and how large
the model gets.

    python -m bench.fit [--sizes 500 1000 2000 4000 6000] [--folders 20] [--draws 4200]

Mails are made of random vectors and of features drawn from a Zipf-like distribution, as many
different ones (2,700 a mail, half a million in a thousand mails) as in real mail of a page.
Times are wall-clock; fit and append of one run, predictions the best of five.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from classifier.artifact import load_model, save_model
from classifier.features import HASH_BITS, Block, Features
from classifier.similar import similarities
from trainer.examples import Example
from trainer.fit import fit
from trainer.head import Head

HIDDEN = 384
COLUMNS = (
    "mails", "fit s", "append ms", "predict 500 s", "predict 1 ms", "similar s", "model MB",
    "peak MB",
)  # fmt: skip


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000, 4000, 6000])
    parser.add_argument("--folders", type=int, default=20)
    parser.add_argument("--draws", type=int, default=4200)
    options = parser.parse_args()
    print("  ".join(f"{name:>13}" for name in COLUMNS))
    examples = made_up(max(options.sizes), options.folders, options.draws)
    for size in options.sizes:
        print("  ".join(f"{figure:13.3f}" for figure in measured(examples[:size])), flush=True)


def measured(examples: list[Example]) -> tuple[float, ...]:
    """One row of the table."""
    started = time.perf_counter()
    model = fit(examples, {}, featurizer_fingerprint="made-up").model
    fitting = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model"
        save_model(model, path, manifest={})
        size = sum(file.stat().st_size for file in path.iterdir())
        model = load_model(path)
    contents = [one.features for one in examples[-500:]]
    model.predict(contents[:1], [None])  # builds the space once
    return (
        len(examples),
        fitting,
        1000 * appending(examples),
        seconds(lambda: model.predict(contents, [None] * len(contents))),
        1000 * seconds(lambda: model.predict(contents[:1], [None])),
        seconds(lambda: similarities(model.space, contents[0], (e.features for e in examples))),
        size / 1e6,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    )


def appending(examples: list[Example]) -> float:
    """Mean seconds to learn one more mail, over the last twenty."""
    head = Head(examples[:-20])
    started = time.perf_counter()
    for one in examples[-20:]:
        head.append(one)
    return (time.perf_counter() - started) / 20


def seconds(action: Callable[[], object]) -> float:
    """The best of five."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


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


if __name__ == "__main__":
    main()
