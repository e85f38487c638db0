"""Every option of inboxd: its type, its default and what it means.

Each section of the configuration file is the module of its name; whoever reads settings imports
them from here. The attribute docstrings are the documentation: `config.example.toml` and the
tables in `docs/configuration.md` are generated from them (`python -m daemon.config.docs`) and the
fault messages quote them. All models are frozen and refuse unknown keys.
"""

from daemon.config.settings.accounts import AccountSettings, Mode, SignIn, Tls
from daemon.config.settings.blocks import BlockSettings
from daemon.config.settings.classic_head import ClassicHeadSettings
from daemon.config.settings.deep_tuning import DeepTuningSettings
from daemon.config.settings.directories import default_cache_dir
from daemon.config.settings.folders import FolderSettings
from daemon.config.settings.logging import LogFormat, LoggingSettings, LogLevel
from daemon.config.settings.metrics import MetricsSettings
from daemon.config.settings.model import Device, HeadKind, ModelSettings
from daemon.config.settings.notices import Language, NoticeSettings, Webhook, Weekday
from daemon.config.settings.oauth import OAuthSettings
from daemon.config.settings.root import Settings
from daemon.config.settings.rules import RuleSettings
from daemon.config.settings.section import Section
from daemon.config.settings.state import StateSettings
from daemon.config.settings.training import Deep, TrainingSettings

__all__ = [
    "AccountSettings",
    "BlockSettings",
    "ClassicHeadSettings",
    "Deep",
    "DeepTuningSettings",
    "Device",
    "FolderSettings",
    "HeadKind",
    "Language",
    "LogFormat",
    "LogLevel",
    "LoggingSettings",
    "MetricsSettings",
    "Mode",
    "ModelSettings",
    "NoticeSettings",
    "OAuthSettings",
    "RuleSettings",
    "Section",
    "Settings",
    "SignIn",
    "StateSettings",
    "Tls",
    "TrainingSettings",
    "Webhook",
    "Weekday",
    "default_cache_dir",
]
