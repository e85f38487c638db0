"""Labels: opaque strings that stand for folders, and the one label that is not a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LEAVE = "@inbox"
"""The label "leave it in the inbox", taught by mails that the user put back."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels in the order of the model's outputs, with the names that a user knows them by.

    The caller chooses the labels (folder ids, folder names); only `LEAVE` means something here.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.keys) != len(self.names):
            raise ValueError("each label needs exactly one display name")
        if len(set(self.keys)) != len(self.keys):
            raise ValueError("a label occurs twice")

    @classmethod
    def of(cls, keys: Iterator[str] | tuple[str, ...], names: Mapping[str, str]) -> LabelSet:
        """Labels in the given order; one without a name is shown as itself."""
        ordered = tuple(keys)
        return cls(ordered, tuple(names.get(key, key) for key in ordered))

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys)

    def __contains__(self, key: object) -> bool:
        return key in self.keys

    def index(self, key: str | None) -> int:
        """Position of the label, −1 for None and for labels that the model does not know."""
        try:
            return -1 if key is None else self.keys.index(key)
        except ValueError:
            return -1

    def name(self, key: str) -> str:
        """Display name; an unknown label is shown as itself."""
        position = self.index(key)
        return key if position < 0 else self.names[position]
