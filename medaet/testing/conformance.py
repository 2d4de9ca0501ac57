"""The conformance kit: what every analysis must stand, as checks that end in a sentence which names the fault.

`medaet plugins test NAME` runs them all; `PluginConformance` of `medaet.testing.pytest_plugin` makes tests of them.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medaet.dicom.volume import Volume
from medaet.errors import AnalysisError, ConformanceError, LeaseLostError, MedaetError
from medaet.plugin.analysis import Analysis, check_manifest
from medaet.plugin.environments import environment_of
from medaet.plugin.findings import Findings
from medaet.plugin.inputs import read_inputs
from medaet.results.objects import Source, encode
from medaet.testing.bodies import GEOMETRIES, Body, odd_bodies, write_body, write_drawing
from medaet.testing.run import algorithm
from medaet.worker.child import WorkerChild
from medaet.worker.request import Request

GROWTH_BYTES = 64 << 20
MEMORY_FACTOR = 1.5
RUNS = 6
END_SECONDS = 10.0


@dataclass(slots=True)
class Subject:
    """The analysis under test, and a warm worker child for it; a context manager that ends the child.

    Attributes:
        analysis: Its class.
        modules: Plugin modules to load beside the installed ones.
        models: The folder of imported models.
        settings: Its own.
        seconds: Time limit of a run.
    """

    analysis: type[Analysis]
    modules: Sequence[str] = ()
    models: Path | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 120.0
    _warm: WorkerChild | None = None

    def __enter__(self) -> "Subject":
        return self

    def __exit__(self, *_: object) -> None:
        if self._warm is not None:
            self._warm.close()

    @property
    def warm(self) -> WorkerChild:
        """The child that checks share, since starting one takes seconds."""
        if self._warm is None:
            self._warm = self._started()
        return self._warm

    @contextmanager
    def child(self, *, audit: tuple[Path, Path] | None = None) -> Iterator[WorkerChild]:
        """Start a worker child for the analysis, as the daemon does."""
        child = self._started(audit)
        try:
            yield child
        finally:
            child.close()

    def _started(self, audit: tuple[Path, Path] | None = None) -> WorkerChild:
        folder = environment_of(self.analysis, self.models)
        return WorkerChild("cpu", self.modules, models=self.models, audit=audit, environment=folder)

    def run(self, child: WorkerChild, inputs: Mapping[str, Volume], where: Path) -> Findings:
        """Run it once."""
        return child.analyse(self.request(inputs, where)).findings

    def request(self, inputs: Mapping[str, Volume], where: Path) -> Request:
        """Ask for one run, whose findings go into a folder."""
        return Request(
            analysis=self.analysis.name,
            settings=self.settings,
            inputs=inputs,
            where=where / "findings",
            seconds=self.seconds,
        )

    def inputs(self, folder: Path, body: Body) -> tuple[dict[str, list[Path]], dict[str, Volume]]:
        """Write a phantom for each role, and read it; a role that refers to another gets a region drawn on that one."""
        selectors, paths = self.analysis.inputs, {}
        for number, (role, selector) in enumerate(selectors.items()):
            if selector.refers_to is None:
                paths[role] = write_body(folder / str(number), selector, body, seed=number)
        for role, selector in selectors.items():
            if selector.refers_to is not None:
                paths[role] = [write_drawing(folder / f"{role}.dcm", paths[selector.refers_to])]
        return paths, read_inputs(selectors, paths)


Check = Callable[[Subject], None]


def keeps_the_manifest(subject: Subject) -> None:
    """The manifest is complete, and can be read without torch."""
    check_manifest(subject.analysis)
    module = subject.analysis.__module__
    script = (
        f"import importlib, sys; importlib.import_module({module!r}); print('torch' in sys.modules)"
    )
    path = os.pathsep.join(one for one in sys.path if one)
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path},
    )
    if done.stdout.strip() == "True":
        raise ConformanceError(
            f"importing {module} loads torch; import it inside load and analyse, so that the manifest can be read "
            "without it"
        )


def stands_every_geometry(subject: Subject) -> None:
    """Axial, coronal, sagittal and oblique series, thin and thick slices: findings fit, encode and are proven."""
    with scratch_folder() as scratch:
        for number, (name, body) in enumerate(GEOMETRIES.items()):
            paths, volumes = subject.inputs(scratch / str(number), body)
            try:
                found = subject.run(subject.warm, volumes, scratch)
                encode(found, Source(paths, volumes), algorithm(), scratch / "results" / name)
            except MedaetError as error:
                raise ConformanceError(f"on a {name} series: {error}") from error


def stands_odd_inputs(subject: Subject) -> None:
    """Constant, extreme and fractional values give findings, or an error of medaet that says why not."""
    with scratch_folder() as scratch:
        for name, voxels in odd_bodies().items():
            _, volumes = subject.inputs(scratch / name, GEOMETRIES["axial"])
            odd = {
                role: Volume(voxels(one.voxels.shape), one.affine, one.modality)
                for role, one in volumes.items()
            }
            try:
                subject.run(subject.warm, odd, scratch)
            except AnalysisError as error:
                if not str(error).startswith(f"{subject.analysis.name} raised "):
                    raise ConformanceError(f"on {name} values: {error}") from error
                if "Error:" not in str(error):
                    raise ConformanceError(
                        f"on {name} values {error}; return findings, or raise a MedaetError that says why not"
                    ) from error


def is_deterministic(subject: Subject) -> None:
    """The same input gives the same findings, warm and in a new process."""
    with scratch_folder() as scratch:
        _, volumes = subject.inputs(scratch, GEOMETRIES["axial"])
        found = [plain(subject.run(subject.warm, volumes, scratch)) for _ in range(2)]
        with subject.child() as child:
            found.append(plain(subject.run(child, volumes, scratch)))
        if found[0] != found[1]:
            raise ConformanceError("a second run on the same input found something else")
        if found[0] != found[2]:
            raise ConformanceError("a new process found something else on the same input")


def keeps_its_memory(subject: Subject) -> None:
    """Memory does not grow from run to run, and stays near what the manifest says."""
    with scratch_folder() as scratch:
        child = subject.warm
        _, volumes = subject.inputs(scratch, GEOMETRIES["axial"])
        sizes = []
        for _ in range(RUNS):
            subject.run(child, volumes, scratch)
            sizes.append(status_bytes(child, "VmRSS"))
        grown = sizes[-1] - sizes[1]
        if grown > GROWTH_BYTES:
            raise ConformanceError(
                f"the process grew by {grown >> 20} MB in {RUNS - 2} runs; something is kept between runs"
            )
        peak, said = status_bytes(child, "VmHWM") >> 20, subject.analysis.memory_mb
        if peak > said * MEMORY_FACTOR:
            raise ConformanceError(
                f"a run took {peak} MB, the manifest says memory_mb = {said}; the scheduler relies on it"
            )


def stays_inside(subject: Subject) -> None:
    """No connection, no program, no file outside the folders it is given."""
    with scratch_folder() as scratch:
        log = scratch / "audit"
        (scratch / "work").mkdir()
        _, volumes = subject.inputs(scratch / "series", GEOMETRIES["axial"])
        with subject.child(audit=(log, scratch / "work")) as child:
            try:
                subject.run(child, volumes, scratch / "work")
            except AnalysisError as error:
                _say_what_it_did(log)
                raise ConformanceError(str(error)) from error
        _say_what_it_did(log)


def ends_when_told(subject: Subject) -> None:
    """A run that is cancelled is gone at once, with everything it started."""
    with subject.child() as child, scratch_folder() as scratch:
        _, volumes = subject.inputs(scratch, GEOMETRIES["axial"])
        started = time.monotonic()
        try:
            subject.run(child, volumes, scratch)
            home = child.home
            child.analyse(subject.request(volumes, scratch), on_alive=_cancel)
        except LeaseLostError:
            pass
        except AnalysisError as error:
            raise ConformanceError(str(error)) from error
        if time.monotonic() - started > 2 * subject.seconds + END_SECONDS:
            raise ConformanceError("a cancelled run went on")
        child.close()
        left = _processes_of(home)
        if left:
            raise ConformanceError(
                f"{left} processes outlived the run; start none that leave its group"
            )


def _cancel() -> None:
    raise LeaseLostError("cancelled by the conformance kit")


def _say_what_it_did(log: Path) -> None:
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    sentences = {
        "network": "it uses the network ({}); everything it needs must lie beside the plugin",
        "write": "it writes {}; only tempfile.gettempdir() is its own",
        "program": "it runs the program {}; a worker child runs none",
    }
    for line in lines:
        kind, _, what = line.partition(" ")
        raise ConformanceError(sentences[kind].format(what))


def plain(findings: Findings) -> object:
    """Return what two runs on the same input must agree on."""
    return (
        [(one.label, one.count, np.packbits(one.mask).tobytes()) for one in findings.segments],
        [(one.name.value, one.of, one.value) for one in findings.measurements],
        [*findings.detections, *findings.classifications],
        list(findings.remarks),
    )


def status_bytes(child: WorkerChild, key: str) -> int:
    """Read a figure of the child from the kernel, in bytes."""
    lines = Path(f"/proc/{child.process_id}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def _processes_of(home: Path | None) -> int:
    """Count the processes that still have the child's private folder in their environment."""
    mark = f"HOME={home}".encode()
    count = 0
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            count += mark in path.read_bytes().split(b"\0")
        except OSError:  # it ended, or belongs to somebody else
            continue
    return count


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="medaet-conformance-") as folder:
        yield Path(folder)
