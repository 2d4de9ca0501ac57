"""Badly behaved analyses, and one that behaves: each kind of trouble a worker must survive."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from medaet import (
    Analysis,
    AnalysisRuntime,
    FeatureSettings,
    Findings,
    Measurement,
    Segment,
    SeriesSelector,
    Volume,
    hookimpl,
)
from medaet.dicom.codes import LUNG


class Animal(Analysis):
    """Takes any CT."""

    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {"ct": SeriesSelector(modality="CT")}


class Tame(Animal):
    """Marks every voxel above zero."""

    name: ClassVar[str] = "zoo-tame"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Segment by a threshold."""
        runtime.progress(0.5, "half")
        mask = inputs["ct"].voxels > 0
        return Findings([Segment("Above", mask, LUNG)], [Measurement.volume(of="Above")])


class Measures(Animal):
    """Marks every voxel above zero and asks for its texture, and for that of nothing."""

    name: ClassVar[str] = "zoo-features"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Segment by a threshold, and leave the numbers to MedAET."""
        mask = inputs["ct"].voxels > 0
        settings = FeatureSettings(bin_width=100)
        return Findings(
            [Segment("Above", mask, LUNG), Segment("=Nothing", mask & False, LUNG)],
            [
                Measurement.volume(of="Above"),
                Measurement.features(
                    of="Above", families=["statistics", "glcm"], settings=settings
                ),
                Measurement.features(of="=Nothing", families=["statistics"], settings=settings),
            ],
        )


class Raises(Animal):
    """Quotes a patient in its error."""

    name: ClassVar[str] = "zoo-raises"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Raise."""
        raise ValueError("Doe^Jane 1970-01-01")


class Aborts(Animal):
    """Crashes as a fault in native code does."""

    name: ClassVar[str] = "zoo-aborts"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Abort."""
        os.abort()


class Segfaults(Animal):
    """Reads where nothing is."""

    name: ClassVar[str] = "zoo-segfaults"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Follow a null pointer."""
        ctypes.string_at(0)
        return Findings()


class Grows(Animal):
    """Takes memory without end."""

    name: ClassVar[str] = "zoo-grows"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Fill 64 megabytes after another."""
        held = []
        while True:
            held.append(np.ones(1 << 23))


class Leaks(Animal):
    """Forgets to give back 64 megabytes each time."""

    name: ClassVar[str] = "zoo-leaks"
    held: ClassVar[list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = []

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Keep an array for ever."""
        self.held.append(np.ones(1 << 23))
        return Findings()


class Exits(Animal):
    """Ends the process, politely."""

    name: ClassVar[str] = "zoo-exits"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Exit without an answer."""
        os._exit(0)


class Hangs(Animal):
    """Never returns, ignores SIGTERM, and leaves a process of its own behind."""

    name: ClassVar[str] = "zoo-hangs"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Sleep for longer than any limit."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        time.sleep(60)
        return Findings()


class WrongShape(Animal):
    """Returns a mask for another series."""

    name: ClassVar[str] = "zoo-wrong-shape"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Return a mask of one voxel."""
        return Findings([Segment("Odd", np.ones((1, 1, 1)), LUNG)])


class WrongRole(Animal):
    """Finds something on a series it was not given."""

    name: ClassVar[str] = "zoo-wrong-role"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Return a mask of another patient's MR."""
        return Findings([Segment("Odd", inputs["ct"].voxels > 0, LUNG, role="mr")])


class NotANumber(Animal):
    """Measures nothing."""

    name: ClassVar[str] = "zoo-nan"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Return a measurement that is not a number."""
        return Findings(measurements=[Measurement(LUNG, float("nan"))])


class Connects(Animal):
    """Tries to reach the host's own loopback."""

    name: ClassVar[str] = "zoo-connects"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Report whether a connection is possible, and which variables are visible."""
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                socket.create_connection(server.getsockname(), timeout=1).close()
            reached = "reached"
        except OSError:
            reached = "unreachable"
        seen = [name for name in os.environ if name.startswith("MEDAET")]
        return Findings(remarks=[reached, *seen])


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer all of them."""
    return [
        Tame,
        Raises,
        Aborts,
        Segfaults,
        Grows,
        Leaks,
        Exits,
        Hangs,
        WrongShape,
        WrongRole,
        NotANumber,
        Measures,
        Connects,
    ]
