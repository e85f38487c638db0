"""Accounts that share a model: what is measured and checked is what the model learns from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from classifier.labels import LEAVE
from daemon.use_cases.application import Application
from daemon.use_cases.compare import compare_files
from daemon.use_cases.examples import CheckedAccount, check_examples, list_examples
from daemon.use_cases.learn import learn
from daemon.use_cases.replay import costs_of_account, examples_of_account
from daemon.use_cases.shares import told_whose, whose_mail
from tests.support.fake_mailbox import FakeServer
from tests.use_cases.apps import closing, filled_server, make_app, topical


@pytest.fixture
def servers() -> dict[str, FakeServer]:
    """`info` has mail enough; `support` has three mails in folders spelt as Courier does, one of
    travel among its bills and one of the club, for which it has no folder."""
    support = FakeServer()
    support.create("INBOX.Rechnungen")
    support.create("INBOX.Reisen")
    support.append("INBOX.Reisen", topical("Reisen", 80))
    support.append("INBOX.Rechnungen", topical("Reisen", 81))
    support.append("INBOX.Reisen", topical("Verein", 82))
    return {"info": filled_server(12), "support": support}


@pytest.fixture
def app(tmp_path: Path, encoder: Path, servers: dict[str, FakeServer]) -> Iterator[Application]:
    """Both have learned."""
    with closing(
        make_app(
            tmp_path / "state",
            encoder,
            servers,
            account={"shared_model": "team"},
            model={"costs": {"Reisen -> Rechnungen": 5.0}},
        )
    ) as found:
        for name in servers:
            learn(found, name)
        yield found


def better(checked: CheckedAccount) -> set[tuple[str, str]]:
    """The folders of doubtful mails, with those where they belong by the rest of the mail."""
    return {(each.folder, each.better) for each in checked.examples if each.better is not None}


def test_examples_are_judged_among_those_of_all(app: Application) -> None:
    """Three mails alone tell nothing. Only the account's own are listed, by its own names."""
    found = check_examples(app, "support")

    assert found.mail_of == ("info", "support")
    assert (found.judged, found.not_judged) == (3, 0)
    known = {each.message for each in list_examples(app, "support")}
    assert {each.message for each in found.examples} == known
    assert better(found) == {
        ("INBOX.Rechnungen", "INBOX.Reisen"),
        ("INBOX.Reisen", "Verein (not in this account)"),
    }
    sizes = {folder.label: folder.examples for folder in found.folders}
    assert sizes == {"INBOX.Rechnungen": 13, "INBOX.Reisen": 14}


def test_the_other_account_is_judged_with_the_same_examples(app: Application) -> None:
    """Its folders have its own names, and none of its mails is in doubt."""
    found = check_examples(app, "info")

    assert (found.judged, better(found)) == (36, set())
    sizes = {folder.label: folder.examples for folder in found.folders}
    assert sizes == {"Rechnungen": 13, "Reisen": 14, "Verein": 12}


def test_a_mail_that_both_filed_alike_is_judged_in_both(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """It is learned from once; whoever asks sees his own."""
    servers["support"].append("INBOX.Reisen", topical("Reisen", 5))
    learn(app, "support")

    assert check_examples(app, "support").judged == 4
    assert check_examples(app, "info").judged == 36


def test_a_copy_in_another_account_is_named_with_whose_it_is(
    app: Application, servers: dict[str, FakeServer]
) -> None:
    """Its number alone would mean a mail that this account does not have."""
    copied = topical("Reisen", 5).replace(b"1 Mar 2026 10:05", b"1 Mar 2026 11:05")
    servers["support"].append("INBOX.Reisen", copied)
    learn(app, "support")
    told = [
        reason.sentence
        for each in check_examples(app, "info").examples
        for reason in each.reasons
        if each.folder == "Reisen"
    ]
    assert any(" of support" in sentence for sentence in told), told


def test_a_replay_takes_the_mail_of_all(app: Application) -> None:
    """In time order, under the account's own names, with costs by the shared labels."""
    examples, names = examples_of_account(app, "support")

    assert len(examples) == 39
    assert examples == sorted(examples, key=lambda one: one.date)
    assert names == {
        "Rechnungen": "INBOX.Rechnungen",
        "Reisen": "INBOX.Reisen",
        "Verein": "Verein",
        LEAVE: "INBOX",
    }
    assert costs_of_account(app, "support") == costs_of_account(app, "info")
    assert costs_of_account(app, "support").to_json()


def test_settings_are_compared_on_the_mail_of_all_and_it_is_said(
    app: Application, tmp_path: Path
) -> None:
    """As the shared model would be trained with them."""
    files = tmp_path / "a.toml", tmp_path / "b.toml"
    files[0].write_text("")
    files[1].write_text("[model]\nridge_lambda = 0.5\n")
    found = compare_files(app, "support", files)

    assert found.mail_of == whose_mail(app, "info") == ("info", "support")
    assert found.result.mails + found.result.train > 20
    assert told_whose(found.mail_of) == (
        "By the mail of all accounts that share the model: info, support."
    )


def test_an_account_of_its_own_is_looked_at_alone(tmp_path: Path, encoder: Path) -> None:
    """Nothing is said of others."""
    servers = {"info": filled_server(6), "other": filled_server(6)}
    with closing(make_app(tmp_path / "state", encoder, servers)) as app:
        for name in servers:
            learn(app, name)
        assert len(examples_of_account(app, "info")[0]) == 18
        assert check_examples(app, "info").mail_of == ("info",)
        assert told_whose(("info",)) is None
