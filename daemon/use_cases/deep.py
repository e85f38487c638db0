"""The deep fine-tune of an account's encoder, from its examples to a model in use.

    gather ── tune in a subprocess ── compare on the newest mail ── adopt ── read all ── switch
                                                  └ does not pay: forget

Each step may be cut off. Before `adopt` the run directory holds what it takes to go on tuning;
after it the pending pointer does, and whoever comes next reads the remaining mail with the new
encoder and switches. All that time the model in use goes on with its own encoder.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from daemon.errors import ModelError
from daemon.learning.deep.directory import RunDirectory
from daemon.learning.deep.plan import TEST, TRAIN, VALIDATION, DeepPlan, why_not_now
from daemon.learning.deep.process import Limits, run_child
from daemon.learning.gather import (
    TrainingSet,
    cache_features,
    fetch_mails,
    ignore,
    training_set,
)
from daemon.learning.refit import Refit, refit, unfiled_for
from daemon.locks import POLL_SECONDS, deep_lock
from daemon.mailbox.port import Mailbox
from daemon.use_cases.application import Application, never
from daemon.use_cases.catch_up import up_to_date
from daemon.use_cases.learn import Progress
from daemon.use_cases.split import Split
from trainer.deep_worker import TUNED, VECTORS

if TYPE_CHECKING:
    from classifier.mail import Mail
    from daemon.learning.engine import AccountEncoder
    from trainer.encoders import EncoderComparison

log = structlog.get_logger(__name__)

SLICE_SECONDS = 5.0
"""How long reading anew holds the account's lock before others get their turn."""
FEWEST = {TRAIN: 20, VALIDATION: 2, TEST: 2}
"""Examples per part without which there is nothing to learn or to compare."""

