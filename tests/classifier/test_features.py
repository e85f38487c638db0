"""Lexical features: what is counted, under which index, and how it is stored."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.features import (
    HASH_BITS,
    Block,
    Features,
    block_of,
    index_of,
    lexical,
    named_features,
    parent_domain,
)
from classifier.mail import Address, Mail
from classifier.text import prepare
from tests.classifier.test_text import mails

INVOICE = Mail(
    subject="Re: Rechnung 2024",
    sender=Address("Anna Muster", "Anna@Mail.Example.org"),
    recipients=(Address("", "bob@example.co.uk"), Address("C", "<carl@example.com>")),
    list_id='"Alle Mieter" <mieter.haus.example.org>',
    plain="Ihre Rechnung ist da, bitte zahlen Sie. Nummer 12345678.",
    html="<p>x</p>",
    attachments=("Rechnung-17.PDF", "ohne"),
    references=("<1@example.org>",),
    automation=(("precedence", "bulk"), ("list-unsubscribe", "<https://example.org/u?1>")),
)

GOLDEN_WORD = 345043943
GOLDEN_LIST = 2614339977
GOLDEN_INDICES = 3807309220
GOLDEN_VALUES = 3146141200


def counts(mail: Mail) -> dict[int, float]:
    indices, values = lexical(mail, prepare(mail))
    return dict(zip(indices.tolist(), values.tolist(), strict=True))


def names(mail: Mail, block: Block) -> set[str]:
    named = named_features(mail, prepare(mail))
    return {name for index, name in named if block_of(index) is block}


def random_features(seed: int, hidden: int, length: int, scale: float) -> Features:
    generator = np.random.default_rng(seed)
    indices = np.unique(generator.integers(0, 2**32, length, dtype=np.uint32))
    values = generator.random(indices.size, dtype=np.float32) * np.float32(scale)
    return Features(
        generator.standard_normal(hidden).astype(np.float16),
        indices,
        values if scale != 5 else np.floor(values),
    )


def test_words_and_pairs_of_subject_body_and_attachments_are_counted_together() -> None:
    """A word of the subject counts once more where the body repeats it."""
    found = counts(INVOICE)
    assert found[index_of(Block.WORDS, "rechnung")] == 3
    assert found[index_of(Block.WORDS, "ihre rechnung")] == 1
    assert found[index_of(Block.WORDS, "bitte")] == 1
    assert index_of(Block.WORDS, "2024 ihre") not in found


def test_long_numbers_count_by_their_number_of_digits() -> None:
    """An order number is never seen twice, that there is one is."""
    words = names(INVOICE, Block.WORDS)
    assert "#8" in words
    assert "12345678" not in words


def test_sender_recipients_and_list_have_blocks_of_their_own() -> None:
    """Address, domain and owner of the domain, in lower case."""
    assert names(INVOICE, Block.SENDER) == {
        "anna@mail.example.org",
        "@mail.example.org",
        "*.example.org",
        "name anna",
        "name muster",
    }
    assert names(INVOICE, Block.RECIPIENTS) == {
        "bob@example.co.uk",
        "@example.co.uk",
        "*.example.co.uk",
        "carl@example.com",
        "@example.com",
        "*.example.com",
    }
    assert names(INVOICE, Block.LIST) == {"mieter.haus.example.org", "@haus.example.org"}


def test_meta_tells_how_the_mail_was_made() -> None:
    """Language, file types, automation headers (never their addresses), HTML, reply."""
    assert names(INVOICE, Block.META) == {
        "language de",
        "attachment pdf",
        "attachment other",
        "html",
        "reply",
        "precedence",
        "precedence bulk",
        "list-unsubscribe",
    }


def test_every_named_feature_is_counted_and_every_block_is_named() -> None:
    """Explanations speak of exactly what the model reads, character n-grams apart."""
    named = {index for index, _ in named_features(INVOICE, prepare(INVOICE))}
    counted = {index for index in counts(INVOICE) if block_of(index) is not Block.CHARACTERS}
    assert named == counted
    assert {block_of(index) for index in counted} == set(Block) - {Block.CHARACTERS}


def test_a_quote_counts_too() -> None:
    """Short replies are filed by what they reply to."""
    mail = Mail(plain="Das machen wir genau so, vielen Dank.\n\n> Soll der Mietvertrag enden?")
    assert "mietvertrag" not in prepare(mail).body
    assert "mietvertrag" in names(mail, Block.WORDS)


def test_character_ngrams_of_three_to_five_are_counted() -> None:
    """ "banana" with its borders has 6 + 5 + 4 n-grams, of which "ana" and " ana"… repeat."""
    indices, values = lexical(Mail(subject="BaNaNa"), prepare(Mail(subject="BaNaNa")))
    characters = (indices >> HASH_BITS) == Block.CHARACTERS
    assert values[characters].sum() == 6 + 5 + 4
    assert values[characters].max() == 2  # "ana"
    assert np.count_nonzero(characters) == 6 + 5 + 4 - 1


def test_spelling_in_capitals_and_blanks_makes_no_difference_to_characters() -> None:
    """Text is case-folded and its white space collapsed before it is hashed."""
    loud, calm = Mail(plain="GROSSE   STRASSE\n\nhier"), Mail(plain="große straße hier")
    assert counts(loud) == counts(calm)


def test_indices_are_the_same_on_every_machine() -> None:
    """A stored model is worth nothing if these ever change: then FEATURES_VERSION must."""
    assert index_of(Block.WORDS, "rechnung") == GOLDEN_WORD
    assert index_of(Block.LIST, "größe") == GOLDEN_LIST
    mail = Mail(subject="Größe", plain="😀 naïve")
    indices, values = lexical(mail, prepare(mail))
    assert zlib.crc32(indices.astype("<u4").tobytes()) == GOLDEN_INDICES
    assert zlib.crc32(values.astype("<f4").tobytes()) == GOLDEN_VALUES


@pytest.mark.parametrize(
    ("domain", "parent"),
    [
        ("example.org", "example.org"),
        ("news.mail.example.org", "example.org"),
        ("mail.example.co.uk", "example.co.uk"),
        ("example.de", "example.de"),
        ("localhost", "localhost"),
        ("", ""),
    ],
)
def test_the_parent_domain_is_its_registered_part(domain: str, parent: str) -> None:
    """By rule of thumb, with the common two-part suffixes."""
    assert parent_domain(domain) == parent


@settings(max_examples=200, deadline=None)
@given(mails)
def test_any_mail_has_ascending_indices_and_positive_counts(mail: Mail) -> None:
    """Whatever arrives gives features of the promised form, twice the same."""
    text = prepare(mail)
    indices, values = lexical(mail, text)
    assert indices.dtype == np.uint32
    assert values.dtype == np.float32
    assert indices.shape == values.shape
    assert np.all(indices[1:] > indices[:-1])
    assert np.all(values >= 1)
    assert all(index in indices for index, _ in named_features(mail, text))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 400),
    st.integers(0, 3_000),
    st.sampled_from([1.0, 5.0, 1e6]),
)
def test_features_survive_storage(seed: int, hidden: int, length: int, scale: float) -> None:
    """Bit for bit, with small counts and with any other value."""
    features = random_features(seed, hidden, length, scale)
    restored = Features.from_bytes(features.to_bytes())
    assert restored == features
    assert np.array_equal(restored.vector, features.vector)
    assert np.array_equal(restored.indices, features.indices)
    assert np.array_equal(restored.values, features.values)
    assert restored.vector.dtype == np.float16
    assert restored.indices.dtype == np.uint32
    assert restored.values.dtype == np.float32


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_storage_is_refused(data: st.DataObject) -> None:
    """A flipped bit, a cut end or an appended byte raises ValueError, never gives features."""
    stored = bytearray(random_features(1, 8, 20, 5).to_bytes())
    damage = data.draw(st.sampled_from(["flip", "cut", "append"]))
    if damage == "flip":
        position = data.draw(st.integers(0, 8 * len(stored) - 1))
        stored[position // 8] ^= 1 << position % 8
    elif damage == "cut":
        del stored[data.draw(st.integers(0, len(stored) - 1)) :]
    else:
        stored += data.draw(st.binary(min_size=1, max_size=9))
    with pytest.raises(ValueError, match="stored features"):
        Features.from_bytes(bytes(stored))


@given(st.binary(max_size=100))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    """Anything that was not written by to_bytes raises ValueError."""
    with pytest.raises(ValueError, match="stored features"):
        Features.from_bytes(data)


def test_small_counts_are_stored_in_few_bytes() -> None:
    """Thousands of mails are kept: three bytes for a feature, two for a dimension."""
    features = random_features(1, 384, 3_000, 5)
    assert len(features.to_bytes()) < 2 * 384 + 4 * 3_000
