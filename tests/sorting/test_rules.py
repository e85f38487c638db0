"""Rules before the model: first that fits, once per mail, by the same safe way as every move."""

from __future__ import annotations

import pytest

from daemon.config.settings import Mode
from daemon.errors import MailboxUnreachable
from daemon.mail.letterhead import read_letterhead
from daemon.patterns import compile_pattern
from daemon.sorting.rules import CONTACT, Condition, Rule, RuleBook, describe_rule
from daemon.store.tables import Action, ArrivedBy, Decision
from tests.sorting.world import Killed, World


def rule(number: int, folder: str | None, **conditions: str) -> Rule:
    """A rule; the condition `header_X` is that on the header field X."""
    return Rule(
        number,
        tuple(
            Condition(name.replace("header_", "header "), compile_pattern(pattern))
            for name, pattern in conditions.items()
        ),
        folder,
    )


def book(*rules: Rule) -> RuleBook:
    """Rules without contacts."""
    return RuleBook(rules)


HEADER = (
    b"From: =?utf-8?q?B=C3=A4nk?= <Info@Mail.Bank.example>\r\n"
    b"To: max@example.org\r\nSubject: =?utf-8?q?=C3=9Cberweisung?= 17\r\n"
    b"List-Id: Neues <neues.bank.example>\r\nX-Tag: eins\r\nX-Tag: zwei\r\n"
    b"Received: by\r\n\tfolded.example\r\n\r\nText\r\n"
)


@pytest.mark.parametrize(
    ("conditions", "fits"),
    [
        ({"sender": "info@*.example"}, True),
        ({"sender": "*bänk*"}, False),
        ({"domain": "bank.example"}, True),
        ({"domain": "mail.bank.example"}, True),
        ({"domain": "ank.example"}, False),
        ({"domain": "/^bank/"}, False),
        ({"domain": "/^mail\\.bank/"}, True),
        ({"list": "neues.*"}, True),
        ({"subject": "überweisung *"}, True),
        ({"subject": "Überweisung"}, False),
        ({"header_X-Tag": "zwei"}, True),
        ({"header_x-tag": "drei"}, False),
        ({"header_X-Spam": "*"}, False),
        ({"header_From": "*Bänk*"}, True),
        ({"header_Received": "by folded.example"}, True),
        ({"sender": "info@*", "subject": "*17"}, True),
        ({"sender": "info@*", "subject": "*18"}, False),
    ],
)
def test_all_conditions_must_hold(conditions: dict[str, str], fits: bool) -> None:
    """On the decoded header, whatever the capitals."""
    assert rule(1, "A", **conditions).matches(read_letterhead(HEADER)) is fits


def test_a_mail_without_a_header_fits_nothing() -> None:
    """What is lacking is no empty text."""
    head = read_letterhead(b"\r\nText")
    for name in ("sender", "domain", "list", "subject", "header_From"):
        assert not rule(1, "A", **{name: "*"}).matches(head)


def only(world: World) -> Decision:
    """The one decision that there is."""
    [decision] = world.decisions()
    return decision


def test_a_rule_comes_before_the_model(any_world: World) -> None:
    """The model is sure of another folder and is not asked; the decision names the rule, without
    its pattern."""
    any_world.rules = book(rule(1, "Reisen", subject="Rechnungen *"))
    any_world.deliver("Rechnungen 1", "Bewerbungen 2")
    before = any_world.mails()
    assert any_world.cycle().moved == 2
    assert any_world.where("Rechnungen 1") == ["Reisen"]
    assert any_world.where("Bewerbungen 2") == ["Bewerbungen"]
    assert any_world.judge.seen == ["Bewerbungen 2"]
    ruled, judged = any_world.decisions()
    assert (ruled.action, ruled.probability, ruled.model_version) == (Action.MOVED, None, None)
    assert ruled.rule is not None
    assert ruled.rule.startswith("1: subject #")
    assert ruled.reason == "Your rule 1 (subject) files it in Reisen."
    assert judged.rule is None
    assert any_world.mails() == before
    any_world.believes()


