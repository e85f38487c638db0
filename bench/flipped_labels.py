"""What wrong labels cost, how many of them are found, and what it saves to find them.

    python -m bench.flipped_labels MAILBOX... [--share 0.05] [--results DIR] [--json OUT]
        [--write docs/examples.md]

A MAILBOX is a directory FOLDER/*.eml. A share of its mails, drawn at random, is given the label
of another folder, each of the others being as likely. The labels are then judged as `inboxd
examples check` does it, and the mailbox is lived through as `--effect` does it (`trainer.effect`),
and besides with the flips put right by a person who looks at the mails called bad, or at all
doubted ones, and with no flip at all. Everything is repeated with another seed.

All these replays are judged on the same mails, those not called bad, and by the labels before
the flips, which only this program knows. What `--effect` says is judged by the flipped labels,
as it would be in earnest; both are shown. The mail is judged as on the day of its newest.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.learning import Progress, encoded, encoder_of
from daemon.config.settings import ModelSettings
from daemon.use_cases.replay import read_tree
from trainer.effect import alternatives
from trainer.examples import Example
from trainer.quality import Grade, QualityReport, judge
from trainer.replay import ReplaySettings, Step, replay

BEGIN, END = "<!-- begin: python -m bench.flipped_labels -->", "<!-- end -->"
SEEDS = (1, 2, 3)

LIVES = {
    "as it is": "as they are",
    "without": "without the bad",
    "with better": "better folder taken",
    "bad put right": "bad put right",
    "doubted put right": "all doubted put right",
    "no flips": "no wrong label",
}
"""The replays, and what the tables call them."""


@dataclass(frozen=True, slots=True)
class Found:
    """How many mails got a wrong label; how many were called bad, or doubted (bad or suspect),
    and of these had one."""

    flipped: int
    bad: int
    bad_flipped: int
    doubted: int
    doubted_flipped: int


@dataclass(frozen=True, slots=True)
class Left:
    """Mails left to move by hand in one replay: `forced` as if each mail had to be filed (wrong
    first choices), `abstaining` when inboxd moves what it is sure of (wrong moves and mail left).
    `forced_as_told`: the former, judged by the labels with their flips."""

    forced: int
    abstaining: int
    forced_as_told: int


@dataclass(frozen=True, slots=True)
class Draw:
    """What one seed gave: `left` on the same `mails`, by the names in `LIVES`."""

    seed: int
    found: Found
    mails: int
    left: dict[str, Left]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Draw:
        """The inverse of `dataclasses.asdict`."""
        return cls(
            seed=document["seed"],
            found=Found(**document["found"]),
            mails=document["mails"],
            left={name: Left(**figures) for name, figures in document["left"].items()},
        )


@dataclass(frozen=True, slots=True)
class Result:
    """One mailbox with one share of wrong labels. `bad_unflipped` and `doubted_unflipped`: what is
    called so in the mailbox as it was."""

    name: str
    mails: int
    folders: int
    share: float
    bad_unflipped: int
    doubted_unflipped: int
    draws: tuple[Draw, ...]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Result:
        """The inverse of `dataclasses.asdict`."""
        return cls(**{**document, "draws": tuple(map(Draw.from_json, document["draws"]))})


def main() -> None:
    """Measure every mailbox, print the tables, and with --write put them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mailboxes", nargs="+", type=Path)
    parser.add_argument("--share", type=float, nargs="+", default=[0.05])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--results", type=Path, help="keep what was measured here, and go on")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as place:
        keep = given.results or Path(place) / "results"
        encoder = encoder_of(ModelSettings(), Path(place) / "state", keep)
        for directory in given.mailboxes:
            name = directory.name
            examples = encoded(encoder, read_tree(directory), Progress(f"{name}: encode"))
            results += [resumed(keep, name, examples, share, given.seeds) for share in given.share]
    page = "\n".join(tables(results))
    print(page)
    if given.json is not None:
        given.json.write_text(json.dumps(list(map(asdict, results)), indent=1), encoding="utf-8")
    if given.write is not None:
        write(given.write, page)


