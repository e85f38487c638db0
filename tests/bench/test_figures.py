"""The pictures of docs/how-it-works.md, drawn with a small encoder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.figures import draw
from bench.figures.measure import Numbers
from classifier.encoder import load_encoder
from daemon.demo.mails import load_samples
from tests.support.tiny_bert import tiny_bert_directory

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("how-it-works.md", "wie-es-funktioniert.md")
SVG = "{http://www.w3.org/2000/svg}"
LARGEST = 60_000
SHAPES = ("svg", "g", "rect", "line", "circle", "polyline", "text", "tspan")
CAPTIONS = """
true folder predicted folder confidence really right for mails mean of the last moved by itself
on top query s cls words characters sender recipients list meta meaning thread language de en
other name reply html attachment unk sep
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Numbers]:
    """Pictures by name, and numbers."""
    path = tmp_path_factory.mktemp("figures")
    directory = tiny_bert_directory(path / "tiny-bert")
    return draw(load_encoder(str(directory), path, "cpu", precision="float32"))


def _parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)  # noqa: S314  # our own picture


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.casefold()))


def test_every_picture_is_well_formed_and_small(drawn: tuple[dict[str, str], Numbers]) -> None:
    """Browsers refuse SVG that is no XML, and pages should load at once."""
    pictures, _ = drawn
    assert len(pictures) == 5
    for picture in pictures.values():
        assert _parsed(picture).tag == f"{SVG}svg"
        assert len(picture.encode()) < LARGEST


def test_pictures_only_draw(drawn: tuple[dict[str, str], Numbers]) -> None:
    """No script, no link, nothing that is fetched from elsewhere."""
    shapes = {SVG + tag for tag in SHAPES}
    for picture in drawn[0].values():
        assert {element.tag for element in _parsed(picture).iter()} <= shapes


def test_pictures_say_nothing_but_sample_mail(drawn: tuple[dict[str, str], Numbers]) -> None:
    """Every piece of text is a caption, or occurs in a mail or folder of the demo."""
    samples = " ".join(
        f"{mail.folder} {mail.sender} {mail.to} {mail.subject} {mail.text} {mail.html}".casefold()
        for mail in load_samples().all
    )
    for name, picture in drawn[0].items():
        said = _words(" ".join(_parsed(picture).itertext())) - _words(CAPTIONS)
        assert {word for word in said if word not in samples} == set(), name


def test_the_confusion_matrix_has_every_scored_mail(
    drawn: tuple[dict[str, str], Numbers],
) -> None:
    """Counts, accuracy and wrong moves of the numbers agree with one another."""
    numbers = drawn[1]
    counts, lived = numbers["confusion"]["counts"], numbers["replay"]
    right = sum(row[at] for at, row in enumerate(counts))
    assert sum(map(sum, counts)) == lived["scored"]
    assert right == lived["scored"] - lived["manual_moves_forced"]
    assert len(numbers["confusion"]["wrong_moves"]) == lived["wrong_moves"]


def test_the_reasons_add_up_to_what_they_explain(drawn: tuple[dict[str, str], Numbers]) -> None:
    """The bars of the decision, kind by kind, say which of the two folders is ahead."""
    story = drawn[1]["story"]
    assert story["for"] == story["ranked"][0][0]
    assert sum(story["blocks"].values()) > 0


def test_numbers_are_plain_json(drawn: tuple[dict[str, str], Numbers]) -> None:
    """They are kept beside the pictures, without any path of the machine that made them."""
    text = json.dumps(drawn[1], ensure_ascii=False)
    assert json.loads(text)["replay"]["messages"] == len(load_samples().filed)
    assert str(Path.home()) not in text


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_show_every_picture_and_link_only_what_is_there(page: str) -> None:
    """A renamed picture or decision record does not leave a dead link behind."""
    text = (DOCS / page).read_text(encoding="utf-8")
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)}
    kept = {f"figures/{path.name}" for path in (DOCS / "figures").glob("*.svg")}
    assert kept <= linked
    assert [target for target in linked if not (DOCS / target).exists()] == []
