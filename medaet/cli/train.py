"""`medaet train`: from labelled scans to a verified model folder, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from medaet.cli.output import WRONG_USAGE, AsJson, ConfigFile, exit_codes, print_json
from medaet.cli.tables import opened
from medaet.clock import SystemClock
from medaet.config.load import load
from medaet.config.training import TrainingConfig, load_training
from medaet.errors import ConfigError, TrainingError
from medaet.queue.trainings import TrainingQueue

MODULE = "medaet.worker.trainer"
MODEL, REPORT, RESULTS = "model", "report/report.html", "report/validation.json"
PRECISIONS = "report/precisions.json"


def train(  # noqa: PLR0913 -- one argument for each option
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="of the training", dir_okay=False)
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="folder of the run; beside CONFIG.toml by default", file_okay=False
        ),
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="cpu, or cuda:0; give several to share the work")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="start anew; else an interrupted run goes on")
    ] = False,
    enqueue: Annotated[
        bool, typer.Option("--enqueue", help="leave it to the daemon's training devices")
    ] = False,
    settings: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Train, validate, report and export a model; an interrupted run goes on where it was.

    Exit 0 when done, 1 when training failed, 2 for a wrong configuration or data that cannot be used.
    """
    with exit_codes():
        training = load_training(config)
        if enqueue:
            _enqueue(training, out, settings)
            return
        run = out if out is not None else config.absolute().with_suffix(".run")
        command = [sys.executable, "-P", "-m", MODULE, str(config), "--out", str(run)]
        for one in device or ():
            command += ["--device", one]
        command += ["--fresh"] if fresh else []
        _watched(command)
    results = json.loads((run / RESULTS).read_text(encoding="utf-8"))
    precisions = json.loads((run / PRECISIONS).read_text(encoding="utf-8"))
    if as_json:
        where = {"model": str(run / MODEL), "report": str(run / REPORT)}
        print_json({**where, "results": results, "precisions": precisions})
        return
    for name, mean in _means(results).items():
        typer.echo(f"{name}: Dice {mean:.3f}")
    for one in precisions:
        verdict = f"certified with {one['engine']}" if one["accepted"] else "refused"
        typer.echo(f"{one['precision']} {verdict}: {one['words']}")
    typer.echo(f"{run / REPORT}\n{run / MODEL}")
    typer.echo(f"{training.name} {training.version}; not for diagnostic use")


def _enqueue(training: TrainingConfig, out: Path | None, settings: Path | None) -> None:
    """Put a run into the daemon's queue."""
    configured = load(settings)
    folder = (
        out if out is not None else configured.training.path / f"{training.name}-{training.version}"
    )
    with opened(configured) as database:
        number = TrainingQueue(database, SystemClock()).enqueue(
            name=training.name,
            version=training.version,
            configuration=training.model_dump(mode="json"),
            folder=str(folder.absolute()),
        )
    typer.echo(
        f"training run {number} is queued; `medaet trainings show {number}` says how far it is"
    )


def _watched(command: list[str]) -> None:
    """Run the training and show how far it is.

    Raises:
        TrainingError: it ended otherwise than well; its last line on standard error says why.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        try:
            _show(json.loads(line) for line in process.stdout)
            status = process.wait()
        except BaseException:
            process.terminate()
            raise
    if status == WRONG_USAGE:
        raise ConfigError("nothing was trained; the line above says why")
    if status != 0:
        raise TrainingError(f"training ended with exit status {status}; run it again to go on")


def _show(states: Iterator[Mapping[str, Any]]) -> None:
    """Show a bar on a terminal; elsewhere the log lines of the process are enough."""
    console = Console(stderr=True)
    if not console.is_terminal:
        for _ in states:
            pass
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("preparing", total=None)
        for state in states:
            words = [state["phase"], state["text"]]
            words += [f"loss {state['loss']:.3f}"] if state["loss"] is not None else []
            words += [f"Dice {state['dice']:.3f}"] if state["dice"] is not None else []
            said = " ".join(one for one in words if one)
            bar.update(
                task, description=said, completed=state["step"], total=state["steps"] or None
            )


def _means(results: list[Mapping[str, Any]]) -> dict[str, float]:
    names = results[0]["scores"] if results else {}
    return {
        name: sum(one["scores"][name]["dice"] for one in results) / len(results) for name in names
    }
