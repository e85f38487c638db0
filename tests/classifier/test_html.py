"""HTML to text: what a reader sees, in lines, at a bounded cost."""

from __future__ import annotations

import pytest

from classifier.html import MAX_TAGS, html_to_text


@pytest.mark.parametrize(
    "hidden",
    [
        "<style>p { color: red }</style>",
        "<script>var words = 1;</script>",
        '<div style="display: none">preheader</div>',
        '<span style="max-height:0px; overflow:hidden">preheader</span>',
        '<div style="mso-hide:all !important;">preheader</div>',
        "<p hidden>preheader</p>",
        "<!-- comment -->",
        "<title>Newsletter</title>",
    ],
)
def test_what_nobody_sees_is_left_out(hidden: str) -> None:
    """Scripts, styles, comments and hidden preheaders are not words of the mail."""
    assert html_to_text(f"<html><body>{hidden}<p>Hello</p></body></html>") == "Hello"


def test_layout_tables_with_font_size_zero_stay_visible() -> None:
    """Newsletters put font-size:0 on tables and set it back in the cells."""
    html = '<table style="font-size:0"><tr><td style="font-size:14px">Offer</td></tr></table>'
    assert html_to_text(html) == "Offer"


def test_blocks_end_lines_and_cells_are_separated_by_blanks() -> None:
    """Words of different cells and blocks never run together, words of one block stay whole."""
    html = (
        "<div>one</div>two<br>three<table><tr><td>four</td><td>five</td></tr></table>"
        "<p>s<b>i</b>x</p>"
    )
    assert html_to_text(html).split("\n") == ["one", "two", "three", "four five", "six"]


def test_a_link_keeps_its_text_and_loses_its_address() -> None:
    """Tracking addresses say nothing, the words of the link do."""
    html = '<a href="https://t.example.org/?id=1">Read <i>more</i></a> now'
    assert html_to_text(html) == "Read more now"


@pytest.mark.parametrize(
    "quote",
    [
        "<blockquote>old</blockquote>",
        '<blockquote type="cite"><p>old</p></blockquote>',
        '<div class="x gmail_quote">old</div>',
        '<div class="moz-cite-prefix">Am 1.1. schrieb A:</div>',
        '<div><div id="appendonsend"></div><p>old</p></div><p>older</p>',
        '<div id="divRplyFwdMsg">From: A</div><div>old</div>',
    ],
)
def test_quoted_mail_is_left_out_unless_asked_for(quote: str) -> None:
    """The wrappers that mail programs put around earlier mail are known."""
    html = f"<p>new</p>{quote}"
    assert html_to_text(html) == "new"
    assert len(html_to_text(html, keep_quotes=True).split()) > 1


def test_entities_and_blanks_become_plain_characters() -> None:
    """Character references are decoded and runs of blanks collapse."""
    assert html_to_text("<p>Gr&uuml;&szlig;e&nbsp;&amp;\n   Dank</p>") == "Grüße & Dank"


@pytest.mark.parametrize("html", ["", "\x00", "\ud800<p>x", "<", "<p", "</", "<!--", "<![CDATA["])
def test_broken_html_never_raises(html: str) -> None:
    """Whatever arrives gives a text without lone surrogates."""
    html_to_text(html).encode("utf-8")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 400_000,
        "<svg>" + "<td>" * 10_000 + "</x>" * 200_000,
        "<p>" + "".join(f"<b c={i}>" for i in range(20_000)) + "</p>" + "<p>x</p>" * 20_000,
        "<p>" + "".join(f'<a c="<{i}">' for i in range(20_000)) + "</p>" + "<p>x</p>" * 20_000,
        "<p " + " ".join(f"a{i}" for i in range(300_000)),
        "<" * 1_000_000,
        "<a" * 1_000_000,
        "<table><tr><td>" * 200_000,
        "&amp" * 500_000,
    ],
    ids=["deep", "foreign", "formatting", "links", "attributes", "<", "<a", "tables", "entities"],
)
def test_hostile_html_cannot_exhaust_the_daemon(html: str) -> None:
    """Each of these takes minutes or tens of gigabytes where the limits are missing."""
    assert len(html_to_text(html)) <= len(html)


def test_formatting_elements_are_not_cloned_into_later_paragraphs() -> None:
    """The parser would repeat 300 open <b> in each of 300 paragraphs; nothing may multiply."""
    html = "<p>" + "".join(f"<b c={i}>" for i in range(300)) + "</p>" + "<p>word</p>" * 300
    assert html_to_text(html).split() == ["word"] * 300


def test_text_after_the_last_tag_that_is_looked_at_is_cut() -> None:
    """The cut is made at a tag and keeps everything before it."""
    text = html_to_text("".join(f"<i>{i} " for i in range(MAX_TAGS + 5)))
    assert text.split()[:2] == ["0", "1"]
    assert len(text.split()) == MAX_TAGS - 1
