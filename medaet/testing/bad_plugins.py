"""Analyses with one fault each: the conformance kit must name it."""

import multiprocessing
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from medaet import (
    Analysis,
    AnalysisRuntime,
    Code,
    Findings,
    Segment,
    SeriesSelector,
    Volume,
    hookimpl,
)
from medaet.dicom.codes import LUNG


class Bad(Analysis):
    """Takes any CT, and finds what is dense."""

    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {"ct": SeriesSelector(modality="CT")}

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Do what is wrong, then segment."""
        self.misbehave(inputs["ct"])
        return Findings([Segment("Dense", inputs["ct"].voxels > 0, LUNG)])

    def misbehave(self, volume: Volume) -> None:
        """Do what is wrong."""


class Transposed(Bad):
    """Returns a mask on other axes."""

    name: ClassVar[str] = "bad-transposed"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Turn the mask."""
        return Findings([Segment("Dense", inputs["ct"].voxels.T > 0, LUNG)])


class Divides(Bad):
    """Divides by the range of the values, which may be zero."""

    name: ClassVar[str] = "bad-divides"

    def misbehave(self, volume: Volume) -> None:
        """Divide."""
        1 // int(np.ptp(volume.voxels))


class Gambles(Bad):
    """Draws a random threshold."""

    name: ClassVar[str] = "bad-gambles"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Draw."""
        threshold = np.random.default_rng().normal(0, 20)
        return Findings([Segment("Dense", inputs["ct"].voxels > threshold, LUNG)])


class Leaks(Bad):
    """Keeps something of every run."""

    name: ClassVar[str] = "bad-leaks"
    kept: ClassVar[list[object]] = []

    def misbehave(self, volume: Volume) -> None:
        """Keep."""
        self.kept.append(np.ones(4 << 20))


class Understates(Bad):
    """Takes far more memory than it says."""

    name: ClassVar[str] = "bad-understates"
    memory_mb: ClassVar[int] = 10


class Connects(Bad):
    """Asks a server, and lives without it."""

    name: ClassVar[str] = "bad-connects"

    def misbehave(self, volume: Volume) -> None:
        """Connect."""
        try:
            socket.create_connection(("192.0.2.1", 80), timeout=0.1).close()
        except OSError:
            return


class Litters(Bad):
    """Leaves a file where it was not asked to."""

    name: ClassVar[str] = "bad-litters"

    def misbehave(self, volume: Volume) -> None:
        """Write."""
        path = Path(tempfile.gettempdir()).parent / "medaet-bad-litter"
        path.write_text("litter")
        path.unlink()


class Spawns(Bad):
    """Runs a program."""

    name: ClassVar[str] = "bad-spawns"

    def misbehave(self, volume: Volume) -> None:
        """Run it."""
        subprocess.run([sys.executable, "-c", ""], check=False)


class Escapes(Bad):
    """Starts a process that leaves the group and outlives the run."""

    name: ClassVar[str] = "bad-escapes"

    def misbehave(self, volume: Volume) -> None:
        """Leave."""
        context = multiprocessing.get_context("fork")
        context.Process(target=_linger, daemon=False).start()


class Hangs(Bad):
    """Waits for what never comes."""

    name: ClassVar[str] = "bad-hangs"

    def misbehave(self, volume: Volume) -> None:
        """Wait."""
        threading.Event().wait()


class Conceals(Bad):
    """Takes a lack of memory for a scan without findings."""

    name: ClassVar[str] = "bad-conceals"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Copy, or give up in silence."""
        try:
            copy = np.array(inputs["ct"].voxels, np.float64)
        except MemoryError:
            return Findings()
        return Findings([Segment("Dense", copy > 0, LUNG)])


class Renames(Bad):
    """Turns a lack of memory into an error of another kind."""

    name: ClassVar[str] = "bad-renames"

    def misbehave(self, volume: Volume) -> None:
        """Copy, or raise something else."""
        try:
            np.array(volume.voxels, np.float64)
        except MemoryError:
            raise ValueError("the scan cannot be read") from None


class Miscodes(Bad):
    """Gives its concept a meaning with a character that the standard forbids there."""

    name: ClassVar[str] = "bad-miscodes"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Segment, and name it badly."""
        code = Code("39607008", "SCT", "Lung\vor lungs")
        return Findings([Segment("Dense", inputs["ct"].voxels > 0, code)])


def _linger() -> None:
    import os

    os.setsid()
    time.sleep(20)


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer all of them."""
    return [
        Transposed, Divides, Gambles, Leaks, Understates, Connects, Litters, Spawns, Escapes, Hangs,
        Conceals, Renames, Miscodes,
    ]  # fmt: skip
