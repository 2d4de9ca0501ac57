"""`medaet bench`: what this machine does, beside peers, as tables or JSON."""

import json
import subprocess
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from medaet.cli.output import FAILED, AsJson, print_json, print_table

app = typer.Typer(
    name="bench",
    help="What this machine does, beside peers: read the ratios.",
    no_args_is_help=True,
)

Quick = Annotated[bool, typer.Option("--quick", help="smaller cases only")]
Rounds = Annotated[int, typer.Option(min=1, help="how often each way runs on each case")]
Device = Annotated[str, typer.Option(help="cpu, or cuda:0")]
BENCHMARKS = ("receive", "queue", "read", "infer", "features", "encode", "register")


@app.command()
def infer(
    *,
    case: Annotated[
        list[str] | None, typer.Option(help="lungs-48, lungs-300, unet-48, unet-300, classes-100")
    ] = None,
    quick: Quick = False,
    rounds: Rounds = 3,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Networks beside MONAI's sliding windows and a classical method. Exit 0, or 1 when a way fails."""
    names = ["infer", *(word for one in case or () for word in ("--case", one))]
    _show(names, as_json=as_json, quick=quick, rounds=rounds, device=device)


@app.command()
def read(*, quick: Quick = False, rounds: Rounds = 5, as_json: AsJson = False) -> None:
    """Series into volumes beside pydicom, SimpleITK and MONAI. Exit 0, or 1 when voxels differ."""
    _show(["read"], as_json=as_json, quick=quick, rounds=rounds)


@app.command()
def receive(*, quick: Quick = False, rounds: Rounds = 3, as_json: AsJson = False) -> None:
    """A study over C-STORE beside storescp and pynetdicom, on the disk of TMPDIR. Exit 0, or 1 when one fails."""
    _show(["receive"], as_json=as_json, quick=quick, rounds=rounds)


@app.command()
def queue(*, quick: Quick = False, rounds: Rounds = 5, as_json: AsJson = False) -> None:
    """What a job costs the table early and late in its life. Exit 0."""
    _show(["queue"], as_json=as_json, quick=quick, rounds=rounds)


@app.command()
def encode(*, quick: Quick = False, rounds: Rounds = 3, as_json: AsJson = False) -> None:
    """Segmentations, proven, beside dcmqi and highdicom. Exit 0, or 1 when a proof fails."""
    _show(["encode"], as_json=as_json, quick=quick, rounds=rounds)


@app.command()
def features(
    *, quick: Quick = False, rounds: Rounds = 3, device: Device = "cpu", as_json: AsJson = False
) -> None:
    """Radiomic features of all families, beside fastrad where it is installed. Exit 0."""
    _show(["features"], as_json=as_json, quick=quick, rounds=rounds, device=device)


@app.command()
def register(
    *, quick: Quick = False, rounds: Rounds = 3, device: Device = "cpu", as_json: AsJson = False
) -> None:
    """A CT and an MR of one head, beside SimpleITK: time and error. Exit 0, or 1 when ours is refused."""
    _show(["register"], as_json=as_json, quick=quick, rounds=rounds, device=device)


@app.command(name="all")
def every(
    *, quick: Quick = False, rounds: Rounds = 3, device: Device = "cpu", as_json: AsJson = False
) -> None:
    """All benchmarks. Exit 0, or 1 when one fails."""
    _show(list(BENCHMARKS), as_json=as_json, quick=quick, rounds=rounds, device=device)


def _show(
    names: list[str], *, as_json: bool, quick: bool, rounds: int, device: str = "cpu"
) -> None:
    command = [sys.executable, "-P", "-m", "medaet.bench", *names]
    command += ["--rounds", str(rounds), "--device", device, *(["--quick"] if quick else [])]
    reports = _reports(command)
    if as_json:
        print_json(reports)
        return
    for one in reports:
        _print(one)


def _reports(command: list[str]) -> list[dict[str, Any]]:
    """Run the benchmarks in a process of their own, and show what it is busy with."""
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
        Console(stderr=True).status("starting ...") as status,
    ):
        assert process.stderr is not None
        assert process.stdout is not None
        last = ""
        for line in process.stderr:
            last = line.strip() or last
            status.update(last)
        output = process.stdout.read()
    if process.returncode:
        typer.echo(last, err=True)
        raise typer.Exit(FAILED)
    found: list[dict[str, Any]] = json.loads(output)
    return found


def _print(report: dict[str, Any]) -> None:
    rows: list[dict[str, object]] = report["rows"]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    typer.echo(f"{report['benchmark']}: {report['machine']}")
    print_table(
        [column.replace("_", " ") for column in columns],
        [[row.get(column) for column in columns] for row in rows],
        empty="nothing was measured",
    )
    for case, ratios in report["ratios"].items():
        told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in ratios.items())
        typer.echo(f"{case}: {told}")
    typer.echo(", ".join(f"{name} {version}" for name, version in report["versions"].items()))
