"""What inboxd tells about its work: status, history, why, models, classify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.mails import CHOIR, FOLDERS, RENTAL, message_id, next_mails
from tests.e2e.story import Story
from tests.e2e.world import copy_state
from tests.support.command import Home

FIRST_NEW = 16
NEXT_RENTAL_ID = message_id(RENTAL, FIRST_NEW + 2)
FILED_ID = message_id(CHOIR, FIRST_NEW)
PUT_BACK_ID = message_id("Familie", FIRST_NEW)


@pytest.fixture
def home(story: Story, tmp_path: Path) -> Home:
    """A copy of inboxd's state after the story, with the same account."""
    original = story.world
    copied = Home(tmp_path, original.home.cache_dir)
    password = original.server.users[original.user]
    copied.configure(original.server.port, original.user, password)
    copy_state(original.home, copied)
    return copied


def test_status_counts_what_inboxd_and_the_person_did(home: Home) -> None:
    """Thirteen were moved in all, and one of these moves undone."""
    status = home.json("status")
    account = status["accounts"]["private"]

    assert status["running"] is False
    assert (account["state"], account["mode"]) == ("ready", "sort")
    assert (account["sorted"], account["undone"], account["left"]) == (12, 1, 3)
    assert (account["corrections"], account["overruled"]) == (4, 3)
    assert account["examples"] == 84
    assert account["last_cycle"] is not None
    assert account["error"] is None


def test_status_shows_what_each_folder_may_do(home: Home) -> None:
    """All five sort by themselves; the counts are those of the server."""
    folders = home.json("status")["accounts"]["private"]["folders"]

    assert {f["folder"]: (f["state"], f["examples"], f["messages"]) for f in folders} == {
        "Familie": ("sorting", 17, 18),
        "Kündigungen": ("sorting", 16, 18),
        "Lists/Kestrel": ("sorting", 16, 18),
        "Rechnungen": ("sorting", 16, 18),
        "Travel": ("sorting", 18, 20),
    }


def test_status_is_a_table_too(home: Home) -> None:
    """With every folder in it."""
    shown = home.ok("status")

    assert "inboxd is not running" in shown
    assert all(folder in shown for folder in (*FOLDERS, "private", "sorting"))


def test_history_lists_the_newest_decision_first(home: Home) -> None:
    """The rental of the second pass, since undone, stands above the mail of the first."""
    entries = home.json("history")

    assert len(entries) == 16
    assert (entries[0]["action"], entries[0]["folder"]) == ("undone", "Travel")
    assert [e["decided_at"] for e in entries] == sorted(
        (e["decided_at"] for e in entries), reverse=True
    )


def test_history_can_be_narrowed_down(home: Home) -> None:
    """By action, number and age."""
    left = home.json("history", "--action", "left")
    newest = home.json("history", "--limit", "2")

    assert [entry["action"] for entry in left] == ["left"] * 3
    assert newest == home.json("history")[:2]
    assert len(home.json("history", "--since", "1d")) == 16
    assert home.json("history", "--since", "2030-01-01") == []


def test_history_is_a_table_too(home: Home) -> None:
    """With the numbers that why and undo take."""
    shown = home.ok("history")
    entries = home.json("history")

    assert all(str(entry["message"]) in shown for entry in entries)
    assert "moved" in shown
    assert "undone" in shown


def test_why_explains_a_decision_by_number_and_by_message_id(home: Home) -> None:
    """Probabilities of the best folders, the threshold, the model."""
    newest = home.json("history", "--limit", "1")[0]

    found = home.json("why", str(newest["message"]))

    assert found == home.json("why", NEXT_RENTAL_ID)
    assert found["entry"] == newest
    assert found["entry"]["ranked"][0][0] == "Travel"
    assert found["entry"]["probability"] >= found["entry"]["threshold"]
    assert found["entry"]["model"] == home.json("status")["accounts"]["private"]["model"]
    assert found["lies_in"] == ["INBOX"]
    assert found["kept"] is True


