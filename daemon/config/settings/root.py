"""The whole configuration, of all sections."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from daemon.config.environment import EnvironmentSource
from daemon.config.settings.accounts import AccountSettings
from daemon.config.settings.classic_head import ClassicHeadSettings
from daemon.config.settings.deep_tuning import DeepTuningSettings
from daemon.config.settings.logging import LoggingSettings
from daemon.config.settings.metrics import MetricsSettings
from daemon.config.settings.model import ModelSettings
from daemon.config.settings.notices import NoticeSettings
from daemon.config.settings.state import StateSettings
from daemon.config.settings.training import TrainingSettings
from daemon.config.values import AccountName


class Settings(BaseSettings):
    """The whole configuration. Environment variables win over what is passed in.

    Use `daemon.config.load.load_config`, which reports all faults in plain words.
    """

    model_config = SettingsConfigDict(
        case_sensitive=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    state: StateSettings = Field(default_factory=StateSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    classic_head: ClassicHeadSettings = Field(default_factory=ClassicHeadSettings)
    deep_tuning: DeepTuningSettings = Field(default_factory=DeepTuningSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    notices: NoticeSettings = Field(default_factory=NoticeSettings)
    accounts: Mapping[AccountName, AccountSettings] = Field(min_length=1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic-settings' signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the values read from the configuration file."""
        return EnvironmentSource(settings_cls, given=init_settings()), init_settings
