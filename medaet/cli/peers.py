"""`medaet peers` and `medaet send`: who is configured, who answers, and files by C-STORE."""

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydicom.misc import is_dicom
from pydicom.uid import UID
from rich.console import Console

from medaet.cli.output import (
    FAILED,
    NOT_REACHED,
    AsJson,
    ConfigFile,
    exit_codes,
    print_json,
    print_table,
)
from medaet.cli.tables import opened
from medaet.clock import SystemClock
from medaet.config.load import load
from medaet.config.model import Config, Peer
from medaet.errors import ConfigError, PeerUnavailableError
from medaet.network import scu
from medaet.results.profile import PROFILES, classes, pairs, plan
from medaet.store.associations import AssociationStore

app = typer.Typer(name="peers", help="The application entities we talk to.", no_args_is_help=True)


@app.command(name="list")
def list_peers(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the configured peers. Exit 0, or 2 when the configuration is wrong."""
    with exit_codes():
        peers = load(config).peers
    if as_json:
        print_json([peer.model_dump(mode="json") for peer in peers])
        return
    print_table(
        ("name", "AE title", "host", "port", "profile"),
        [(one.name, one.ae_title, one.host, one.port, one.profile) for one in peers],
        empty="no peers; add [[peers]] to medaet.toml",
    )


@app.command()
def echo(
    name: Annotated[str, typer.Argument(help="the peer's name in medaet.toml")],
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Verify that a peer answers a C-ECHO.

    Exit 0 when it does, 1 when it refuses, 2 for an unknown name or a wrong configuration, 3 when it is not reached.
    """
    with exit_codes():
        settings = load(config)
        peer = _peer(settings, name)
        started = time.monotonic()
        scu.echo(peer, settings.listener.ae_title)
    milliseconds = round((time.monotonic() - started) * 1000)
    if as_json:
        print_json({"peer": peer.name, "milliseconds": milliseconds})
    else:
        typer.echo(f"{peer.name} ({peer.ae_title}) answered in {milliseconds} ms")


@app.command()
def contexts(
    name: Annotated[str, typer.Argument(help="the peer's name in medaet.toml")],
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask a peer which result classes it takes, and say what it will get.

    Exit 0 when it takes all that its profile asks for, 1 when something is replaced or left out, 2 for an unknown name
    or a wrong configuration, 3 when the peer is not reached.
    """
    with exit_codes():
        settings = load(config)
        peer = _peer(settings, name)
        profile = PROFILES[peer.profile]
        accepted = scu.accepted(peer, settings.listener.ae_title, pairs(profile, peer.extras))
    planned = plan(profile, accepted, extras=peer.extras, maximum_frames=peer.maximum_frames)
    wanted = classes(profile, peer.extras)
    if as_json:
        print_json(
            {
                "peer": peer.name,
                "profile": peer.profile,
                "accepted": {uid: sorted(accepted.get(uid, ())) for uid in wanted},
                "replaced": [asdict(one) for one in planned.replaced],
            }
        )
    else:
        typer.echo(f"{peer.name} has profile {peer.profile}: {profile.title}")
        print_table(
            ("SOP class", "takes"),
            [(uid.name, _named_syntaxes(accepted.get(uid, ()))) for uid in wanted],
            empty="",
        )
        for one in planned.replaced:
            typer.echo(f"in place of {one.wanted}: {one.instead or 'nothing'}")
    if planned.replaced:
        raise typer.Exit(FAILED)


def _named_syntaxes(uids: Collection[str]) -> str:
    return "; ".join(sorted(UID(uid).name for uid in uids)) or "no"


def send(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="files and folders", exists=True)
    ],
    to: Annotated[str, typer.Option("--to", help="the peer's name in medaet.toml")],
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Send DICOM files to a peer in one association.

    Exit 0 when all were stored, 1 when one was not, 2 for an unknown name or a wrong configuration, 3 when the peer
    is not reached.
    """
    with exit_codes():
        settings = load(config)
        peer = _peer(settings, to)
        files = _files(paths)
        outcomes = []
        for outcome in scu.send(peer, settings.listener.ae_title, files):
            outcomes.append(outcome)
            if not as_json:
                _tell(outcome, number=len(outcomes), total=len(files))
    stored = sum(outcome.error is None for outcome in outcomes)
    if as_json:
        print_json([_plain(outcome) for outcome in outcomes])
    else:
        typer.echo(f"{stored} of {len(files)} instances are stored by {peer.name}")
    if stored < len(files) or not files:
        lost = any(isinstance(outcome.error, PeerUnavailableError) for outcome in outcomes)
        raise typer.Exit(NOT_REACHED if lost else FAILED)


@app.command()
def traffic(
    *,
    hours: Annotated[float, typer.Option(help="how far to look back", min=0.01)] = 24.0,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what came from whom, and how fast. Exit 0, 2 for a wrong configuration, 3 without a database.

    Associations that are still open count with the instances that are recorded when they end.
    """
    with exit_codes(), opened(load(config)) as database:
        found = AssociationStore(database, SystemClock()).traffic(timedelta(hours=hours))
    if as_json:
        print_json(found)
        return
    print_table(
        (
            *("AE title", "address", "associations", "not released", "stored", "refused"),
            *("MB", "instances/s", "MB/s"),
        ),
        [
            (
                one.calling_ae_title,
                one.address,
                one.associations,
                one.unfinished,
                one.stored,
                one.refused,
                f"{one.size_bytes / 1e6:.1f}",
                f"{one.stored / one.seconds:.1f}" if one.seconds else "",
                f"{one.size_bytes / 1e6 / one.seconds:.1f}" if one.seconds else "",
            )
            for one in found
        ],
        empty=f"nothing came in the last {hours:g} hours",
    )


def _peer(config: Config, name: str) -> Peer:
    peer = config.peer(name)
    if peer is None:
        known = ", ".join(one.name for one in config.peers) or "none"
        raise ConfigError(f"there is no peer named {name!r}; known are: {known}")
    return peer


def _files(paths: Sequence[Path]) -> list[Path]:
    """List the files to send: those named, and every DICOM file below the folders named."""
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = sorted(one for one in path.rglob("*") if one.is_file())
            files.update(dict.fromkeys(one for one in below if is_dicom(one)))
        else:
            files[path] = None
    return list(files)


def _tell(outcome: scu.SendOutcome, *, number: int, total: int) -> None:
    """Write one line for each failure, and a counter on a terminal."""
    if outcome.error is not None:
        remark = f" ({outcome.comment})" if outcome.comment else ""
        typer.echo(f"{outcome.path}: {outcome.error}{remark}", err=True)
    elif Console().is_terminal:
        typer.echo(f"\r{number} of {total}", nl=number == total)


def _plain(outcome: scu.SendOutcome) -> dict[str, Any]:
    return {
        "path": str(outcome.path),
        "sop_instance_uid": outcome.sop_instance_uid,
        "status": None if outcome.status is None else f"{outcome.status:04X}",
        "error": None if outcome.error is None else str(outcome.error),
        "comment": outcome.comment,
    }
