"""Training against validation: what the two curves say about over- and underfitting.

Shared by everything that learns in steps: the classic head and the deep fine-tune. The closed
form has no steps, hence no curves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_RISE = 1.02
"""A validation loss counts as risen from 2 % above its lowest value on."""
_FALL = 0.97
"""It still falls when the last point is 3 % below the one before it."""
_GAP = 2.0
"""From this ratio of validation to training loss on the model knows its training mail by heart."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One look at the model. Losses are mean cross-entropies in nats, with the class weights of
    training; the training loss is the mean since the look before, dropout included."""

    epoch: float
    training_loss: float
    validation_loss: float
    validation_accuracy: float


OnPoint = Callable[[CurvePoint], None]


@dataclass(frozen=True, slots=True)
class Curves:
    """All looks, in order."""

    points: tuple[CurvePoint, ...]

    @property
    def best(self) -> CurvePoint:
        """The look with the lowest validation loss: the state that was kept."""
        return min(self.points, key=lambda point: point.validation_loss)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the verdict."""
        return {"points": [asdict(point) for point in self.points], "verdict": verdict(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Curves:
        """The inverse of `as_dict`. Raises `KeyError` and `TypeError` for anything else."""
        return cls(tuple(CurvePoint(**point) for point in document["points"]))


def verdict(curves: Curves) -> str:
    """Over- or underfitting, in one sentence with the figures that show it."""
    points = curves.points
    if len(points) < 2:
        return "too short to say: there are not two looks to compare"
    best, last = curves.best, points[-1]
    if last.validation_loss > _RISE * best.validation_loss:
        if last.training_loss > last.validation_loss:
            return (
                f"past its best: validation loss {last.validation_loss:.2f} and rising since "
                f"epoch {best.epoch:g} ({best.validation_loss:.2f}), though the training loss "
                f"({last.training_loss:.2f}) is not below it; a lower learning rate may help"
            )
        return (
            f"overfitting: training loss {last.training_loss:.2f}, validation loss "
            f"{last.validation_loss:.2f} and rising since epoch {best.epoch:g} "
            f"({best.validation_loss:.2f}); the state of epoch {best.epoch:g} was kept"
        )
    if _is_falling(points):
        return (
            f"underfitting: the validation loss ({last.validation_loss:.2f}) was still falling "
            f"at the end, epoch {last.epoch:g}; more epochs or a higher learning rate may help"
        )
    if best.validation_loss > _GAP * max(best.training_loss, 0.05):
        return (
            f"close to overfitting: training loss {best.training_loss:.2f}, validation loss "
            f"{best.validation_loss:.2f}, not rising; more weight decay or dropout may help"
        )
    return (
        f"a good fit: training loss {best.training_loss:.2f}, validation loss "
        f"{best.validation_loss:.2f} at epoch {best.epoch:g}, and no longer falling"
    )


def _is_falling(points: Sequence[CurvePoint]) -> bool:
    before, last = points[-2:]
    return last.validation_loss < _FALL * before.validation_loss
