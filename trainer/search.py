"""Searching hyperparameters of the head on validation mail; the only module that knows Optuna.

A trial learns from the training part of a split by time and is judged on the validation part,
each mail predicted from all mails before it: the head's one factorisation gives these
predictions for all mails at once (`Head.prequential`), in the feature space of the training
part. What counts is the log loss of the calibrated probabilities: it is smoother than the
number of wrong folders, so that a few dozen trials on a few hundred mails tell something. The
calibration comes from the training part. The test part is not given to anything here.

The study is an SQLite file. Optuna writes each trial when it begins and when it ends, so that a
killed search loses the trial that ran and goes on with the next.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from classifier.manifest import make_private_directory
from classifier.space import BlockWeights, FeatureSpace
from trainer.calibration import Past, fit_calibration
from trainer.errors import ModelNotTrainable
from trainer.examples import Example, TimeSplit, in_time_order
from trainer.fit import FitSettings, recent_mails
from trainer.head import Head

LAMBDA = "ridge_lambda"
FIXED_BLOCK = "words"
"""Multiplying all weights and λ by one number changes nothing, so one weight stays as it is."""
SPACE: Mapping[str, FloatDistribution] = {
    LAMBDA: FloatDistribution(0.003, 1.0, log=True),
    **{
        name: FloatDistribution(0.05, 10.0, log=True)
        for name in asdict(BlockWeights())
        if name != FIXED_BLOCK
    },
}
"""What is searched: λ and the weights of the blocks, all by their order of magnitude."""
_FLOOR = 1e-6
_FEWEST = 20


@dataclass(frozen=True, slots=True)
class Point:
    """One choice of hyperparameters."""

    ridge_lambda: float
    blocks: BlockWeights

    def parameters(self) -> dict[str, float]:
        """By the names of `SPACE`, moved into its ranges, weights relative to the fixed one."""
        weights = asdict(self.blocks)
        unit = weights.pop(FIXED_BLOCK) or 1.0
        values = {LAMBDA: self.ridge_lambda / unit, **{k: w / unit for k, w in weights.items()}}
        return {
            name: min(max(values[name], space.low), space.high) for name, space in SPACE.items()
        }

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> Point:
        """The inverse, rounded to three digits: more would only look exact."""
        rounded = {name: float(f"{value:.3g}") for name, value in parameters.items()}
        return cls(rounded.pop(LAMBDA), BlockWeights(**{FIXED_BLOCK: 1.0, **rounded}))


@dataclass(frozen=True, slots=True)
class Validation:
    """How good a point is on the validation mail."""

    log_loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Search:
    """The outcome. `trials` are all finished ones of the study, `new` those of this call;
    `present` is what the search began from."""

    study: str
    trials: int
    new: int
    best: Point
    best_validation: Validation
    present_validation: Validation


def validate(split: TimeSplit, point: Point) -> Validation:
    """Learn from `train`, judge on `calibrate`. Raises `ModelNotTrainable`."""
    train = in_time_order(split.train)
    ordered = [*train, *split.calibrate]
    space = FeatureSpace.learn([one.features for one in train], point.blocks)
    past = Head(ordered, point.ridge_lambda, space=space).prequential()
    calibration = fit_calibration(past[recent_mails(train, FitSettings().calibration_window)])
    later = past[np.arange(len(train), len(ordered))]
    probabilities = later.probabilities(calibration)
    return Validation(
        log_loss=_log_loss(probabilities, later),
        accuracy=float((probabilities.argmax(axis=1) == later.answerable_truth()).mean()),
    )


def _log_loss(probabilities: np.ndarray, past: Past) -> float:
    """Mean −log of what was given to the truth; mail of a folder that was not known yet is
    right under "none of these"."""
    truth = past.answerable_truth()
    given = probabilities[np.arange(len(truth)), truth]
    none = 1.0 - probabilities.sum(axis=1)
    return float(-np.log(np.maximum(np.where(truth >= 0, given, none), _FLOOR)).mean())


def search(
    split: TimeSplit,
    present: Point,
    *,
    trials: int,
    database: Path,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Search:
    """Make `trials` more trials in the study of this mail, which is created when needed.

    The study's name holds a hash of the mail: figures of other mail do not compare. Of an
    earlier study the best point is tried again first. Raises `ModelNotTrainable`.
    """
    if len(split.calibrate) < _FEWEST:
        raise ModelNotTrainable(
            f"Only {len(split.calibrate)} mails to validate on; a search needs {_FEWEST}."
        )
    study = _study(split, present, database)
    before = len(_finished(study))

    def objective(trial: optuna.Trial) -> float:
        point = Point.of({name: _suggest(trial, name) for name in SPACE})
        found = validate(split, point)
        trial.set_user_attr("accuracy", found.accuracy)
        return found.log_loss

    def tell(_study: optuna.Study, _trial: object) -> None:
        progress(len(_finished(study)) - before, trials)

    progress(0, trials)
    study.optimize(objective, n_trials=trials, callbacks=[tell])
    finished = len(_finished(study))
    return Search(
        study=study.study_name,
        trials=finished,
        new=finished - before,
        best=Point.of(study.best_params),
        best_validation=Validation(study.best_value, study.best_trial.user_attrs["accuracy"]),
        present_validation=validate(split, present),
    )


def _suggest(trial: optuna.Trial, name: str) -> float:
    space = SPACE[name]
    return trial.suggest_float(name, space.low, space.high, log=space.log)


def _study(split: TimeSplit, present: Point, database: Path) -> optuna.Study:
    """The study of this mail; a new one begins with the present settings, the defaults and the
    best of the study before."""
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    make_private_directory(database.parent)
    os.close(os.open(database, os.O_CREAT | os.O_WRONLY, 0o600))
    storage = optuna.storages.RDBStorage(f"sqlite:///{database}")
    name = _name_of(split)
    earlier = optuna.get_all_study_summaries(storage)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=len(_trials_of(storage, name))),
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)  # its process was killed
    if not study.get_trials(deepcopy=False):
        others = [one for one in earlier if one.study_name != name and one.best_trial is not None]
        newest = max(others, key=lambda one: one.datetime_start or 0, default=None)
        for point in (present, Point(0.03, BlockWeights())):
            study.enqueue_trial(point.parameters(), skip_if_exists=True)
        if newest is not None and newest.best_trial is not None:
            study.enqueue_trial(newest.best_trial.params, skip_if_exists=True)
    return study


def _trials_of(storage: optuna.storages.RDBStorage, name: str) -> Sequence[object]:
    try:
        return storage.get_all_trials(storage.get_study_id_from_name(name), deepcopy=False)
    except KeyError:
        return ()


def _finished(study: optuna.Study) -> Sequence[object]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _name_of(split: TimeSplit) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in (split.train, split.calibrate):
        digest.update(b"|")
        for one in part:
            digest.update(_identity(one))
    return f"mail-{digest.hexdigest()}"


def _identity(one: Example) -> bytes:
    return f"{one.key}\0{one.label}\0{one.weight:g}\0".encode()
