"""What notices say, in German and English.

Two readers: the account's owner in her own mailbox, who may read the names of folders, and a
service on the net, which reads them only when the configuration says so (`named`). Neither reads
anything of a mail, an address, a host or a server's text: there is nothing of it in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.config.settings import Language


@dataclass(frozen=True, slots=True)
class Said:
    """One notice in words; `urgent`: somebody has to do something."""

    title: str
    text: str
    language: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class FolderWeek:
    """One label folder: moves of the week and corrected ones among them; `precision` of its
    last moves (None: there are none), and what it `promised`, both 0 to 1."""

    name: str
    moved: int
    overruled: int
    precision: float | None
    promised: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """A kind of error, by the name that `inboxd doctor` and the metrics use, and when it came
    last."""

    kind: str
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Week:
    """What happened in an account between two moments.

    `moved`, `suggested`, `left` (these two stayed in the inbox) and `unreadable` are the mails
    that came; `overruled` moves of inboxd that people changed, `manual` other moves by people
    that taught something, `held` moves that wait for a person's word now. `wrong` of the last
    `moves` moves (of all folders, not only of this week) were wrong. `states` counts the label
    folders: "sorting", "suggesting", "learning", "suspended".
    """

    account: str
    since: datetime
    until: datetime
    moved: int = 0
    suggested: int = 0
    left: int = 0
    unreadable: int = 0
    overruled: int = 0
    manual: int = 0
    held: int = 0
    moves: int = 0
    wrong: int = 0
    promised: float | None = None
    states: Mapping[str, int] | None = None
    folders: tuple[FolderWeek, ...] = ()
    model: str | None = None
    troubles: tuple[Trouble, ...] = ()

    @property
    def came(self) -> int:
        """How many mails inboxd decided on."""
        return self.moved + self.suggested + self.left + self.unreadable

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happened that anybody could want to read of."""
        return not (self.came or self.overruled or self.manual or self.held or self.troubles)


_ENGLISH: Mapping[str, str] = {
    "date": "%Y-%m-%d",
    "time": "%Y-%m-%d %H:%M",
    "period": "Account {account}, from {since} to {until}.",
    "week_title": "inboxd, {account}: {moved} of {came} mails sorted",
    "quiet_title": "inboxd, {account}: a quiet week",
    "quiet": "Nothing came and nothing was moved from {since} to {until}; inboxd is well.",
    "came": "Mails that came: {count}",
    "moved": "  sorted: {count}",
    "stayed": "  left in the inbox: {count} (with a suggestion: {suggested})",
    "unreadable": "  not readable, left in the inbox: {count}",
    "overruled": "Moves of inboxd that you corrected: {count}",
    "manual": "Mails that you filed yourself: {count}",
    "held": "Moves that wait for your word (inboxd held list): {count}",
    "right": "Right in {precision} of the last {moves} moves; promised: {promised}",
    "states": "Folders that sort: {sorting}, get suggestions: {suggesting}, still learn: "
    "{learning}, are suspended: {suspended}",
    "folder": "  {name}: sorted {moved}, corrected {overruled}, right in {precision} (promised: "
    "{promised})",
    "folders": "By folder:",
    "model": "Model: {version}",
    "trouble": "Trouble: {kind}, last on {at}",
    "none": "–",
    "a_folder": "one of your folders",
    "sign_in_title": "inboxd, {account}: somebody has to sign in",
    "sign_in": "Since {at} the mail server of the account {account} does not let inboxd in, so "
    "its mail stays in the inbox. Look what is wrong: inboxd check\n{mend}",
    "mend_password": "If the password has changed, give inboxd the new one.",
    "mend_login": "Sign in again: inboxd login {account}",
    "sign_in_over_title": "inboxd, {account}: signed in again",
    "sign_in_over": "The account {account} is sorted again.",
    "overdue_title": "inboxd, {account}: not looked at for {hours} hours",
    "overdue": "The last good pass over the account {account} ended {at}. inboxd goes on trying; "
    "what it says: inboxd status",
    "never": "never",
    "overdue_over_title": "inboxd, {account}: works again",
    "overdue_over": "The account {account} is sorted again.",
    "precision_title": "inboxd, {account}: {folder} gets suggestions only",
    "precision": "{wrong} of the last {moves} moves into {folder} were wrong; {promised} were "
    "promised to be right. Nothing is moved there until enough predictions are right again, or "
    "until you say so: inboxd folders trust NAME",
    "precision_over_title": "inboxd, {account}: {folder} sorts again",
    "precision_over": "Mail is moved into {folder} again.",
    "test_title": "inboxd, {account}: a test",
    "test": "This is how inboxd tells you something. Somebody asked for it with: inboxd notices "
    "test",
}

