"""What a mail tells besides its meaning: hashed counts in named blocks, and their storage.

Each feature is a string ("rechnung bitte", "@example.org", "attachment pdf"), unique within its
block, that both names the feature for people and is hashed into its index. The index is 32 bits:
the upper three are the block, the lower 29 the hash (CRC-32, the same on every machine and in
every process). With 100,000 features in a block about nine pairs collide.

Values are raw counts. Weighing them (idf, norms) is the business of the trainer's feature space.
"""

from __future__ import annotations

import enum
import itertools
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.language import guess_language
from classifier.mail import Address, Mail
from classifier.text import PreparedText, clean_characters

FEATURES_VERSION = "features-1"

HASH_BITS = 29
_HASH_MASK = (1 << HASH_BITS) - 1

MAX_CHARACTERS = 3_000
"""Characters of subject, body and context that character n-grams are taken from."""
MAX_RECIPIENTS = 30
_MAX_WORDS = 2_000
_MAX_WORD = 40
_MAX_NAME = 120

_WORD = re.compile(r"\w+")
_LONG_NUMBER = 5
_LIST_ID = re.compile(r"<([^<>]*)>")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_ORGANISATIONAL = frozenset({"ac", "co", "com", "edu", "gov", "gv", "ne", "net", "or", "org"})


class Block(enum.IntEnum):
    """Kinds of features; the value is the upper three bits of an index."""

    WORDS = 0
    CHARACTERS = 1
    SENDER = 2
    RECIPIENTS = 3
    LIST = 4
    META = 5


