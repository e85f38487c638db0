"""Bytes to text when the declared charset cannot be trusted."""

from __future__ import annotations

import codecs

# Python's codecs that are no charsets of mail, although a mail may name them: `zlib` is a
# decompression bomb, `punycode` needs quadratic time, `undefined` always raises.
_NO_CHARSETS = frozenset(
    {"base64", "bz2", "hex", "idna", "mbcs", "oem", "punycode", "quopri", "raw-unicode-escape"}
    | {"rot-13", "undefined", "unicode-escape", "uu", "zlib"}
)
# ASCII supersets by which senders say "I did not think about it"; their bytes are UTF-8 when
# they can be read as UTF-8, and Windows-1252 when they cannot (WHATWG Encoding, "latin1").
_CARELESS = frozenset({"ascii", "iso8859-1", "cp1252", "iso8859-15"})


_FEW = 5
"""So many characters of another than ASCII must fit for each that does not."""


def decode_text(data: bytes, charset: str) -> str:
    """Text of `data`, whose declared `charset` may be wrong, unknown or absent ("").

    A multi-byte character cut off at the end is left out: only the first bytes of a message
    are ever fetched. Never raises; bytes that fit nothing become U+FFFD.
    """
    declared = _known(charset)
    if declared is None or declared in _CARELESS:
        candidates = ["utf-8", "cp1252" if declared != "iso8859-15" else declared]
    else:
        candidates = [declared, "utf-8", "cp1252"]
    for name in candidates:
        text = _strict(data, name)
        if text is not None:
            return text
    # One broken byte must not turn a whole text into "Ã¤Ã¶Ã¼".
    for name in candidates:
        text = _mostly(data, name)
        if text is not None:
            return text
    return data.decode("cp1252", "replace")


def _known(charset: str) -> str | None:
    """Python's name of a charset, None when it has none or must not be used."""
    try:
        name = codecs.lookup(charset.strip().strip("\"'")).name
    except (LookupError, ValueError):
        return None
    return None if name in _NO_CHARSETS else name


def _mostly(data: bytes, name: str) -> str | None:
    """Text with U+FFFD for what does not fit, None unless most of what is not ASCII fits."""
    try:
        text = codecs.getincrementaldecoder(name)("replace").decode(data, final=False)
    except (ValueError, LookupError):
        return None
    unusual = len(text) - len(text.encode("ascii", "ignore"))
    return text if text.count("\ufffd") * _FEW <= unusual else None


def _strict(data: bytes, name: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(name)("strict").decode(data, final=False)
    except (ValueError, LookupError):
        return None