def resumed(
    keep: Path, name: str, examples: Sequence[Example], share: float, seeds: Sequence[int]
) -> Result:
    """`measured`, without the seeds that an earlier run kept; each is kept as it is finished."""
    path = keep / f"flipped-{name}-{share:g}.json"
    known: dict[int, Draw] = {}
    if path.exists():
        kept = Result.from_json(json.loads(path.read_text(encoding="utf-8")))
        known = {draw.seed: draw for draw in kept.draws}

    def keep_draw(result: Result) -> None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(result)), encoding="utf-8")
        part.replace(path)

    return measured(name, examples, share, seeds, known=known, after_each=keep_draw)


def measured(
    name: str,
    examples: Sequence[Example],
    share: float,
    seeds: Sequence[int],
    *,
    settings: ReplaySettings | None = None,
    known: Mapping[int, Draw] | None = None,
    after_each: Callable[[Result], None] = lambda _: None,
) -> Result:
    """One mailbox with a draw per seed; those already `known` are taken as they are."""
    chosen = settings or ReplaySettings()
    before = verdicts(examples)
    graded = [one.grade for one in before.examples]
    result = Result(
        name=name,
        mails=len(examples),
        folders=len({one.label for one in examples}),
        share=share,
        bad_unflipped=graded.count(Grade.BAD),
        doubted_unflipped=len(graded) - graded.count(Grade.GOOD),
        draws=(),
    )
    unflipped: tuple[Step, ...] = ()
    for seed in seeds:
        draw = (known or {}).get(seed)
        if draw is None:
            title = f"{name}, {share:.0%} wrong, seed {seed}"
            unflipped = unflipped or lived(examples, chosen, f"{name}, none wrong")
            draw = drawn(examples, share, seed, chosen, unflipped, title)
        result = replace(result, draws=(*result.draws, draw))
        after_each(result)
    return result


def drawn(
    examples: Sequence[Example],
    share: float,
    seed: int,
    settings: ReplaySettings,
    unflipped: Sequence[Step],
    title: str = "",
) -> Draw:
    """Flip, judge, live through it; `unflipped` are the steps of the replay without flips."""
    spoilt = flipped(examples, share, seed)
    report = verdicts(spoilt)
    bad = {one.key for one in report.examples if one.grade is Grade.BAD}
    doubted = {one.key for one in report.examples if one.grade is not Grade.GOOD}
    without, with_better = alternatives(spoilt, report)
    variants = {
        "as it is": spoilt,
        "without": without,
        "with better": with_better,
        "bad put right": put_right(spoilt, examples, bad),
        "doubted put right": put_right(spoilt, examples, doubted),
    }
    steps: dict[str, Sequence[Step]] = {
        each: lived(variant, settings, f"{title}: {LIVES[each]}")
        for each, variant in variants.items()
    }
    steps["no flips"] = unflipped
    counted = [step.key for step in steps["as it is"][settings.skip :] if step.key not in bad]
    labels = [{one.key: one.label for one in some} for some in (examples, spoilt)]
    wrong = {key for key, label in labels[0].items() if labels[1][key] != label}
    found = Found(len(wrong), len(bad), len(bad & wrong), len(doubted), len(doubted & wrong))
    left = {each: counts(some, counted, *labels) for each, some in steps.items()}
    return Draw(seed, found, len(counted), left)


