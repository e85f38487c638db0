"""How long learning takes: fit, one more mail, prediction, the mails most like one; and how large
the model gets.

    python -m bench.fit [--sizes 500 1000 2000 4000 6000] [--folders 20] [--draws 4200]

Mails are those of `bench.made_up`: random vectors, and features drawn from a Zipf-like
distribution, as many different ones (2,700 a mail, half a million in a thousand mails) as in real
mail of a page. Times are wall-clock; fit and append of one run, all others the best of five.
"compare s": one mail with all others, from memory. "similar CPU s": all that `inboxd why
--similar` does in the database, by a model in memory and without fetching subjects, in seconds of
the processor.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from bench.made_up import made_up
from bench.refit import ACCOUNT, World
from classifier.artifact import load_model, save_model
from classifier.similar import similarities
from daemon.use_cases.similar import similar_mails
from trainer.examples import Example
from trainer.fit import fit
from trainer.head import Head

COLUMNS = (
    "mails", "fit s", "append ms", "predict 500 s", "predict 1 ms", "compare s",
    "similar CPU s", "model MB", "peak MB",
)  # fmt: skip


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000, 4000, 6000])
    parser.add_argument("--folders", type=int, default=20)
    parser.add_argument("--draws", type=int, default=4200)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
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
        asking(examples),
        size / 1e6,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    )


def asking(examples: list[Example]) -> float:
    """Seconds of the processor until `why --similar` knows the mails most like the newest."""
    with (
        tempfile.TemporaryDirectory() as directory,
        contextlib.closing(World(Path(directory), examples, len(examples))) as world,
    ):
        world.learn()
        app, mail = world.application(), str(world.newest())
        similar_mails(app, ACCOUNT, mail)  # loads the model
        return seconds(lambda: similar_mails(app, ACCOUNT, mail), time.process_time)


def appending(examples: list[Example]) -> float:
    """Mean seconds to learn one more mail, over the last twenty."""
    head = Head(examples[:-20])
    started = time.perf_counter()
    for one in examples[-20:]:
        head.append(one)
    return (time.perf_counter() - started) / 20


def seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """The best of five."""
    times = []
    for _ in range(5):
        started = clock()
        action()
        times.append(clock() - started)
    return min(times)


if __name__ == "__main__":
    main()
