"""What a deep fine-tune learns from: which examples, in which part, and when it is worth while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from daemon.learning.encoders import TunedEncoders

if TYPE_CHECKING:
    from trainer.examples import Example, TimeSplit
    from trainer.steps import DeepSettings

FORMAT = 1
TRAIN, VALIDATION, TEST, OTHER = "train", "validation", "test", "other"


@dataclass(frozen=True, slots=True)
class DeepPlan:
    """One run. `rows`: (example key, label, part) in time order."""

    base: str
    settings: Mapping[str, Any]
    split: str
    rows: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(
        cls, base: str, settings: DeepSettings, split: str, parts: TimeSplit, ordered: list[Example]
    ) -> DeepPlan:
        """The plan for examples in time order, divided into `parts`."""
        part_of = {
            one.key: part
            for part, some in (
                (TRAIN, parts.train), (VALIDATION, parts.calibrate), (TEST, parts.test)
            )
            for one in some
        }  # fmt: skip
        rows = tuple((one.key, one.label, part_of.get(one.key, OTHER)) for one in ordered)
        return cls(base, asdict(settings), split, rows)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any] | None) -> DeepPlan | None:
        """The inverse, None for a document of another format."""
        if document is None or document.get("format") != FORMAT:
            return None
        rows = tuple((str(key), str(label), str(part)) for key, label, part in document["rows"])
        return cls(document["base"], document["settings"], document["split"], rows)

    def is_about(self, other: DeepPlan) -> bool:
        """Whether a run of this plan may be gone on with although `other` is wanted now: the
        same but for examples that came since."""
        return (self.base, self.split, dict(self.settings)) == (
            other.base,
            other.split,
            dict(other.settings),
        )

    def keys(self, part: str | None = None) -> list[str]:
        """Keys of the examples, of one part or all."""
        return [key for key, _, its in self.rows if part in {None, its}]

    def labels(self) -> list[str]:
        """The classes: labels of the mail that is trained on, in order of appearance."""
        return list(dict.fromkeys(label for _, label, part in self.rows if part == TRAIN))

    def split_of(self, examples: Sequence[Example]) -> TimeSplit:
        """The same division of (newly made) examples."""
        from trainer.examples import TimeSplit  # noqa: PLC0415 - numpy

        by_key = {one.key: one for one in examples}
        train, validation, test = (
            tuple(by_key[key] for key in self.keys(part) if key in by_key)
            for part in (TRAIN, VALIDATION, TEST)
        )
        return TimeSplit(train, validation, test, straddling=len(self.keys(OTHER)))


def why_not_now(
    encoders: TunedEncoders, examples: int, *, at_least: int, new_at_least: int
) -> str | None:
    """Why a deep fine-tune would be a waste of time now; None when it is due."""
    if examples < at_least:
        return f"{examples} examples, {at_least} are needed"
    last = encoders.last_run()
    since = examples - int(last["examples"]) if last is not None else examples
    if since < new_at_least:
        return f"{since} new examples since the last one, {new_at_least} are needed"
    return None