def test_the_first_rule_that_fits_decides(world: World) -> None:
    """Also when it only says that the mail stays."""
    world.rules = book(
        rule(1, None, subject="*1"),
        rule(2, "Reisen", subject="Rechnungen *"),
        rule(3, "Bewerbungen", subject="*"),
    )
    world.deliver("Rechnungen 1", "Rechnungen 2", "Hallo 3")
    world.cycle()
    assert [d.rule[0] for d in world.decisions() if d.rule] == ["1", "2", "3"]
    assert world.where("Rechnungen 1") == ["INBOX"]
    assert world.where("Rechnungen 2") == ["Reisen"]
    assert world.where("Hallo 3") == ["Bewerbungen"]


@pytest.mark.parametrize(
    ("mode", "action"), [(Mode.OBSERVE, Action.OBSERVED), (Mode.SUGGEST, Action.SUGGESTED)]
)
def test_the_mode_holds_for_rules_too(world: World, mode: Mode, action: Action) -> None:
    """They record what they would do."""
    world.mode = mode
    world.rules = book(rule(1, "Reisen", sender="erika@*"))
    world.deliver("Hallo 1")
    assert world.cycle().by_action == {action: 1}
    assert (world.where("Hallo 1"), world.moves()) == (["INBOX"], [])
    folder = only(world).folder
    assert folder is not None
    assert folder.name == "Reisen"


def test_a_folder_that_does_not_exist_keeps_the_mail(world: World) -> None:
    """In the inbox, and the decision says so; the model does not decide instead."""
    world.rules = book(rule(1, "Nirgends", sender="erika@*"))
    world.deliver("Rechnungen 1")
    assert world.cycle().by_action == {Action.LEFT: 1}
    assert world.where("Rechnungen 1") == ["INBOX"]
    assert "no such folder" in only(world).reason


def test_a_rule_may_name_a_neutral_folder(world: World) -> None:
    """Junk is one; putting back what came there is the last word."""
    world.rules = book(rule(1, "Junk", sender="erika@*"))
    world.deliver("Rechnungen 1")
    assert world.cycle().moved == 1
    assert world.where("Rechnungen 1") == ["Junk"]
    world.move("Rechnungen 1", "INBOX")
    assert world.cycle().seen == 0
    assert world.where("Rechnungen 1") == ["INBOX"]


def test_a_rule_never_moves_into_the_trash(world: World) -> None:
    """What the server empties is lost; no move of inboxd may end there."""
    world.rules = book(rule(1, "Trash", sender="erika@*"))
    world.deliver("Rechnungen 1")
    assert world.cycle().by_action == {Action.LEFT: 1}
    assert world.where("Rechnungen 1") == ["INBOX"]
    assert "deletes no mail" in only(world).reason


def test_what_a_person_put_back_is_never_moved_again_by_a_rule(any_world: World) -> None:
    """Not by the same rule, not by a new one, not after the inbox was renumbered."""
    any_world.rules = book(rule(1, "Reisen", sender="erika@*"))
    any_world.deliver("Hallo 1")
    any_world.cycle()
    any_world.move("Hallo 1", "INBOX")
    any_world.rules = book(rule(1, "Bewerbungen", sender="erika@*"))
    assert any_world.cycle().seen == 0
    any_world.renumber("INBOX")
    any_world.cycle()
    assert any_world.cycle().seen == 0
    assert any_world.where("Hallo 1") == ["INBOX"]
    assert any_world.corrections() == [("put_back", "Reisen", "INBOX")]


def test_what_was_decided_before_a_rule_was_written_stays(world: World) -> None:
    """A mail is decided once; a rule is for later mail."""
    world.deliver("Hallo 1")
    world.cycle()
    world.rules = book(rule(1, "Reisen", sender="erika@*"))
    assert world.cycle().seen == 0
    assert world.where("Hallo 1") == ["INBOX"]


