"""How long the daemon's re-fit takes: the first one after a start, and those after a correction.

    python -m bench.refit [--sizes 1000 5000 10000 19900 20000] [--corrections 6] [--profile]

The whole of `daemon.learning.refit.refit` on a database of made-up mails (`bench.made_up`):
gathering the examples, fitting, the gate, saving the model, recording it. In turn a new mail is
filed, one of the newest hundred is moved to another folder, and one of them is excluded; the
figures are medians over all of them. The seconds of the processor are what they would be on a
machine that has nothing else to do. Encoding is left out: the features are cached, as they are in
the daemon by the time that a mail is corrected. "fit
alone s": a kept fit with its calibration, thresholds and report, without gathering, gate and
saving. 20,000 is the default of `max_examples`, so that each new mail pushes out an old one. "kept
MB": what stays in memory for the next fit.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import logging
import pstats
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bench.made_up import made_up
from daemon.bootstrap import build_engine, utc_now
from daemon.config.settings import ModelSettings, Settings
from daemon.learning.engine import Engine
from daemon.learning.refit import RefitSettings, refit
from daemon.store import Store
from daemon.store.tables import Folder, Message, Role
from daemon.use_cases.application import Application
from tests.support.fake_mailbox import FakeServer
from trainer.examples import Example

ACCOUNT = "private"
SIZES = [1000, 5000, 10_000, 19_900, 20_000]
COLUMNS = (
    "mails", "from scratch s", "filed s", "moved s", "excluded s", "ratio", "scratch CPU s",
    "kept CPU s", "fit alone s", "kept MB", "peak MB",
)  # fmt: skip


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--folders", type=int, default=20)
    parser.add_argument("--draws", type=int, default=4200)
    parser.add_argument("--corrections", type=int, default=6, help="a multiple of three")
    parser.add_argument("--profile", action="store_true", help="where the last re-fit spent it")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print("  ".join(f"{name:>14}" for name in COLUMNS))
    examples = made_up(max(options.sizes) + options.corrections, options.folders, options.draws)
    for size in options.sizes:
        with (
            tempfile.TemporaryDirectory() as directory,
            contextlib.closing(World(Path(directory), examples, size)) as world,
        ):
            row = world.measured(options.corrections, profile=options.profile)
            print("  ".join(f"{figure:14.2f}" for figure in row), flush=True)


class World:
    """A state directory whose account has all `examples` cached, the first `size` of them filed."""

    def __init__(self, directory: Path, examples: Sequence[Example], size: int) -> None:
        self._size = size
        self._store = Store.open(directory / "state")
        self._engine: Engine = build_engine(ModelSettings(threads=1), directory / "state")
        self._encoder = self._engine.account(ACCOUNT).encoder()
        self._mailbox = FakeServer().connect()
        self._settings = RefitSettings(
            max_bytes=100_000,
            min_per_folder=3,
            max_examples=20_000,
            ridge=0.03,
            target_precision=0.97,
            keep_models=3,
            keep_mb=100_000,
        )
        self._folders: dict[str, Folder] = {}
        self._messages: list[tuple[int, str]] = []
        self._fill(examples[: size + 100])

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def application(self) -> Application:
        """The program on this state, for use cases that connect to nothing."""
        account = {"host": "localhost", "username": "user"}
        return Application(
            settings=Settings.model_validate({"accounts": {ACCOUNT: account}}),
            config_path=None,
            store=self._store,
            engine=self._engine,
            clock=utc_now,
            connect=lambda _name, _account: self._mailbox,
        )

    def newest(self) -> int:
        """The number of the mail that was filed last."""
        return self._messages[self._size - 1][0]

    def _fill(self, examples: Sequence[Example]) -> None:
        now = datetime.now(UTC)
        for start in range(0, len(examples), 100):
            with self._store.write() as work:
                account = work.accounts.get_or_create(ACCOUNT, now)
                features = {}
                for one in examples[start : start + 100]:
                    if one.label not in self._folders:
                        folder = Folder(account_id=account.id, name=one.label, role=Role.LABEL)
                        work.folders.add(folder)
                        self._folders[one.label] = folder
                    message = Message(
                        account_id=account.id,
                        server_id=None,
                        fingerprint=one.key,
                        message_id_hash=one.message_id,
                        internal_date=one.date,
                        size=5000,
                        first_seen_at=one.date,
                    )
                    work.messages.add(message)
                    work.flush()
                    features[message.id] = one.features.to_bytes()
                    self._messages.append((message.id, one.label))
                    if len(self._messages) <= self._size:
                        folder = self._folders[one.label]
                        work.examples.teach(account, message.id, folder, "folder", one.date)
                work.features.put(self._encoder.fingerprint, features)
                work.commit()

    def measured(self, corrections: int, *, profile: bool) -> tuple[float, ...]:
        """One row of the table."""
        first, first_cpu, _ = self.learn()
        took: list[list[float]] = [[], [], []]
        cpu, fits = [], []
        profiler = cProfile.Profile()
        for number in range(corrections):
            self._correct(number)
            if profile and number == corrections - 1:
                profiler.enable()
            seconds, of_processor, fitting = self.learn()
            profiler.disable()
            took[number % 3].append(seconds)
            cpu.append(of_processor)
            fits.append(fitting)
        if profile:
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
        medians = [statistics.median(each) for each in took]
        return (
            self._size,
            first,
            *medians,
            first / statistics.median([each for some in took for each in some]),
            first_cpu,
            statistics.median(cpu),
            statistics.median(fits),
            self._engine.kept.bytes / 1e6,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        )

    def _correct(self, number: int) -> None:
        """File the next new mail, move or exclude one of the newest."""
        turn = number // 3
        with self._store.write() as work:
            account = work.accounts.get_or_create(ACCOUNT, datetime.now(UTC))
            if number % 3 == 0:
                message, label = self._messages[self._size + turn]
                work.examples.teach(
                    account, message, self._folders[label], "moved", datetime.now(UTC)
                )
            else:
                message, label = self._messages[self._size - 1 - (37 * number) % 100]
                if number % 3 == 1:
                    other = next(name for name in self._folders if name != label)
                    work.examples.teach(
                        account, message, self._folders[other], "moved", datetime.now(UTC)
                    )
                else:
                    example = work.examples.of_message(message)
                    if example is not None:
                        example.excluded_at = datetime.now(UTC)
            work.commit()

    def learn(self) -> tuple[float, float, float]:
        """Re-fit. Wall-clock seconds, those of the processor, and wall-clock seconds of the fit."""
        started = time.process_time()
        result = refit(
            self._store,
            self._engine,
            ACCOUNT,
            self._mailbox,
            self._settings,
            lambda: datetime.now(UTC),
        )
        return result.seconds, time.process_time() - started, float(result.report["seconds"])


if __name__ == "__main__":
    main()
