"""How much mail is left to move by hand: replays of mailboxes, with baselines and an ablation.

    python -m bench.learning MAILBOX... [--ablation] [--write docs/learning.md]

A MAILBOX is a directory FOLDER/*.eml. Every figure comes from one run over the same mail: the
baselines see the same text, in the same order. Nothing is random but the machine's speed.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifier.space import BlockWeights
from daemon.bootstrap import build_engine
from daemon.config.settings import ModelSettings
from daemon.use_cases.learning_curve import learning_curve
from daemon.use_cases.replay import FiledMail, baseline_text, examples_of_tree, read_tree
from trainer.baselines import baselines
from trainer.examples import Example
from trainer.fit import FitSettings
from trainer.replay import ReplayReport, ReplaySettings, replay

SKIP = 20
BEGIN, END = "<!-- begin: python -m bench.learning -->", "<!-- end -->"


@dataclass(frozen=True, slots=True)
class Result:
    """Everything measured on one mailbox."""

    name: str
    inboxd: ReplayReport
    others: dict[str, ReplayReport]
    ablation: dict[str, ReplayReport]
    curve: str


def main() -> None:
    """Replay every mailbox, print the tables, and with --write put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mailboxes", nargs="+", type=Path)
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        engine = build_engine(ModelSettings(), Path(state))
        results = []
        for directory in arguments.mailboxes:
            mails = read_tree(directory)
            examples = examples_of_tree(engine, mails, Progress(f"{directory.name}: encode"))
            results.append(measure(directory.name, mails, examples, ablation=arguments.ablation))
    page = "\n".join(tables(results))
    print(page)
    if arguments.write is not None:
        write(arguments.write, page, results)


def measure(
    name: str, mails: Sequence[FiledMail], examples: Sequence[Example], *, ablation: bool
) -> Result:
    """One mailbox: inboxd, the baselines, and with `ablation` each feature group left out."""
    settings = ReplaySettings(skip=SKIP)
    outcome = replay(examples, settings, Progress(f"{name}: inboxd"))
    texts = [baseline_text(each) for each in mails]
    labels = [each.folder for each in mails]
    others = baselines(texts, labels, skip=SKIP, progress=Progress(f"{name}: baselines"))
    without = {}
    if ablation:
        for group in dataclasses.fields(BlockWeights):
            blocks = dataclasses.replace(BlockWeights(), **{group.name: 0.0})
            fit = dataclasses.replace(FitSettings(), blocks=blocks)
            changed = dataclasses.replace(settings, fit=fit)
            progress = Progress(f"{name}: without {group.name}")
            without[group.name] = replay(examples, changed, progress).report
    return Result(name, outcome.report, others, without, learning_curve(outcome.steps, SKIP))


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
    yield "| mailbox | moved | rightly | wrong | left | coverage at 95 / 98 % | ECE |"
    yield "|---|---|---|---|---|---|---|"
    for result in results:
        ours = result.inboxd
        precision = "–" if ours.precision is None else f"{ours.precision:.3f}"
        yield (
            f"| {result.name} | {ours.coverage:.0%} | {precision} | {ours.wrong_moves} "
            f"| {ours.left} | {ours.coverage_at_95:.2f} / {ours.coverage_at_98:.2f} "
            f"| {ours.ece:.3f} |"
        )
    yield from _ablation(results)


def _ablation(results: Sequence[Result]) -> Iterator[str]:
    groups = list(results[0].ablation)
    if not groups:
        return
    yield ""
    yield "Mails to move by hand with one feature group left out:\n"
    yield "| mailbox | all | " + " | ".join(f"without {group}" for group in groups) + " |"
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