Indices = NDArray[np.uint32]
Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """One mail as the head sees it.

    `vector` is the encoder's mean vector, float16 [hidden], of unit length and not centred.
    `indices`, uint32 [k], are strictly ascending; `values`, float32 [k], are raw counts.
    """

    vector: NDArray[np.float16]
    indices: Indices
    values: Values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Features):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return zlib.crc32(self.to_bytes())

    def to_bytes(self) -> bytes:
        """A compact form of a few kB for storage; see `_pack`."""
        return _pack(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Features:
        """The inverse of `to_bytes`. Raises ValueError on anything else, damage included."""
        return _unpack(data)


def block_of(index: int) -> Block:
    """The block that `index` belongs to. Raises ValueError when there is none."""
    return Block(index >> HASH_BITS)


def of_text(indices: Indices) -> NDArray[np.bool_]:
    """Whether each feature comes from the text: a word or a character n-gram."""
    return np.asarray(indices < ((Block.CHARACTERS + 1) << HASH_BITS))


def index_of(block: Block, name: str) -> int:
    """The index of the feature `name` in `block`."""
    return (block << HASH_BITS) | (zlib.crc32(name.encode("utf-8", "replace")) & _HASH_MASK)


def lexical(mail: Mail, text: PreparedText) -> tuple[Indices, Values]:
    """The counts of all blocks: indices strictly ascending [k], and values [k].

    `text` must be `prepare(mail)`. The same mail gives the same result everywhere.
    """
    counts: Counter[int] = Counter()
    for block, names in _names(mail, text):
        for name, count in Counter(names).items():
            counts[index_of(block, name)] += count
    named = np.fromiter(counts.keys(), np.uint32, len(counts))
    amounts = np.fromiter(counts.values(), np.float32, len(counts))
    order = np.argsort(named)
    characters, character_counts = _character_ngrams(
        f"{text.subject} {text.body[:MAX_CHARACTERS]} {text.context}"
    )
    # Blocks lie one after the other, so the two ascending runs only have to be interleaved.
    split = int(np.searchsorted(named[order], Block.CHARACTERS << HASH_BITS))
    head, tail = order[:split], order[split:]
    indices = np.concatenate([named[head], characters, named[tail]])
    values = np.concatenate([amounts[head], character_counts, amounts[tail]])
    return indices, values


def named_features(mail: Mail, text: PreparedText) -> Iterator[tuple[int, str]]:
    """Index and human-readable name of each feature of `mail`, without character n-grams."""
    for block, names in _names(mail, text):
        for name in dict.fromkeys(names):
            yield index_of(block, name), name


def _names(mail: Mail, text: PreparedText) -> Iterator[tuple[Block, Iterable[str]]]:
    body = _tokens(text.body)
    yield Block.WORDS, _word_ngrams(mail, _tokens(text.subject), body, _tokens(text.context))
    yield Block.SENDER, _sender(mail.sender)
    yield Block.RECIPIENTS, _recipients(mail.recipients)
    yield Block.LIST, _list(mail.list_id)
    yield Block.META, _meta(mail, body or _tokens(text.subject))


def _tokens(text: str) -> list[str]:
    """Case-folded words; long numbers (orders, telephones) as their number of digits."""
    words = _WORD.findall(text.casefold())[:_MAX_WORDS]
    return [
        f"#{len(word)}" if len(word) >= _LONG_NUMBER and word.isdigit() else word[:_MAX_WORD]
        for word in words
    ]


def _word_ngrams(mail: Mail, *texts: list[str]) -> Iterator[str]:
    """Words and pairs of neighbours within each of `texts`, and words of attachments' names."""
    attachments = _tokens(" ".join(_name(name) for name in mail.attachments[:MAX_RECIPIENTS]))
    yield from attachments
    for tokens in texts:
        yield from tokens
        yield from map(" ".join, itertools.pairwise(tokens))


def _name(text: str) -> str:
    return clean_characters(text[:_MAX_NAME]).strip()


def _sender(sender: Address) -> Iterator[str]:
    yield from _address(sender)
    for word in _tokens(_name(sender.name)):
        yield f"name {word}"


def _recipients(recipients: tuple[Address, ...]) -> Iterator[str]:
    for recipient in recipients[:MAX_RECIPIENTS]:
        yield from _address(recipient)


def _address(address: Address) -> Iterator[str]:
    """The address, its domain as "@mail.example.org", its owner as "*.example.org"."""
    whole = sender_name(address.address)
    if not whole:
        return
    yield whole
    _, at, domain = whole.rpartition("@")
    if at and domain:
        yield f"@{domain}"
        yield f"*.{parent_domain(domain)}"


def sender_name(address: str) -> str:
    """The name under which an address is a feature of the mails that come from it."""
    return _name(address).lower().strip("<>")


def parent_domain(domain: str) -> str:
    """The part of `domain` that somebody registered, by rule of thumb ("example.co.uk").

    The public suffix list would know better, but it is large and has to be kept up to date;
    a wrong guess here only makes one feature coarser.
    """
    labels = domain.strip(".").split(".")
    long = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _ORGANISATIONAL
    return ".".join(labels[-3:] if long else labels[-2:])


def _list(list_id: str) -> Iterator[str]:
    """The List-Id (RFC 2919) without its description, and the domain that runs the list."""
    text = clean_characters(list_id[:1_000])
    bracketed = _LIST_ID.search(text)
    identity = (bracketed[1] if bracketed else text).strip().lower()[:_MAX_NAME]
    if not identity:
        return
    yield identity
    _, dot, domain = identity.partition(".")
    if dot and domain:
        yield f"@{domain}"


def _meta(mail: Mail, tokens: list[str]) -> Iterator[str]:
    yield f"language {guess_language(tokens)}"
    for name in dict.fromkeys(_extension(name) for name in mail.attachments[:MAX_RECIPIENTS]):
        yield f"attachment {name}"
    if mail.html:
        yield "html"
    if mail.references:
        yield "reply"
    for header, value in mail.automation[:MAX_RECIPIENTS]:
        yield _name(header).lower()
        # Only the leading word: "bulk", "auto-replied", "Thunderbird", never a URL or an id.
        word = _WORD.match(_name(value).lower())
        if word and header != "list-unsubscribe":
            yield f"{_name(header).lower()} {word[0][:_MAX_WORD]}"


def _extension(file_name: str) -> str:
    _, dot, extension = _name(file_name[-_MAX_NAME:]).lower().rpartition(".")
    return extension if dot and _EXTENSION.fullmatch(extension) else "other"


def _character_ngrams(text: str) -> tuple[Indices, Values]:
    """Hashed 3- to 5-grams of `text`, case-folded, blanks collapsed: ascending, with counts.

    A polynomial rolling hash over code points, mixed at the end (MurmurHash3's finaliser), all
    in 64 bits that wrap around.
    """
    collapsed = f" {' '.join(text[:MAX_CHARACTERS].casefold().split())} "
    encoded = collapsed.encode("utf-32-le", "replace")
    codes = np.frombuffer(encoded, dtype="<u4").astype(np.uint64)
    base = np.uint64(0x9E3779B97F4A7C15)
    rolling = codes
    grams = []
    for length in range(2, 6):
        rolling = rolling[:-1] * base + codes[length - 1 :]
        if length > 2:
            grams.append(_mixed(rolling ^ np.uint64(length)))
    hashes = np.concatenate(grams) >> np.uint64(64 - HASH_BITS)
    unique, counts = np.unique(hashes.astype(np.uint32), return_counts=True)
    return unique + np.uint32(Block.CHARACTERS << HASH_BITS), counts.astype(np.float32)


def _mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)