_GERMAN: Mapping[str, str] = {
    "date": "%d.%m.%Y",
    "time": "%d.%m.%Y %H:%M",
    "period": "Konto {account}, vom {since} bis zum {until}.",
    "week_title": "inboxd, {account}: {moved} von {came} Mails sortiert",
    "quiet_title": "inboxd, {account}: eine ruhige Woche",
    "quiet": "Vom {since} bis zum {until} kam nichts und wurde nichts verschoben; inboxd geht es "
    "gut.",
    "came": "Angekommene Mails: {count}",
    "moved": "  sortiert: {count}",
    "stayed": "  im Posteingang gelassen: {count} (mit Vorschlag: {suggested})",
    "unreadable": "  nicht lesbar, im Posteingang gelassen: {count}",
    "overruled": "Von dir berichtigte Verschiebungen: {count}",
    "manual": "Von dir selbst abgelegte Mails: {count}",
    "held": "Verschiebungen, die auf dein Wort warten (inboxd held list): {count}",
    "right": "Richtig bei {precision} der letzten {moves} Verschiebungen; versprochen: {promised}",
    "states": "Ordner, die sortieren: {sorting}, Vorschläge bekommen: {suggesting}, noch lernen: "
    "{learning}, ausgesetzt sind: {suspended}",
    "folder": "  {name}: sortiert {moved}, berichtigt {overruled}, richtig bei {precision} "
    "(versprochen: {promised})",
    "folders": "Nach Ordnern:",
    "model": "Modell: {version}",
    "trouble": "Störung: {kind}, zuletzt am {at}",
    "none": "–",
    "a_folder": "einer deiner Ordner",
    "sign_in_title": "inboxd, {account}: jemand muss sich anmelden",
    "sign_in": "Seit {at} lässt der Mailserver des Kontos {account} inboxd nicht mehr hinein; "
    "Mail bleibt dort im Posteingang. Was los ist, sagt: inboxd check\n{mend}",
    "mend_password": "Wenn das Passwort geändert wurde, braucht inboxd das neue.",
    "mend_login": "Neu anmelden: inboxd login {account}",
    "sign_in_over_title": "inboxd, {account}: wieder angemeldet",
    "sign_in_over": "Das Konto {account} wird wieder sortiert.",
    "overdue_title": "inboxd, {account}: seit {hours} Stunden nicht durchgesehen",
    "overdue": "Der letzte gute Durchgang durch das Konto {account} endete: {at}. inboxd versucht "
    "es weiter; was es dazu sagt: inboxd status",
    "never": "nie",
    "overdue_over_title": "inboxd, {account}: läuft wieder",
    "overdue_over": "Das Konto {account} wird wieder sortiert.",
    "precision_title": "inboxd, {account}: {folder} bekommt nur noch Vorschläge",
    "precision": "{folder}: {wrong} der letzten {moves} Verschiebungen dorthin waren falsch; "
    "versprochen war, dass {promised} richtig sind. Dorthin wird nichts verschoben, bis genug "
    "Vorhersagen wieder stimmen oder bis du es sagst: inboxd folders trust NAME",
    "precision_over_title": "inboxd, {account}: {folder} sortiert wieder",
    "precision_over": "Mail wird wieder verschoben. Ordner: {folder}",
    "test_title": "inboxd, {account}: ein Versuch",
    "test": "So sagt dir inboxd etwas. Jemand hat darum gebeten: inboxd notices test",
}

TEXTS: Mapping[Language, Mapping[str, str]] = {Language.EN: _ENGLISH, Language.DE: _GERMAN}


