"""What inboxd keeps: [state]."""

from __future__ import annotations

from pydantic import Field, field_validator

from daemon.config.settings.directories import default_state_dir
from daemon.config.settings.section import Section
from daemon.config.values import DatabaseUrl, FilePath, Whole, fault

SHORTEST_MEMORY_DAYS = 90
"""What judges the last weeks needs their decisions whole."""


class StateSettings(Section):
    """What inboxd keeps."""

    dir: FilePath = Field(default_factory=default_state_dir, examples=["/var/lib/inboxd"])
    """Directory for the database, the models and the feature cache. One running inboxd per
    directory. By default $XDG_STATE_HOME/inboxd, which is mostly ~/.local/state/inboxd."""

    database: DatabaseUrl | None = Field(
        None, examples=["postgresql://inboxd@/inboxd?host=/run/postgresql"]
    )
    """A PostgreSQL database instead of the SQLite file in dir, for this inboxd alone:
    "postgresql://USER@HOST/DATABASE", without a password. The connection is encrypted and the
    certificate checked unless the server is this machine; ?sslrootcert=FILE names an authority of
    your own. Needs the extra "postgres"; docs/store.md says how to move there."""

    database_password_file: FilePath | None = Field(None, examples=["/run/secrets/inboxd-database"])
    """File that holds the password of the database and nothing else. Others must not be able to
    read it. inboxd looks for the systemd credential inboxd.database_password first, then here,
    then in the keyring. Not needed where the server knows the user of the system (peer)."""

    keep_decisions_days: Whole = Field(730, ge=0, le=36_500)
    """How long the details of decisions are kept: folder, probabilities, model and reason. Of an
    older one only remains when it was made and what became of it, so that no mail is sorted twice
    and undo still works. At least 90; 0 keeps everything."""

    @field_validator("keep_decisions_days")
    @classmethod
    def _long_enough_to_judge_by(cls, days: int) -> int:
        if 0 < days < SHORTEST_MEMORY_DAYS:
            raise fault(
                "is too short to tell how well inboxd has sorted lately",
                f"Write {SHORTEST_MEMORY_DAYS} or more, or 0 to keep everything.",
            )
        return days
