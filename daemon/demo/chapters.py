"""The chapters of the demo, each of which does what a command of inboxd does."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median

from daemon.demo.mails import INBOX, MessageBuilder, Samples
from daemon.demo.person import Person
from daemon.demo.play import Moved, Outcome, Play, correct, mail_to_put_back, mails_to_move
from daemon.demo.screen import LEGEND, Screen, folder_rows, percent, share
from daemon.demo.server import MailServer
from daemon.demo.stage import ACCOUNT
from daemon.errors import InboxdError, ModelError
from daemon.use_cases.explain import explain
from daemon.use_cases.learn import learn

_REASONS = 4
"""How many of the features that counted are named."""


def fill(screen: Screen, samples: Samples, server: MailServer, person: Person) -> None:
    """Load the sample mailbox."""
    screen.chapter("A mailbox like yours")
    with screen.waiting("Filling the mailbox …"):
        builder = MessageBuilder(samples, datetime.now(UTC))
        for folder in samples.folders:
            person.create(folder)
        for mail in samples.filed:
            person.append(mail.folder, builder.build(mail), builder.date(mail))
    screen.say(
        f"{len(samples.filed)} mails in {len(samples.folders)} folders, in German and English, "
        f"filed by hand over a year; IMAP server at {server.host}:{server.port}."
    )


def learn_from_folders(play: Play) -> None:
    """What `inboxd learn` does."""
    screen, app = play.screen, play.app
    screen.chapter("Learning from the folders: inboxd learn")
    started = time.monotonic()
    with screen.waiting("Loading BERT (the first time ever it is converted, which takes longer) …"):
        bert = app.engine.encoder_description()
    screen.say(
        f"BERT is ready after {time.monotonic() - started:.1f} s: {bert['layers']} layers, "
        f"{bert['precision']} on {bert['device']}."
    )
    with screen.progress() as progress:
        learned = learn(app, ACCOUNT, progress=progress)
    refit = learned.refit
    if refit.version is None:
        raise ModelError(f"Nothing could be learned: {refit.reason}")
    play.mails_per_second = learned.encoded / max(learned.seconds_encoding, 0.001)
    screen.say(
        f"{learned.encoded} mails read in {learned.seconds_encoding:.1f} s "
        f"({play.mails_per_second:.0f} per second), learned and tested in {refit.seconds:.1f} s."
    )
    if refit.evaluation is not None:
        tested, accuracy = refit.evaluation["mails"], refit.evaluation["accuracy"]["value"]
        right = share(round(tested * accuracy), tested)
        screen.say(f"Test on the newest mails, learned from older ones only: {right} right.")
    screen.table(
        ("folder", "#mails", "#recognised", "by itself", "#from", "#expected"),
        folder_rows(refit.report, refit.labels),
    )
    screen.say(
        "\nRecognised: judged before it was learned from. inboxd sorts into a folder only from a "
        "probability on at which it expects to be right "
        f"{percent(refit.report['target_precision'])} of the time; all other mail stays.",
        "dim",
    )


def sort_new_mail(play: Play) -> None:
    """The daemon runs, mail comes in."""
    play.screen.chapter("New mail: inboxd run")
    with play.screen.waiting("Starting the daemon …"):
        play.watcher.wait_for("the daemon's first pass", lambda: play.watcher.state().last_cycle)
    deliveries = play.samples.deliveries
    play.screen.say(f"The daemon is running. {len(deliveries)} mails arrive, one after the other.")
    play.screen.say(LEGEND, "dim")
    play.screen.decisions_head()
    play.deliver(deliveries)


def disagree(play: Play) -> list[Moved]:
    """The person disagrees, and the daemon notices."""
    screen = play.screen
    screen.chapter("You disagree")
    screen.say(
        "Bills for charging the family's car, which you keep with the private mail, and a bill "
        "that has to wait in the inbox until you have checked it. inboxd cannot know that:"
    )
    screen.decisions_head()
    moves = mails_to_move(play)
    put_back = mail_to_put_back(play)
    moves += [put_back] if put_back is not None else []
    screen.say("\nSo you move them, with any mail program:")
    last = correct(play, moves)
    with screen.waiting("Waiting until the daemon notices …"):
        mails = [move.mail for move in moves]
        noticed = play.watcher.wait_for(
            "the daemon notices what you moved", lambda: play.watcher.corrections(mails)
        )
    screen.say(f"\nNoticed {time.monotonic() - last:.1f} s later, and stored as corrections:")
    screen.table(
        ("correction", "from", "to", "recognised by", "time"),
        [
            (
                one.kind.replace("_", " "),
                one.from_folder,
                one.to_folder,
                one.linked_by,
                f"{one.noticed_at.astimezone():%H:%M:%S}",
            )
            for one in noticed
        ],
    )
    return moves


def learn_from_moves(play: Play, moves: list[Moved]) -> None:
    """The head is re-fitted, and the next mail shows what that was good for."""
    screen, watcher = play.screen, play.watcher
    screen.chapter("It learns from that")
    started = time.monotonic()
    with screen.waiting("Waiting for the new model …"):
        model = watcher.wait_for("the daemon learns from it", watcher.learned_model)
    taken = "is in use" if model.state == "current" else "was not taken"
    screen.say(
        f"{time.monotonic() - started:.1f} s later model {model.version} {taken}, "
        f"from {model.examples} examples. The gate: {model.reason}"
    )
    screen.say("\nThe next mails of these kinds:")
    screen.decisions_head()
    story = play.samples.story
    bill, other = play.deliver((story["wallbox"][2], story["keep"][1]))
    for outcome in (bill, other):
        if not outcome.right:
            screen.say(f"Not learned yet: {outcome.entry.reason} {outcome.mail.subject}", "yellow")
    _say_why(play, bill)
    for move in moves:
        if move.target == INBOX:
            _say_that_it_stays(play, move)


def _say_why(play: Play, outcome: Outcome) -> None:
    """What `inboxd why --words` tells."""
    found = explain(play.app, ACCOUNT, outcome.mail.message_id, top=_REASONS)
    counted = ", ".join(f"{one.name or one.kind} {one.weight:+.2f}" for one in found.reasons)
    play.screen.say(f"\nWhy {found.folder}? {outcome.entry.reason} What counted most: {counted}.")


def _say_that_it_stays(play: Play, move: Moved) -> None:
    if play.person.find(INBOX, move.mail.message_id) is None:
        raise InboxdError(f"The mail that was put back is gone: {move.mail.subject}.")
    play.screen.say("The mail that you put back still lies in the inbox; inboxd leaves it there.")


def summarise(play: Play, seconds: float) -> None:
    screen, state = play.screen, play.watcher.state()
    outcomes = play.outcomes
    moved = [one for one in outcomes if one.sorted]
    left = [one for one in outcomes if not one.sorted]
    ordinary = [one for one in moved if one.mail.group is None]
    models = play.watcher.models()
    promoted = sum(model.state != "rejected" for model in models)
    screen.chapter("Summary")
    screen.pairs(
        {
            "delivered": f"{len(outcomes)} mails",
            "sorted": share(len(moved), len(outcomes))
            + f", {median(one.seconds for one in moved):.2f} s after delivery (median)",
            "sorted rightly": share(sum(one.right for one in moved), len(moved))
            + f"; in chapter 3 {share(sum(one.right for one in ordinary), len(ordinary))}",
            "left in the inbox": f"{len(left)}, {sum(one.right for one in left)} of them rightly",
            "corrected by you": f"{state.corrections} mails, of which inboxd had sorted "
            f"{state.overruled}",
            "models": f"{len(models)} trained, {promoted} promoted; in use: {state.model}",
            "speed": f"{play.mails_per_second:.0f} mails per second read with BERT; "
            f"the demo took {seconds:.0f} s",
        }
    )
    screen.say("\nFor your own mail:")
    screen.pairs(
        {
            "inboxd init": "asks for your mail server, writes the configuration",
            "inboxd check": "tries it, shows the folders and what they are to inboxd",
            "inboxd learn": "learns from the mail that lies in your folders",
            "inboxd run": 'sorts; at first it only suggests, until you write mode = "sort"',
        }
    )
