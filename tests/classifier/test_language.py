"""The guess between German, English and everything else."""

from __future__ import annotations

import pytest

from classifier.language import guess_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("ich kann das programm nicht starten und bitte um hilfe", "de"),
        ("please find the invoice for your order attached to this mail", "en"),
        ("veuillez trouver ci-joint la facture du mois dernier", "other"),
        ("zażółć gęślą jaźń", "other"),
        ("", "other"),
    ],
)
def test_function_words_tell_the_language(text: str, language: str) -> None:
    """One sentence is enough; what is neither is "other"."""
    assert guess_language(text.split()) == language
