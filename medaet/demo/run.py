"""The demonstration: two real scans, and a CT that fits one of them, from a scanner through the daemon to a PACS."""

import subprocess
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from medaet.demo.head_ct import write_head_ct
from medaet.demo.outcome import Outcome, Watch
from medaet.demo.scans import ScanName, write_scan
from medaet.demo.site import ANALYSES, Site, site
from medaet.errors import MedaetError
from medaet.network import scu

SCANS: Final[tuple[ScanName, ...]] = ("chest-ct", "brain-mr")
PAIRED: Final = "head-ct"
"""Is sent beside them, and fused with the brain MR."""

START_SECONDS = 60.0
FINISH_SECONDS = 600.0
POLL_SECONDS = 0.25
STUDY_DIGITS = 8
PIPE_WIDTH = 120


def run(out: Path, console: Console | None = None) -> int:
    """Run the demonstration.

    Args:
        out: Gets the pictures, the objects the PACS received, and the daemon's log and configuration.
        console: Where progress and the table go; the terminal by default.

    Returns:
        0 when everything came back proven, 1 otherwise.
    """
    console = console or _console()
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    for picture in out.glob("*.png"):
        picture.unlink()
    with site(out / "site") as one:
        console.print("Starting a PACS and the daemon on loopback ...")
        one.start_pacs()
        one.start_daemon()
        folders = _write_scans(out / "site" / "scanner")
        if not await_daemon(one):
            console.print(f"The daemon did not answer; see {one.log}")
            return 1
        console.print(f"The scanner sends {', '.join([*SCANS, PAIRED])} ...")
        sending = [one.scan(folder) for folder in folders]
        watch = Watch(one.config)
        try:
            _follow(watch, sending, console)
            outcomes = watch.outcomes(one.archive)
            pictures = watch.copy_pictures(out)
        finally:
            watch.close()
    console.print(_table(outcomes))
    for path in pictures:
        console.print(f"picture: {path}")
    console.print(f"{time.monotonic() - started:.0f} s; not for diagnostic use")
    complete = len(outcomes) == len(ANALYSES) and all(each.complete for each in outcomes)
    if not complete:
        console.print(f"Not everything came back; see {out / 'site' / 'medaetd.log'}")
    return 0 if complete and pictures else 1


def _write_scans(root: Path) -> list[Path]:
    """Lay out what the scanner sends, a folder for each study."""
    written = {name: write_scan(name, root / name) for name in SCANS}
    write_head_ct(written["brain-mr"], root / PAIRED)
    return [root / name for name in (*SCANS, PAIRED)]


def _console() -> Console:
    """A pipe has no width; the table is made for a wide one."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


def await_daemon(one: Site, seconds: float = START_SECONDS) -> bool:
    """Wait until the daemon answers a C-ECHO."""
    listener = one.config.listener
    scanner = one.config.peer("scanner")
    assert scanner is not None
    daemon = scanner.model_copy(update={"ae_title": listener.ae_title, "port": listener.port})
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            scu.echo(daemon, scanner.ae_title)
        except MedaetError:
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False


def _follow(watch: Watch, sending: list[subprocess.Popen[bytes]], console: Console) -> None:
    """Show every change of state until all is done, or the time is up."""
    shown: dict[str, str] = {}
    deadline = time.monotonic() + FINISH_SECONDS
    with console.status("receiving ...") as status:
        while time.monotonic() < deadline:
            states = watch.states()
            for analysis, state in states.items():
                if shown.get(analysis) != state:
                    console.print(f"  {analysis}: {state}")
            shown = states
            if states:
                status.update(", ".join(f"{name} {state}" for name, state in states.items()))
            failed = [process for process in sending if process.poll() not in (None, 0)]
            if failed or watch.finished(len(ANALYSES)):
                return
            time.sleep(POLL_SECONDS)


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title="What came back")
    for column in ("study", "analysis", "device", "seconds", "segments", "at the PACS", "proof"):
        table.add_column(column)
    for one in outcomes:
        segments = "\n".join(f"{label}: {ml:.0f} ml" for label, ml in one.volumes.items())
        table.add_row(
            f"...{one.study_instance_uid[-STUDY_DIGITS:]}",
            one.job.analysis,
            one.job.device or "-",
            f"{one.seconds:.1f}",
            segments or "-",
            f"{len(one.received)} of {one.expected}",
            _proof(one),
        )
    return table


def _proof(one: Outcome) -> str:
    if not one.complete:
        return one.job.last_error or one.job.state.value
    return f"{one.voxels_compared / 1e6:.1f} million\nvoxels equal"
