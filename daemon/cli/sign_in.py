"""login and logout: OAuth 2 for accounts that are not opened with a password."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.context import JsonOption, application
from daemon.cli.output import console, errors, json_line, print_json, when

if TYPE_CHECKING:
    from daemon.sign_in.provider import Visit
    from daemon.use_cases.application import Application

AccountArgument = Annotated[
    str | None, typer.Argument(metavar="ACCOUNT", help="Its name in the configuration.")
]


def register(cli: typer.Typer) -> None:
    """Add this module's commands."""
    cli.command(
        "login", epilog="Examples: inboxd login work · inboxd login gmail --no-browser --port 8765"
    )(login)
    cli.command("logout", epilog="Example: inboxd logout work")(logout)


def login(
    account: AccountArgument = None,
    flow: Annotated[
        str,
        typer.Option(
            help="device: a code that you type in on any device. browser: in a browser that "
            "reaches this machine. auto: what the provider is known to allow."
        ),
    ] = "auto",
    browser: Annotated[
        bool, typer.Option(help="Open the browser of this machine, if the sign-in needs one.")
    ] = True,
    port: Annotated[
        int,
        typer.Option(min=0, max=65_535, help="Where the browser comes back to; 0: any free port."),
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Sign in to an account whose sign_in is google, microsoft or oidc, once or again.

    The tokens are kept in the keyring, or encrypted where there is none. With --json, what you
    have to do comes as a line of JSON on standard error.
    """
    from daemon.sign_in.provider import Flow, Way  # noqa: PLC0415 - reads settings
    from daemon.use_cases.sign_in import sign_in  # noqa: PLC0415 - SQLAlchemy

    if flow not in set(Flow):
        raise typer.BadParameter(f"Choose {', '.join(Flow)}.", param_hint="--flow")

    def tell(visit: Visit) -> None:
        if as_json:
            json_line({"event": "visit", "visit": visit})
        else:
            opens = browser and visit.code is None and _has_desktop()
            _tell(visit, opened=opens and webbrowser.open(visit.url))

    with application() as app:
        name = _account(app, account)
        done = sign_in(app, name, Way(tell, Flow(flow), port))
    if as_json:
        print_json(done)
        return
    console.print(f"Signed in; the mail server accepts it. Kept in {done.place}.", markup=False)
    if not done.renewable:
        errors.print(
            f"The provider gave nothing to renew it with: it ends {when(done.expires_at)}. "
            "Asking for the scope offline_access helps with many.",
            style="yellow",
            markup=False,
        )
    console.print("Next: inboxd check", markup=False)


def logout(account: AccountArgument = None, as_json: JsonOption = False) -> None:
    """Forget the sign-in of an account, and end it at the provider where that is possible."""
    from daemon.use_cases.sign_in import sign_out  # noqa: PLC0415 - SQLAlchemy

    with application() as app:
        done = sign_out(app, _account(app, account))
    if as_json:
        print_json(done)
        return
    console.print("Signed out: the tokens are forgotten.", markup=False)
    if done.left is not None:
        errors.print(f"Not ended at the provider: {done.left}", style="yellow", markup=False)


def _account(app: Application, name: str | None) -> str:
    """The named account, or the only one that has anything to sign in to."""
    from daemon.config.settings import SignIn  # noqa: PLC0415 - pydantic takes 0.2 s to import

    if name is not None:
        app.account(name)
        return name
    accounts = app.settings.accounts
    some = [each for each in accounts if accounts[each].sign_in is not SignIn.PASSWORD]
    candidates = some or list(accounts)
    if len(candidates) > 1:
        raise typer.BadParameter(f"Name one: {', '.join(sorted(candidates))}.")
    return candidates[0]


def _has_desktop() -> bool:
    """Without one, Python would start a text browser in the middle of the command."""
    return sys.platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))


def _tell(visit: Visit, *, opened: bool) -> None:
    """On standard error: standard output is for the result. Addresses are not broken into lines,
    so that they can be copied."""
    if visit.code is not None:
        errors.print("Open this page on any device:", markup=False)
        errors.print(f"  {visit.url}", markup=False, soft_wrap=True)
        errors.print(f"and enter the code {visit.code}", markup=False)
    else:
        words = "Your browser shows this page:" if opened else "Open this page in a browser here:"
        errors.print(words, markup=False)
        errors.print(f"  {visit.url}", markup=False, soft_wrap=True)
        errors.print(
            f"It comes back to port {visit.port} of this machine; from another one, first run "
            f"there: ssh -N -L {visit.port}:127.0.0.1:{visit.port} THIS_MACHINE",
            markup=False,
            soft_wrap=True,
        )
    errors.print("Waiting … (Ctrl-C ends it; nothing is changed then)", markup=False)
