"""Words that must not turn up anywhere, in whatever encoding, and a search for them."""

from __future__ import annotations

import base64
import json
import quopri
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path

from imapclient.imap_utf7 import encode as encode_utf7


def disguises(word: str) -> set[bytes]:
    """The word in the encodings that mail, IMAP, JSON, URLs and logs know, in lower case.

    Base64 at each of the three places in which a text can begin within its groups of three
    bytes, without the ends that depend on what stands beside it.
    """
    found: set[bytes] = set()
    for text in {word, word.lower(), word.upper(), word.casefold()}:
        plain = text.encode()
        for data in (plain, text.encode("utf-16-le"), text.encode("latin-1", "replace")):
            found |= {data, data.hex().encode(), quopri.encodestring(data)}
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + plain)
            found.add(encoded[4 if offset else 0 : -4])
        found |= {
            encode_utf7(text),
            json.dumps(text)[1:-1].encode(),
            repr(plain)[2:-1].encode(),
            urllib.parse.quote(text).encode(),
        }
    return {each.lower() for each in found if len(each) >= 5}


class Canaries:
    """Named words; `found_in` names those that a text or a file holds."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = dict(words)
        self._disguises = {name: disguises(word) for name, word in words.items()}

    def found_in(self, content: bytes | str) -> set[str]:
        """The names of the words that turn up."""
        data = content.encode() if isinstance(content, str) else content
        lower = data.lower()
        return {
            name for name, forms in self._disguises.items() if any(form in lower for form in forms)
        }

    def found_below(self, directory: Path) -> dict[str, set[str]]:
        """By file below the directory (names of files count as content): what turns up."""
        return _without_empty(
            (
                path.relative_to(directory).as_posix(),
                self.found_in(path.name) | (self.found_in(path.read_bytes())),
            )
            for path in directory.rglob("*")
            if path.is_file()
        )


def _without_empty(items: Iterable[tuple[str, set[str]]]) -> dict[str, set[str]]:
    return {name: found for name, found in items if found}