# Storage: this header, then the deflated payload: the vector (little-endian float16), the
# differences of the indices (uint32, first all lowest bytes, then all second bytes and so on,
# which deflates better), and the counts (one byte each, or float32 if one does not fit).
_FORMAT = 1
_HEADER = struct.Struct("<BBHIII")  # format, bytes per value, hidden, k, payload, CRC-32
HEADER_BYTES = _HEADER.size
"""So many first bytes of stored features tell one content from another."""
_MAX_STORED = 1 << 20


def _pack(features: Features) -> bytes:
    values = features.values.astype("<f4")
    small = values.astype(np.uint8) if _fits_bytes(values) else None
    gaps = np.diff(features.indices.astype(np.int64), prepend=np.int64(-1)).astype("<u4")
    payload = b"".join(
        [
            features.vector.astype("<f2").tobytes(),
            gaps.view(np.uint8).reshape(-1, 4).T.tobytes(),
            values.tobytes() if small is None else small.tobytes(),
        ]
    )
    width = 4 if small is None else 1
    packed = zlib.compress(payload, 6)
    counts = (_FORMAT, width, features.vector.size, gaps.size, len(packed))
    checksum = zlib.crc32(packed, zlib.crc32(_HEADER.pack(*counts, 0)))
    return _HEADER.pack(*counts, checksum) + packed


def _fits_bytes(values: NDArray[np.float32]) -> bool:
    return bool(np.all((values >= 0) & (values <= 255) & (np.floor(values) == values)))


def _unpack(data: bytes) -> Features:
    if len(data) < _HEADER.size:
        raise ValueError("stored features are cut off")
    *counts, checksum = _HEADER.unpack_from(data)
    form, width, hidden, length, packed_size = counts
    packed = data[_HEADER.size :]
    if form != _FORMAT or width not in (1, 4) or length > _MAX_STORED:
        raise ValueError(f"stored features have an unknown form: {form}, {width}, {length}")
    if len(packed) != packed_size:
        raise ValueError("stored features have the wrong length")
    if zlib.crc32(packed, zlib.crc32(_HEADER.pack(*counts, 0))) != checksum:
        raise ValueError("stored features are damaged")
    payload = _inflate(packed, 2 * hidden + (4 + width) * length)
    vector = np.frombuffer(payload, "<f2", hidden).astype(np.float16)
    planes = np.frombuffer(payload, np.uint8, 4 * length, 2 * hidden).reshape(4, length)
    gaps = np.ascontiguousarray(planes.T).view("<u4").reshape(length)
    values = np.frombuffer(
        payload, "<f4" if width == 4 else np.uint8, length, len(payload) - width * length
    )
    return Features(vector, _from_gaps(gaps), values.astype(np.float32))


def _inflate(packed: bytes, size: int) -> bytes:
    """The inflated payload, which must have exactly `size` bytes."""
    inflater = zlib.decompressobj()
    try:
        payload = inflater.decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError("stored features cannot be inflated") from error
    if len(payload) != size or not inflater.eof or inflater.unused_data:
        raise ValueError("stored features have the wrong length")
    return payload


def _from_gaps(gaps: NDArray[np.uint32]) -> Indices:
    indices = np.cumsum(gaps.astype(np.int64)) - 1
    if gaps.size and (int(gaps.min()) == 0 or int(indices[-1]) > 0xFFFFFFFF):
        raise ValueError("stored features have indices out of order")
    return indices.astype(np.uint32)