OnPoint = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True, slots=True)
class Deep:
    """How a deep fine-tune ended. `outcome`: "in-use", "turned-away" (by the gate),
    "does-not-pay", "too-little" or "stopped"; `reason` is a sentence. `report` holds the curves
    with their verdict, the comparison of the encoders and what it took; `resumed`: it went on
    from a checkpoint."""

    account: str
    outcome: str
    reason: str
    seconds: float
    resumed: bool
    version: str | None
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how it goes: (stage, done, total), and each look at the validation mail."""

    progress: Progress = ignore
    point: OnPoint = ignore


def has_unfinished(app: Application, name: str) -> bool:
    """Whether an earlier run was cut off, or its encoder is not in use yet."""
    pending = app.engine.account(name).tuned.pending()
    return pending is not None or RunDirectory(app.state_dir, name).job() is not None


def is_deep_due(app: Application, name: str) -> bool:
    """Whether something was left unfinished, or enough is new for the nightly run."""
    if has_unfinished(app, name):
        return True
    encoders = app.engine.account(name).tuned
    with app.store.read() as work:
        account = work.accounts.get(name)
        examples = work.examples.count(account) if account is not None else 0
    wanted = app.settings.deep_tuning
    reason = why_not_now(
        encoders, examples, at_least=wanted.min_examples, new_at_least=wanted.new_examples
    )
    log.info("deep.due", account=name, due=reason is None, reason=reason)
    return reason is None


def train_deep(
    app: Application,
    name: str,
    *,
    split: Split = Split.TIME,
    listener: Listener | None = None,
    stopped: Callable[[], bool] = never,
) -> Deep:
    """Tune the encoder to an account's mail, and use it if that pays.

    Safe to interrupt and to repeat: it goes on where it was. Raises `AlreadyRunning`,
    `MailboxError`, `ModelError`.
    """
    if (share := app.share(name)) is not None:
        raise ModelError(
            f"Account {name} shares the model {share.name}; an encoder is tuned for one account.",
            next_step=f"Remove shared_model from [accounts.{name}] if you want that more.",
        )
    with deep_lock(app.state_dir, name):
        run = _Run(app, name, listener or Listener(), stopped, time.perf_counter())
        return run.whole(split)


@dataclass(slots=True)
class _Run:
    app: Application
    name: str
    listener: Listener
    stopped: Callable[[], bool]
    started: float
    resumed: bool = False

    def whole(self, split: Split) -> Deep:
        """From whatever point an earlier process had reached."""
        encoders = self.app.engine.account(self.name).tuned
        if encoders.pending() is None:
            ended = self._tune(split)
            if ended is not None:
                return ended
        else:
            self.resumed = True
        return self._switch()

    # -- tune and compare --------------------------------------------------------------------

    def _tune(self, split: Split) -> Deep | None:
        """Until an encoder that pays is pending; anything else is the end."""
        app, name = self.app, self.name
        models = app.engine.account(name)
        directory = RunDirectory(app.state_dir, name)
        curve_log = app.curve_log(name)  # is TensorBoard there? Better said now than at the end
        base = models.encoder_of(None)
        with up_to_date(app, name) as mailbox:
            data = self._data(mailbox, base)
            plan = self._plan(directory, data, base, split)
            if self.stopped():
                return self._end("stopped", "Stopped before it began.")
            if (lack := _lack(plan)) is not None:
                return self._end("too-little", lack)
            keys = plan.keys()
            mails = fetch_mails(
                app.store,
                mailbox,
                [int(key) for key in keys],
                app.account(name).max_message_kb * 1024,
                progress=lambda done, total: self.listener.progress("fetch", done, total),
                stopped=self.stopped,
            )
        if self.stopped():
            return self._end("stopped", "Stopped before it began.")
        vectors = {one.key: one.features.vector for one in data.examples}
        keys = [key for key in keys if int(key) in mails and key in vectors]
        header = self._header(directory, plan, base, len(keys), curve_log)
        texts = _lines(plan, keys, mails, vectors)
        last = self._child(directory, [header], texts)
        if last is None:
            return self._end("stopped", "Stopped. The next run goes on from the last checkpoint.")
        tuned = _vectors(directory, keys)
        compared = self._compare(plan, data, tuned)
        report = {**last, "comparison": compared.as_dict(), "split": plan.split}
        report.pop("event", None)
        models.tuned.note_run(
            {"examples": len(data.examples), "at": app.clock().isoformat(), "report": report}
        )
        if not compared.pays:
            directory.remove()
            return self._end("does-not-pay", compared.reason, report)
        self._adopt(directory, tuned, data, report)
        return None

    def _data(self, mailbox: Mailbox, base: AccountEncoder) -> TrainingSet:
        """All examples, as the base encoder sees them: it is what is tuned, each time anew."""
        app, name = self.app, self.name
        settings = app.refit_settings(name)
        cache_features(
            app.store,
            mailbox,
            name,
            base.source(settings.max_bytes),
            progress=lambda done, total: self.listener.progress("encode", done, total),
            stopped=self.stopped,
        )
        return training_set(
            app.store, name, base.fingerprint, min_per_folder=settings.min_per_folder
        )

    def _plan(
        self, directory: RunDirectory, data: TrainingSet, base: AccountEncoder, split: Split
    ) -> DeepPlan:
        """That of the run that was cut off, if it can be gone on with; else a new one."""
        from trainer.examples import in_time_order, select, time_split  # noqa: PLC0415 - numpy
        from trainer.splits import random_split  # noqa: PLC0415

        chosen = in_time_order(select(data.examples, self.app.settings.training.max_examples))
        parts = random_split(chosen) if split is Split.RANDOM else time_split(chosen)
        fingerprint = base.encoder.fingerprint
        plan = DeepPlan.of(fingerprint, self.app.deep_settings(), split.value, parts, chosen)
        former = DeepPlan.from_dict(directory.job())
        labels = {one.key: one.label for one in data.examples}
        if (
            former is not None
            and former.is_about(plan)
            and all(labels.get(key) == label for key, label, _ in former.rows)
        ):
            self.resumed = True
            return former
        if _lack(plan) is None:
            directory.begin(plan.as_dict())
        return plan

    def _header(
        self,
        directory: RunDirectory,
        plan: DeepPlan,
        base: AccountEncoder,
        texts: int,
        curve_log: Any,
    ) -> dict[str, Any]:
        settings = self.app.engine.settings
        moment = self.app.clock().strftime("%Y%m%dT%H%M%SZ")
        return {
            "encoder": settings.encoder,
            "cache_dir": str(settings.cache_dir),
            "device": settings.device,
            "max_tokens": settings.max_tokens,
            "base": base.encoder.fingerprint,
            "directory": str(directory.path.absolute()),
            "settings": dict(plan.settings),
            "texts": texts,
            "tensorboard": None if curve_log is None else str(curve_log / f"deep-{moment}"),
        }

    def _child(
        self,
        directory: RunDirectory,
        head: list[Mapping[str, Any]],
        texts: Iterator[Mapping[str, Any]],
    ) -> dict[str, Any] | None:
        def lines() -> Iterator[Mapping[str, Any]]:
            yield from head
            yield from texts

        values = self.app.settings.deep_tuning
        limits = Limits(
            values.nice, values.memory_mb, values.threads, self.app.deep_settings().seconds
        )
        return run_child(lines(), directory.path, limits, self._heard, self.stopped)

    def _heard(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "step":
                self.listener.progress("deep", event["done"], event["total"])
            case "encode":
                self.listener.progress("reread", event["done"], event["total"])
            case "point":
                self.listener.point({k: v for k, v in event.items() if k != "event"})

    def _compare(
        self, plan: DeepPlan, data: TrainingSet, tuned: Mapping[str, Any]
    ) -> EncoderComparison:
        from trainer.encoders import compare_encoders  # noqa: PLC0415 - numpy

        known = [one for one in data.examples if one.key in tuned]
        settings = self.app.refit_settings(self.name).for_fit()
        return compare_encoders(plan.split_of(known), tuned, settings)

    def _adopt(
        self,
        directory: RunDirectory,
        tuned: Mapping[str, Any],
        data: TrainingSet,
        report: Mapping[str, Any],
    ) -> None:
        """Keep the adapter and what it made of the examples, and point to it."""
        from trainer.encoders import with_vectors  # noqa: PLC0415 - numpy

        models = self.app.engine.account(self.name)
        adapter = models.tuned.adopt(directory.path / TUNED, report)
        fingerprint = models.encoder_of(adapter).fingerprint
        known = [one for one in data.examples if one.key in tuned]
        rows = {int(one.key): one.features.to_bytes() for one in with_vectors(known, tuned)}
        with self.app.store.write() as work:
            work.features.put(fingerprint, rows)
            work.commit()
        directory.remove()

    # -- switch ------------------------------------------------------------------------------

    def _switch(self) -> Deep:
        """Read what is left with the pending encoder, then fit a model on it and ask the gate."""
        app, name = self.app, self.name
        models = app.engine.account(name)
        pending = models.tuned.pending()
        if pending is None:
            raise ModelError(f"No tuned encoder of account {name} is waiting.")
        adapter, report = pending
        try:
            encoder = models.encoder_of(adapter)
        except ModelError:
            models.tuned.settle()  # damaged, or the base has changed: the present model stays
            models.prune(keep=app.settings.model.keep_models)
            raise
        self._rebuild(encoder)
        if self.stopped():
            return self._end("stopped", "Stopped. The next run goes on.", report)
        with up_to_date(app, name) as mailbox:
            settings = app.refit_settings(name)
            # So that the model in use can be asked about the newest mail too.
            cache_features(app.store, mailbox, name, models.encoder().source(settings.max_bytes))
            result = refit(
                app.store,
                app.engine,
                name,
                mailbox,
                settings,
                app.clock,
                encoder=encoder,
                more_report={"deep": report},
                stopped=self.stopped,
            )
            if result.version is not None:
                models.tuned.settle()
                models.prune(keep=settings.keep_models)
        return self._switched(result, report)

    def _rebuild(self, encoder: AccountEncoder) -> None:
        """Fill the feature cache under the new encoder, a few seconds at a time."""
        app, name = self.app, self.name
        settings = app.refit_settings(name)
        source = encoder.source(settings.max_bytes)
        with app.mailbox(name) as mailbox:
            while not self.stopped():
                pause = _Pause(self.stopped)
                with app.locked(name):
                    cache_features(
                        app.store,
                        mailbox,
                        name,
                        source,
                        unfiled=unfiled_for(settings),
                        progress=lambda done, total: self.listener.progress("rebuild", done, total),
                        stopped=pause.is_due,
                    )
                if not pause.was_taken:
                    return
                time.sleep(2 * POLL_SECONDS)  # long enough for others to try the lock again

    def _switched(self, result: Refit, report: Mapping[str, Any]) -> Deep:
        if result.version is None:
            return self._end("stopped", result.reason, report)
        outcome = "in-use" if result.promoted else "turned-away"
        return replace(self._end(outcome, result.reason, report), version=result.version)

    def _end(self, outcome: str, reason: str, report: Mapping[str, Any] | None = None) -> Deep:
        seconds = time.perf_counter() - self.started
        log.info("deep.done", account=self.name, outcome=outcome, seconds=round(seconds, 1))
        return Deep(self.name, outcome, reason, seconds, self.resumed, None, report or {})


class _Pause:
    """Stops a piece of work after `SLICE_SECONDS`, or when everything stops."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped
        self._end = time.monotonic() + SLICE_SECONDS
        self.was_taken = False

    def is_due(self) -> bool:
        self.was_taken = self._stopped() or time.monotonic() >= self._end
        return self.was_taken


