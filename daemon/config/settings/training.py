"""When inboxd learns, and from what: [training]."""

from __future__ import annotations

import enum
from datetime import time

from pydantic import Field

from daemon.config.settings.section import Section
from daemon.config.values import Number, Switch, TimeOfDay, Whole


class Deep(enum.StrEnum):
    """When the encoder itself is tuned."""

    NEVER = "never"
    NIGHTLY = "nightly"


class TrainingSettings(Section):
    """When inboxd learns, and from what."""

    debounce_seconds: Whole = Field(5, ge=0, le=3600)
    """How long inboxd waits after your last correction before it learns from it, so that moving
    twenty mails leads to one re-fit."""

    nightly_at: TimeOfDay = Field(time(3, 30))
    """Time of day, in the machine's time zone, of the nightly training and house-keeping."""

    min_examples_per_folder: Whole = Field(3, ge=1, le=10_000)
    """From how many mails on a folder takes part in learning."""

    newest_per_folder: Whole = Field(500, ge=1, le=100_000)
    """How many of the newest mails of each folder are read for learning."""

    max_examples: Whole = Field(20_000, ge=10, le=100_000)
    """How many examples per account the classifier is fitted to at most. Of more, the newest are
    taken, balanced over the folders. Up to 6000 are fitted in one piece (150 MB of memory), more
    in parts that are averaged: about as good, and the time only grows with their number."""

    keep_fit_mb: Whole = Field(500, ge=0, le=1_000_000)
    """How much memory, in megabytes and for all accounts together, the daemon may use to keep what
    it computed at the last training, so that the next one takes a tenth of the time. It uses as
    much as there is mail: about 40 for 1000 examples, 250 for 5000, 650 for 10,000, 1300 for
    20,000. An account that finds no room is trained from scratch each time, as all are with 0."""

    hold_moves_per_hour: Whole = Field(100, ge=0, le=1_000_000)
    """When you (or a program in your name) move more mails than this within an hour, they are
    not learned from until you confirm it with "inboxd held confirm". 0 never holds back."""

    hold_folder_share: Number = Field(0.5, ge=0.0, le=1.0)
    """The same when at least this share of one folder, and at least 20 mails, is moved out of it
    within an hour. 0 never holds back."""

    deep: Deep = Deep.NEVER
    """Whether the encoder itself is tuned to your mail (inboxd train --deep): "never" by itself,
    or "nightly" when enough is new. Without a GPU it takes from many minutes to hours, and where it
    was measured it did not pay: see docs/fine-tuning.md."""

    tensorboard: Switch = False
    """Whether whatever learns in steps also writes its curves for TensorBoard, into the directory
    tensorboard of the state directory. Needs: pip install 'inboxd[tensorboard]'."""