def test_why_tells_what_the_person_did(home: Home) -> None:
    """The move that she made, and that it is respected."""
    put_back = home.json("why", PUT_BACK_ID)
    shown = home.ok("why", PUT_BACK_ID)

    assert [(m["kind"], m["from_folder"], m["to_folder"]) for m in put_back["person_moves"]] == [
        ("put_back", "Familie", "INBOX")
    ]
    assert "You moved it: Familie → INBOX" in shown
    assert "inboxd will not move it again" in shown


def test_why_shows_the_runners_up(home: Home) -> None:
    """Of a mail that was left because nothing was probable enough."""
    found = home.json("why", FILED_ID)
    shown = home.ok("why", FILED_ID)

    assert found["entry"]["action"] == "left"
    assert found["entry"]["probability"] < found["entry"]["threshold"]
    assert len(found["entry"]["ranked"]) == len(FOLDERS)
    assert all(folder in shown for folder in FOLDERS)


def test_why_can_name_the_words_that_counted(home: Home) -> None:
    """The mail is fetched again for that, as no text of it is kept."""
    reasons = home.json("why", FILED_ID, "--words")["reasons"]

    assert reasons["model"] == home.json("status")["accounts"]["private"]["model"]
    assert reasons["folder"] == "Familie"
    names = " ".join(reason["name"] for reason in reasons["reasons"])
    assert "chor-sankt-anna" in names


def test_the_models_are_listed_with_what_the_gate_said(home: Home) -> None:
    """The one in use first."""
    models = home.json("models", "list")
    shown = home.ok("models", "list")

    assert [(m["state"], m["examples"]) for m in models] == [("current", 84), ("kept", 80)]
    assert models[1]["reason"] == "This is the first model."
    assert all(m["version"] in shown for m in models)


def test_a_model_can_be_looked_at(home: Home) -> None:
    """By default the one in use, with its thresholds; any other by its version."""
    current, first = home.json("models", "list")

    details = home.json("models", "show")
    shown = home.ok("models", "show", first["version"])

    assert details["summary"] == current
    assert Path(details["directory"], "README.md").is_file()
    assert set(details["report"]["label_names"].values()) == {*FOLDERS, "INBOX"}
    assert f"Model {first['version']} of private: kept" in shown
    assert "Kündigungen" in shown


def test_rolling_back_uses_the_model_before(home: Home) -> None:
    """Once; there is nothing before the first."""
    current, first = home.json("models", "list")

    said = home.ok("models", "rollback")
    after = home.json("models", "list")
    again = home.run("models", "rollback")

    assert first["version"] in said
    assert [(m["version"], m["state"]) for m in after] == [
        (current["version"], "kept"),
        (first["version"], "current"),
    ]
    assert again.returncode == 7


def test_files_and_standard_input_can_be_classified(home: Home, tmp_path: Path) -> None:
    """Without a server: the account's one is out of reach here."""
    invoice, journey = tmp_path / "rechnung.eml", next_mails("Travel", 1, skip=9)[0]
    invoice.write_bytes(next_mails("Rechnungen", 1, skip=9)[0])
    unreachable = {"INBOXD_ACCOUNTS__PRIVATE__PORT": "1"}

    arguments = ["classify", str(invoice), "-", "--json"]
    done = home.run(*arguments, typed=journey.decode("ascii"), **unreachable)
    first, second = json.loads(done.stdout)

    assert (first["source"], first["ranked"][0][0], first["moves"]) == (
        str(invoice),
        "Rechnungen",
        True,
    )
    assert (second["source"], second["ranked"][0][0]) == ("-", "Travel")
    assert sum(probability for _, probability in first["ranked"]) <= 1.0 + 1e-6


def test_a_paused_account_is_left_alone_until_it_is_resumed(home: Home) -> None:
    """The pause outlives the process that asked for it."""
    home.ok("pause")
    paused = home.json("status")["accounts"]["private"]["state"]
    [report] = home.json("run", "--once")
    home.ok("resume")

    assert paused == "paused"
    assert report["paused"] is True
    assert report["observation"] is None
    assert home.json("status")["accounts"]["private"]["state"] == "ready"