def _lack(plan: DeepPlan) -> str | None:
    for part, least in FEWEST.items():
        if (found := len(plan.keys(part))) < least:
            return f"Only {found} examples in the {part} part; at least {least} are needed."
    if len(plan.labels()) < 2:
        return "All mail to learn from lies in the same place: nothing to tell apart."
    return None


def _lines(
    plan: DeepPlan, keys: Sequence[str], mails: Mapping[int, Mail], vectors: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The examples for the child. The part "test" is only read, never learnt from."""
    from classifier.text import prepare  # noqa: PLC0415 - html parser

    numbers = {label: number for number, label in enumerate(plan.labels())}
    rows = {key: (label, part) for key, label, part in plan.rows}
    for key in keys:
        label, part = rows[key]
        yield {
            "key": key,
            "text": prepare(mails[int(key)]).encoder_text,
            "label": numbers.get(label, -1),
            "part": part,
            "vector": base64.b64encode(vectors[key].tobytes()).decode(),
        }


def _vectors(directory: RunDirectory, keys: Sequence[str]) -> dict[str, Any]:
    """What the child made of the texts, by example key."""
    import safetensors.numpy  # noqa: PLC0415 - numpy

    vectors = safetensors.numpy.load_file(directory.path / VECTORS)["vectors"]
    return dict(zip(keys, vectors, strict=True))
