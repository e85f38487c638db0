"""A guess whether a text is German or English: how many of its words are function words.

Good enough to be one feature among many, and free; it is not meant to tell more languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Language = Literal["de", "en", "other"]

_LOOKED_AT = 300
_SHARE = 0.08
"""Running German and English text consists of these words to about a third."""

# Only words that the other language does not have ("in", "was", "also", "die" are in both).
_GERMAN = frozenset({
    "aber", "als", "am", "auch", "auf", "aus", "bei", "bin", "bitte", "das", "dass", "dem", "den",
    "der", "des", "diese", "ein", "eine", "einen", "einer", "er", "es", "für", "haben", "habe",
    "hat", "hallo", "ich", "ihr", "ihre", "ihnen", "ist", "kann", "mein", "meine", "mir", "mit",
    "nach", "nicht", "noch", "nur", "oder", "schon", "sehr", "sich", "sie", "sind", "über", "um",
    "und", "uns", "von", "vom", "vor", "wenn", "werden", "wie", "wir", "wird", "zu", "zum", "zur",
})  # fmt: skip
_ENGLISH = frozenset({
    "a", "about", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "do", "for",
    "from", "get", "had", "has", "have", "he", "i", "if", "is", "it", "its", "my", "no", "not",
    "of", "on", "one", "or", "our", "please", "she", "that", "the", "their", "there", "they",
    "this", "to", "we", "what", "which", "will", "with", "would", "you", "your",
})  # fmt: skip


def guess_language(words: Sequence[str]) -> Language:
    """ "de", "en" or "other" for case-folded `words`; the first few hundred are looked at."""
    sample = words[:_LOOKED_AT]
    german = sum(word in _GERMAN for word in sample)
    english = sum(word in _ENGLISH for word in sample)
    if not sample or max(german, english) < _SHARE * len(sample):
        return "other"
    return "de" if german >= english else "en"