def flipped(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """A share of the examples under another of their labels, each other one as likely."""
    draw = random.Random(seed)  # noqa: S311 - a reproducible choice, no secret
    labels = sorted({one.label for one in examples})
    chosen = set(draw.sample(range(len(examples)), round(share * len(examples))))
    return [
        replace(one, label=draw.choice([label for label in labels if label != one.label]))
        if number in chosen
        else one
        for number, one in enumerate(examples)
    ]


def verdicts(examples: Sequence[Example]) -> QualityReport:
    """What `inboxd examples check` says, on the day of the newest mail."""
    names = {one.label: one.label for one in examples}
    return judge(examples, names, max(one.date for one in examples))


def put_right(
    spoilt: Sequence[Example], examples: Sequence[Example], keys: set[str]
) -> list[Example]:
    """`spoilt` after a person has looked at the mails with these keys."""
    return [
        right if right.key in keys else one for one, right in zip(spoilt, examples, strict=True)
    ]


def lived(examples: Sequence[Example], settings: ReplaySettings, title: str) -> tuple[Step, ...]:
    """The steps of a replay."""
    return replay(examples, settings, Progress(title)).steps


def counts(
    steps: Sequence[Step],
    counted: Sequence[str],
    true: Mapping[str, str],
    told: Mapping[str, str],
) -> Left:
    """What is left to move of the `counted` mails, by `true` labels and by those `told`."""
    by_key = {step.key: step for step in steps}
    some = [by_key[key] for key in counted]
    right = [step.predicted == true[step.key] for step in some]
    return Left(
        forced=right.count(False),
        abstaining=sum(
            not (step.moves and is_right) for step, is_right in zip(some, right, strict=True)
        ),
        forced_as_told=sum(step.predicted != told[step.key] for step in some),
    )


def tables(results: Sequence[Result]) -> Iterator[str]:
    """Markdown."""
    yield (
        "Means of some draws, and their range. How many of the wrong labels are found, and how "
        "many of the mails called bad, or doubted (bad or suspect), have one:\n"
    )
    yield (
        "| mailbox | draws | wrong labels | called bad | really wrong | found | doubted "
        "| really wrong | found | with no wrong label: bad, doubted |"
    )
    yield "|---" * 10 + "|"
    for result in results:
        found = [draw.found for draw in result.draws]
        cells = [
            _whole([one.bad for one in found]),
            _shares([(one.bad_flipped, one.bad) for one in found]),
            _shares([(one.bad_flipped, one.flipped) for one in found]),
            _whole([one.doubted for one in found]),
            _shares([(one.doubted_flipped, one.doubted) for one in found]),
            _shares([(one.doubted_flipped, one.flipped) for one in found]),
            f"{result.bad_unflipped}, {result.doubted_unflipped}",
        ]
        yield (
            f"| {_described(result)} | {len(found)} | {found[0].flipped} ({result.share:.0%}) "
            f"| {' | '.join(cells)} |"
        )
    yield ""
    yield "Mails to move by hand if each has to be filed, judged by the right labels:\n"
    yield from _left(results, lambda left: left.forced)
    yield ""
    yield "Mails to move by hand when inboxd moves only what it is sure of (target 97 %):\n"
    yield from _left(results, lambda left: left.abstaining)
    yield ""
    yield (
        "How many fewer (of the first of these tables) `--effect` would tell, which knows only the "
        "labels with their flips, and how many fewer it really is:\n"
    )
    yield "| mailbox | without the bad: told | really | better folder taken: told | really |"
    yield "|---|---|---|---|---|"
    for result in results:
        cells = []
        for life in ("without", "with better"):
            pairs = [(draw.left["as it is"], draw.left[life]) for draw in result.draws]
            cells += [
                _signed([one.forced_as_told - other.forced_as_told for one, other in pairs]),
                _signed([one.forced - other.forced for one, other in pairs]),
            ]
        yield f"| {result.name}, {result.share:.0%} | {' | '.join(cells)} |"


def _left(results: Sequence[Result], figure: Callable[[Left], int]) -> Iterator[str]:
    yield f"| mailbox | mails judged | {' | '.join(LIVES.values())} |"
    yield "|---" * (len(LIVES) + 2) + "|"
    for result in results:
        cells = [_whole([figure(draw.left[life]) for draw in result.draws]) for life in LIVES]
        mails = _whole([draw.mails for draw in result.draws])
        yield f"| {result.name}, {result.share:.0%} | {mails} | {' | '.join(cells)} |"


def _described(result: Result) -> str:
    return f"{result.name}, {result.mails} mails, {result.folders} folders"


def _whole(figures: Sequence[int]) -> str:
    """Mean and range."""
    low, high = min(figures), max(figures)
    mean = f"{statistics.mean(figures):.0f}"
    return mean if low == high else f"{mean} ({low}–{high})"


def _signed(figures: Sequence[int]) -> str:
    """Mean and range of differences."""
    return f"{statistics.mean(figures):+.1f} ({min(figures):+d} to {max(figures):+d})"


def _shares(pairs: Sequence[tuple[int, int]]) -> str:
    """Mean and range of shares; those of nothing are left out."""
    shares = [part / whole for part, whole in pairs if whole]
    if not shares:
        return "–"
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    mean = f"{statistics.mean(shares):.0%}"
    return mean if low == high else f"{mean} ({low}–{high})"


def write(path: Path, page: str) -> None:
    """Put the tables between the page's markers."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{page}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