class Words:
    """One language, for one reader. Times are told in the zone of the machine."""

    def __init__(self, language: Language, *, named: bool) -> None:
        self._language = language
        self._texts = TEXTS[language]
        self._named = named

    def week(self, week: Week) -> Said:
        """The weekly summary; of a quiet week one line."""
        since, until = self._day(week.since), self._day(week.until)
        if week.is_quiet:
            return self._say(
                "quiet_title", self._of("quiet", since=since, until=until), account=week.account
            )
        lines = [self._of("period", account=week.account, since=since, until=until)]
        lines += ["", *self._counts(week), "", *self._state(week)]
        text = "\n".join(lines)
        return self._say("week_title", text, account=week.account, moved=week.moved, came=week.came)

    def sign_in(self, account: str, at: datetime, *, by_password: bool) -> Said:
        """Nobody lets inboxd in since `at`."""
        mend = self._of("mend_password" if by_password else "mend_login", account=account)
        text = self._of("sign_in", account=account, at=self._time(at), mend=mend)
        return self._say("sign_in_title", text, urgent=True, account=account)

    def overdue(self, account: str, last: datetime | None, hours: int) -> Said:
        """No good pass since `last` (None: never one), `hours` ago."""
        at = self._time(last) if last is not None else self._texts["never"]
        text = self._of("overdue", account=account, at=at)
        return self._say("overdue_title", text, urgent=True, account=account, hours=hours)

    def precision(
        self, account: str, folder: str, *, moves: int, wrong: int, promised: float
    ) -> Said:
        """A folder has broken its promise."""
        named = self._folder(folder)
        text = self._of(
            "precision", folder=named, moves=moves, wrong=wrong, promised=self._share(promised)
        )
        return self._say("precision_title", text, urgent=True, account=account, folder=named)

    def precision_over(self, account: str, folder: str) -> Said:
        """It is trusted again."""
        named = self._folder(folder)
        text = self._of("precision_over", folder=named)
        return self._say("precision_over_title", text, account=account, folder=named)

    def over(self, kind: str, account: str) -> Said:
        """What `sign_in` or `overdue` (`kind`) told is over."""
        text = self._of(f"{kind}_over", account=account)
        return self._say(f"{kind}_over_title", text, account=account)

    def test(self, account: str) -> Said:
        """Somebody wants to see one."""
        return self._say("test_title", self._texts["test"], account=account)

    def _counts(self, week: Week) -> Iterator[str]:
        yield self._of("came", count=week.came)
        yield self._of("moved", count=week.moved)
        yield self._of("stayed", count=week.suggested + week.left, suggested=week.suggested)
        if week.unreadable:
            yield self._of("unreadable", count=week.unreadable)
        yield self._of("overruled", count=week.overruled)
        yield self._of("manual", count=week.manual)
        if week.held:
            yield self._of("held", count=week.held)

    def _state(self, week: Week) -> Iterator[str]:
        if week.moves and week.promised is not None:
            yield self._of(
                "right",
                precision=self._share(1.0 - week.wrong / week.moves),
                moves=week.moves,
                promised=self._share(week.promised),
            )
        if week.states is not None:
            yield self._of("states", **week.states)
        if self._named and week.folders:
            yield self._texts["folders"]
            yield from map(self._folder_line, week.folders)
        yield self._of("model", version=week.model or self._texts["none"])
        for trouble in week.troubles:
            yield self._of("trouble", kind=trouble.kind, at=self._time(trouble.last_at))

    def _folder_line(self, folder: FolderWeek) -> str:
        precision = folder.precision
        return self._of(
            "folder",
            name=" ".join(folder.name.split()),
            moved=folder.moved,
            overruled=folder.overruled,
            precision=self._texts["none"] if precision is None else self._share(precision),
            promised=self._share(folder.promised),
        )

    def _folder(self, name: str) -> str:
        return " ".join(name.split()) if self._named else self._texts["a_folder"]

    def _say(self, title: str, text: str, *, urgent: bool = False, **values: object) -> Said:
        return Said(self._of(title, **values), text, self._language.value, urgent)

    def _of(self, key: str, **values: object) -> str:
        return self._texts[key].format(**values)

    def _share(self, value: float) -> str:
        shown = f"{value * 100:.1f} %"
        return shown.replace(".", ",") if self._language is Language.DE else shown

    def _day(self, moment: datetime) -> str:
        return moment.astimezone().strftime(self._texts["date"])

    def _time(self, moment: datetime) -> str:
        return moment.astimezone().strftime(self._texts["time"])
