"""The model that reads mail: [model]."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from pydantic import Field

from daemon.config.settings.blocks import BlockSettings
from daemon.config.settings.directories import default_cache_dir
from daemon.config.settings.section import Section
from daemon.config.values import Confusion, Cost, FilePath, Number, Text, Whole


class Device(enum.StrEnum):
    """Where the encoder computes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class HeadKind(enum.StrEnum):
    """What decides on top of the encoder."""

    RIDGE = "ridge"
    CLASSIC = "classic"


class ModelSettings(Section):
    """The model that reads mail."""

    encoder: Text = "bundled"
    """The BERT that turns text into numbers: "bundled" (multilingual-e5-small, comes with the
    installation), the id of a model on the Hugging Face hub, or a directory (a path that begins
    with /, ./, ../ or ~)."""

    cache_dir: FilePath = Field(default_factory=default_cache_dir, examples=["/var/cache/inboxd"])
    """Directory for the bundled encoder in the form that inboxd loads, about 250 MB, made at the
    first use. It may be shared and may be deleted while inboxd is stopped. By default
    $XDG_CACHE_HOME/inboxd, which is mostly ~/.cache/inboxd."""

    device: Device = Device.AUTO
    """Where the encoder computes. "auto" takes a GPU when there is one."""

    target_precision: Number = Field(0.97, ge=0.5, le=0.999)
    """How often inboxd has to be right before it may move mail into a folder. A folder for which
    your past mail does not promise this gets suggestions only. Higher means fewer moves and fewer
    wrong ones."""

    costs: Mapping[Confusion, Cost] = Field(
        default_factory=dict, examples=[{"Schadensmeldungen -> Kündigungen": 5}]
    )
    """What a mistake costs, in mails left in the inbox; by default 1. The line says where the mail
    belongs and where it is wrongly filed; * is any folder. inboxd then moves such mail only when
    it is surer. Holds for every account that has these folders; may also be a table of its own,
    [model.costs]."""

    max_tokens: Whole = Field(256, ge=16, le=8192)
    """How much of a mail the encoder reads, in tokens of about four letters. More is slower;
    everything encoded so far is encoded again after a change."""

    head: HeadKind = HeadKind.RIDGE
    """What decides on top of the encoder: "ridge", one linear layer over everything that a mail
    tells, learnt exactly in a second; or "classic", BERT's pooling layer and a linear layer over
    the text's meaning alone, learnt in steps (section classic_head). See docs/fine-tuning.md."""

    ridge_lambda: Number = Field(0.03, ge=0.0001, le=100.0)
    """How strongly the classifier is held back from believing single mails (the λ of ridge
    regression). Results hardly change between 0.01 and 0.1."""

    threads: Whole = Field(0, ge=0, le=1024)
    """CPU threads for the encoder and for learning; 0 takes all cores."""

    keep_models: Whole = Field(10, ge=2, le=1000)
    """How many models are kept to roll back to, the one in use included."""

    blocks: BlockSettings = Field(default_factory=BlockSettings)
    """How much each kind of evidence counts."""
