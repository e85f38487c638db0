"""Whether fine-tuning pays: ridge head, classic head, and a tuned encoder below a ridge head.

    python -m bench.finetune MAILBOX... [--first 1500] [--write docs/fine-tuning.md]

A MAILBOX is a directory FOLDER/*.eml. The oldest mails (--first, or 80 %) are learnt from, a tenth
of them for early stopping; the rest is tested on, without threads and texts that began before.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.learning import Progress
from classifier.encoder import load_encoder
from classifier.text import prepare
from daemon.bootstrap import build_engine
from daemon.config.settings import DeepTuningSettings, ModelSettings
from daemon.use_cases.replay import FiledMail, examples_of_tree, read_tree
from trainer.classic import classic
from trainer.curves import CurvePoint, Curves, verdict
from trainer.encoders import EncoderComparison, compare_encoders, right_on
from trainer.examples import Example, TimeSplit, time_split
from trainer.finetune import TextExample, Watch, finetune
from trainer.metrics import bootstrap_interval
from trainer.steps import ClassicSettings, DeepSettings

BEGIN, END = "<!-- begin: python -m bench.finetune -->", "<!-- end -->"


@dataclass(frozen=True, slots=True)
class Result:
    """Everything measured on one mailbox; seconds are wall time on this machine."""

    name: str
    split: TimeSplit
    comparison: EncoderComparison
    classic: tuple[float, float, float]
    seconds: dict[str, float]
    settings: DeepSettings
    curves: Curves


def main() -> None:
    """Measure every mailbox, print the tables, and with --write put them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mailboxes", nargs="+", type=Path)
    parser.add_argument("--first", type=int, help="mails to learn from (default: 80 %%)")
    parser.add_argument("--cache-dir", type=Path, default=ModelSettings().cache_dir)
    parser.add_argument("--write", type=Path)
    for name in ("layers", "epochs", "max-tokens"):
        default = getattr(DeepTuningSettings(), name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    settings = DeepSettings(
        layers=given.layers, epochs=given.epochs, max_tokens=given.max_tokens, seconds=1e6
    )
    results = [
        measure(directory, given.first, given.cache_dir, settings) for directory in given.mailboxes
    ]
    page = "\n".join(tables(results))
    print(page)
    if given.write is not None:
        before, _, rest = given.write.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        given.write.write_text(f"{before}{BEGIN}\n\n{page}\n\n{END}{after}", encoding="utf-8")


def measure(directory: Path, first: int | None, cache_dir: Path, settings: DeepSettings) -> Result:
    """One mailbox, all three."""
    mails = read_tree(directory)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as state:
        engine = build_engine(ModelSettings(cache_dir=cache_dir), Path(state))
        started = time.perf_counter()
        examples = examples_of_tree(
            engine.featurizer(), mails, Progress(f"{directory.name}: encode")
        )
        seconds["encode"] = time.perf_counter() - started
    share = (first or round(0.8 * len(examples))) / len(examples)
    split = time_split(examples, 0.9 * share, 0.1 * share)
    started = time.perf_counter()
    before = [*split.train, *split.calibrate]
    flags = right_on(before, split.test, learner=classic(ClassicSettings()))
    seconds["classic"] = time.perf_counter() - started
    started = time.perf_counter()
    right_on(before, split.test)
    seconds["ridge"] = time.perf_counter() - started
    started = time.perf_counter()
    vectors, curves = tuned_vectors(mails, examples, split, cache_dir, settings)
    seconds["tune"] = time.perf_counter() - started
    return Result(
        directory.name,
        split,
        compare_encoders(split, vectors),
        (float(flags.mean()), *bootstrap_interval(flags)),
        seconds,
        settings,
        curves,
    )


def tuned_vectors(
    mails: Sequence[FiledMail],
    examples: Sequence[Example],
    split: TimeSplit,
    cache_dir: Path,
    settings: DeepSettings,
) -> tuple[dict[str, np.ndarray[tuple[int], np.dtype[np.float16]]], Curves]:
    """Tune the bundled encoder on the split and read all mails with it."""
    encoder = load_encoder("bundled", cache_dir, "auto", precision="float32")
    texts = {
        one.key: prepare(mail.mail).encoder_text for one, mail in zip(examples, mails, strict=True)
    }
    numbers = {label: at for at, label in enumerate(dict.fromkeys(e.label for e in split.train))}

    def given(some: Sequence[Example]) -> list[TextExample]:
        return [
            TextExample(
                texts[one.key],
                numbers.get(one.label, -1),
                one.features.vector.astype(np.float32),
            )
            for one in some
        ]

    def show(point: CurvePoint) -> None:
        print(dataclasses.asdict(point), file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as directory:
        outcome = finetune(
            encoder,
            given(split.train),
            given(split.calibrate),
            settings,
            Path(directory),
            watch=Watch(Progress("tune"), show),
        )
    encoder.module.train(mode=False)
    needed = [one for one in examples if one.key in texts]
    vectors = encoder.encode([texts[one.key] for one in needed]).astype(np.float16)
    return {one.key: row for one, row in zip(needed, vectors, strict=True)}, outcome.curves


def tables(results: Sequence[Result]) -> Iterator[str]:
    """Markdown."""
    yield "| mailbox | learnt from | tested on | frozen, ridge head | frozen, classic head | LoRA, ridge head | LoRA's gain, at least | pays |"  # noqa: E501 - a table's head
    yield "|---|---|---|---|---|---|---|---|"
    for one in results:
        found = one.comparison
        yield (
            f"| {one.name} | {len(one.split.train) + len(one.split.calibrate)} "
            f"| {found.compared} | {_share(found.present, *found.present_interval)} "
            f"| {_share(*one.classic)} | {_share(found.tuned, *found.tuned_interval)} "
            f"| {found.gain:+.1%}, {found.at_least:+.1%} | {'yes' if found.pays else 'no'} |"
        )
    yield ""
    yield "| mailbox | reading all | ridge head | classic head | tuning, reading anew | curves |"
    yield "|---|---|---|---|---|---|"
    for one in results:
        took = one.seconds
        yield (
            f"| {one.name} | {took['encode']:.0f} s | {took['ridge']:.1f} s "
            f"| {took['classic']:.1f} s | {took['tune']:.0f} s | {verdict(one.curves)} |"
        )
    settings = results[0].settings
    yield ""
    yield (
        f"LoRA of rank {settings.rank} in the upper {settings.layers} layers, {settings.epochs} "
        f"epochs at most, {settings.max_tokens} tokens of each mail; 95 % bootstrap intervals, "
        "the gain's lower bound one-sided at 95 %."
    )


def _share(value: float, low: float, high: float) -> str:
    return f"{value:.1%} ({low:.1%} – {high:.1%})"


if __name__ == "__main__":
    main()
