"""Registration of a CT and an MR of one head with a known motion between them, beside SimpleITK."""

import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medaet.bench import simpleitk
from medaet.bench.compared import OURS, Say, report
from medaet.bench.report import Report
from medaet.bench.rounds import interleaved
from medaet.compute.registration.register import register as registered
from medaet.dicom.volume import Volume
from medaet.testing.head import HEAD, head

Method = Callable[[Volume, Volume], NDArray[np.float64]]
Run = tuple[float, float]
"""Seconds, and by how much the result was off, in mm."""

SIMPLEITK = "SimpleITK"


def register(*, quick: bool = False, rounds: int = 3, device: str = "cpu", say: Say) -> Report:
    """Measure time and error of a rigid registration at 1.5 mm (3 mm when quick).

    Args:
        quick: Coarser volumes.
        rounds: How often each way runs.
        device: Ours computes on, in torch's spelling.
        say: Told what runs now.

    Raises:
        RegistrationError: ours was refused by its own gate.
    """
    spacing = 3.0 if quick else 1.5
    say(f"drawing a head at {spacing:g} mm")
    true = pose()
    fixed = head("CT", spacing_mm=(spacing, spacing, spacing), seed=1)
    moving = head("MR", spacing_mm=(spacing, spacing, spacing), pose=true, seed=2)
    ways: dict[str, Method] = {OURS: lambda one, two: registered(one, two, device=device).matrix}
    if importlib.util.find_spec("SimpleITK"):
        ways[SIMPLEITK] = simpleitk.rigid
    runs = interleaved(
        {name: lambda way=way: _run(way, fixed, moving, true) for name, way in ways.items()},  # type: ignore[misc] # bound now
        rounds,
        say,
    )
    slices, rows, columns = fixed.voxels.shape
    case = f"CT and MR of {slices} x {rows} x {columns}, rigid"
    told = report("register", case, {name: [one for one, _ in runs[name]] for name in ways})
    errors = {name: statistics.median(error for _, error in runs[name]) for name in ways}
    rows_told = [{**row, "error_mm": round(errors[str(row["way"])], 3)} for row in told.rows]
    return replace(told, rows=rows_told)


def pose() -> NDArray[np.float64]:
    """Return how the head lies in the MR: turned by 14 degrees, shifted by 20 mm."""
    angle = np.deg2rad(14.0)
    cosine, sine = np.cos(angle), np.sin(angle)
    found = np.eye(4)
    found[:3, :3] = [[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]
    found[:3, 3] = (12.0, -8.0, 14.0)
    return found


def _run(way: Method, fixed: Volume, moving: Volume, true: NDArray[np.float64]) -> Run:
    started = time.perf_counter()
    found = way(fixed, moving)
    seconds = time.perf_counter() - started
    centres = np.array([[*part.centre, 1.0] for part in HEAD]).T
    off = (found @ true @ centres - centres)[:3]  # where it goes, from where it came
    return seconds, float(np.linalg.norm(off, axis=0).mean())
