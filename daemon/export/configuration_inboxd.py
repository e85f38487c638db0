"""The configuration of an exported model: that of the head, and the encoder's beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from classifier.model import MailClassifierConfig


class InboxdConfig(MailClassifierConfig):  # type: ignore[no-untyped-call]  # transformers
    """As `MailClassifierConfig`; plain JSON values only.

    `encoder_config` is the encoder's own config.json, `prefix` stands before every text,
    `max_tokens` is where texts are cut.
    """

    model_type = "inboxd-mail"

    def __init__(
        self,
        *,
        encoder_config: Mapping[str, Any] | None = None,
        prefix: str = "",
        max_tokens: int = 256,
        **kwargs: Any,
    ) -> None:
        self.encoder_config = dict(encoder_config or {"model_type": "bert"})
        self.prefix = prefix
        self.max_tokens = max_tokens
        super().__init__(**kwargs)