def test_a_rules_move_is_no_example_until_a_person_moves_the_mail(world: World) -> None:
    """Her own word about it is one."""
    world.rules = book(rule(1, "Reisen", sender="erika@*"))
    world.deliver("Hallo 1")
    world.cycle()
    [placement] = world.placements("Reisen")
    assert placement.arrived_by is ArrivedBy.INBOXD
    assert (world.examples(), world.corrections()) == ([], [])
    world.move("Hallo 1", "Bewerbungen")
    world.notice()
    assert world.examples() == [("Bewerbungen", "moved")]


def test_a_rules_move_can_be_undone(any_world: World) -> None:
    """As every move, and then the mail stays."""
    any_world.rules = book(rule(1, "Reisen", sender="erika@*"))
    any_world.deliver("Hallo 1")
    before = any_world.mails()
    any_world.cycle()
    [outcome] = any_world.undo(last=1)
    assert outcome.undone
    assert any_world.cycle().seen == 0
    assert any_world.where("Hallo 1") == ["INBOX"]
    assert any_world.mails() == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_mid_move_loses_nothing(any_world: World, when: str) -> None:
    """The journal settles a rule's moves as the model's; each mail arrives once."""
    any_world.rules = book(rule(1, "Reisen", sender="erika@*"))
    any_world.deliver("Hallo 1", "Hallo 2")
    before = any_world.mails()
    any_world.notice()
    method = "move" if any_world.server.connect().capabilities.move else "copy"
    with pytest.raises(Killed):
        any_world.sort(any_world.dying(method, when))
    any_world.cycle()
    any_world.cycle()
    assert (any_world.where("Hallo 1"), any_world.where("Hallo 2")) == (["Reisen"], ["Reisen"])
    assert any_world.mails() == before


def test_a_mail_whose_features_are_cached_is_read_for_the_rules(world: World) -> None:
    """Here the connection breaks after the mail was encoded; then a rule is written."""
    world.deliver("Rechnungen 1")
    world.notice()
    world.server.fail("move", when="before")
    with pytest.raises(MailboxUnreachable):
        world.sort()
    world.rules = book(rule(1, "Reisen", sender="erika@*"))
    world.cycle()
    assert world.where("Rechnungen 1") == ["Reisen"]


def test_a_mail_that_vanishes_before_the_rules_read_it_is_left_out(world: World) -> None:
    """Deleted between the observation and the fetch."""
    world.rules = book(rule(1, "Reisen", subject="*1"))
    world.deliver("Hallo 1", "Rechnungen 2")
    world.notice()
    world.server.delete("INBOX", [1])
    assert world.sort().seen == 1


def test_mail_from_contacts_stays_unless_a_rule_says_where_it_goes(world: World) -> None:
    """Rules are more particular than keep_contacts."""
    world.rules = RuleBook(
        (rule(1, "Reisen", subject="*1"),), is_contact=lambda who: who == "erika@example.org"
    )
    world.deliver("Rechnungen 1", "Rechnungen 2")
    world.cycle()
    assert world.where("Rechnungen 1") == ["Reisen"]
    assert world.where("Rechnungen 2") == ["INBOX"]
    assert [d.rule for d in world.decisions()][1] == CONTACT
    assert world.decisions()[1].action is Action.LEFT


def test_what_a_decision_keeps_is_shown_with_the_pattern_while_the_rule_stands() -> None:
    """Found again by its digest, wherever it stands now."""
    first, second = rule(1, "A", sender="*@bank.example"), rule(2, None, subject="x")
    assert "bank" not in first.stored + first.reason
    assert describe_rule(first.stored, [first, second]) == 'rule 1: sender "*@bank.example"'
    moved = Rule(2, first.conditions, first.folder)
    assert describe_rule(first.stored, [moved]).endswith("(now rule 2)")
    assert describe_rule(first.stored, [second]) == "rule 1: sender (changed since, or removed)"
    assert describe_rule(CONTACT, []).startswith("keep_contacts")
