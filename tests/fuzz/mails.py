"""Small odd messages of our own, each with what a person would read in it.

They stand for the kinds that fill the test suites of mail libraries, which may not be copied.
"""

from __future__ import annotations

# ruff: noqa: E501 - a message a line

ODD: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "no header": (b"\r\nJust text.\r\n", ("Just text.",)),
    "no body": (b"Subject: Only this\r\n", ("Only this",)),
    "nothing": (b"", ()),
    "bare carriage returns": (b"Subject: a\rb\r\n\r\none\rtwo\r", ("one", "two")),
    "mbox line": (b"From x Mon Jan 1\nSubject: Boxed\n\nHello\n", ("Boxed", "Hello")),
    "colon missing": (b"Subject Broken\r\nFrom: a@b.example\r\n\r\nText\r\n", ("Text",)),
    "latin-1 undeclared": ("Subject: Grüße\r\n\r\nSchöne Tage".encode("latin-1"),
                           ("Grüße", "Schöne Tage")),
    "utf-8 called ascii": ("Content-Type: text/plain; charset=us-ascii\r\n\r\nKöln".encode(),
                           ("Köln",)),
    "utf-16": (b"Content-Type: text/plain; charset=utf-16le\r\n\r\n" + "Übung".encode("utf-16-le"),
               ("Übung",)),
    "utf-7": (b"Content-Type: text/plain; charset=utf-7\r\n\r\nK+APY-ln", ("Köln",)),
    "utf-8 with a broken byte": (b"\r\n" + "Schöne Grüße aus Köln, für Jörg".encode() + b" \x9d.",
                                 ("Schöne Grüße aus Köln, für Jörg",)),
    "charset unknown": ("Content-Type: text/plain; charset=x-none\r\n\r\nTür".encode(), ("Tür",)),
    "charset that unpacks": (b"Content-Type: text/plain; charset=zlib\r\n\r\nHello", ("Hello",)),
    "iso-2022-jp": (b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n"
                    + "日本語の手紙".encode("iso2022_jp"), ("日本語の手紙",)),
    "base64 with rubbish": (b"Content-Transfer-Encoding: base64\r\n\r\nSGVs*bG8g\r\n!d29ybGQ",
                            ("Hello world",)),
    "base64 that is not": (b"Content-Transfer-Encoding: base64\r\n\r\n$$$ ### !!!\r\n", ()),
    "quoted-printable cut": (b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe=",
                             ("Grüße",)),
    "encoded word cut": (b"Subject: =?utf-8?b?R3LDvMOf?= =?utf-8?q?e\r\n\r\nText", ("Grüß", "Text")),
    "encoded word split": (b"Subject: =?utf-8?b?R3LD?= =?utf-8?b?vMOfZQ==?=\r\n\r\n", ("Grüße",)),
    "boundary missing": (b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\nText inside\r\n",
                         ("Text inside",)),
    "boundary never closed": (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nOpen end",
                              ("Open end",)),
    "boundary that occurs nowhere": (b"Content-Type: multipart/mixed; boundary=y\r\n\r\n--x\r\n\r\nStill text",
                                     ("Still text",)),
    "empty line forgotten": (b"Content-Type: multipart/mixed; boundary=x\r\nSubject: \r\n \r\n--x\r\n"
                             b"Content-Type: text/plain\r\n\r\nFound\r\n--x--\r\n", ("Found",)),
    "alternative": (b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\nPlain words"
                    b"\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>Rich</p>\r\n--x--\r\n",
                    ("Plain words",)),
    "html only": (b"Content-Type: text/html\r\n\r\n<title>no</title><p>Read <b>me</b>&nbsp;now",
                  ("Read me now",)),
    "hidden html": (b"Content-Type: text/html\r\n\r\n<div style='display: none'>secret</div><p>Shown",
                    ("Shown",)),
    "attached message": (b"Content-Type: message/rfc822\r\n\r\nSubject: Inner matter\r\n\r\nx",
                         ("Inner matter",)),
    "digest": (b"Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: First one\r\n"
               b"\r\na\r\n--x--\r\n", ("First one",)),
    "nul bytes": (b"Subject: N\x00U\x00L\r\n\r\nte\x00xt", ("text",)),
    "invisible characters": ("\r\nPay\u200bment due\u202e now".encode(), ("Payment due now",)),
    "calendar": (b"Content-Type: text/calendar\r\n\r\nSUMMARY:Team meeting\r\n", ("Team meeting",)),
    "attachment alone": (b"Subject: Scan\r\nContent-Type: application/pdf; name=bill.pdf\r\n\r\n%PDF",
                         ("Scan", "bill.pdf")),
    "name in rfc 2231": (b"Content-Type: application/pdf\r\nContent-Disposition: attachment; "
                         b"filename*=utf-8''B%C3%BCro.pdf\r\n\r\nx", ("Büro.pdf",)),
    "reply": (b"Subject: Re: AW: Plan\r\n\r\nI agree with your plan entirely.\r\n\r\n> Shall we?\r\n",
              ("Plan", "I agree with your plan entirely.")),
    "sender only a name": (b"From: Postmaster\r\n\r\nBounced", ("Postmaster", "Bounced")),
}  # fmt: skip
