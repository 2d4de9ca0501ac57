"""Checks of the conformance kit where something is scarce: time, and memory."""

import resource

import numpy as np

from medaet.errors import (
    AnalysisError,
    ChildCrashedError,
    ChildTimeoutError,
    ConformanceError,
    OutOfMemoryError,
)
from medaet.testing.bodies import GEOMETRIES, Body
from medaet.testing.conformance import Subject, plain, scratch_folder, status_bytes
from medaet.worker.child import WorkerChild

LARGE = Body(spacing_mm=(1.5, 1.0, 1.0), shape=(128, 256, 256))
"""A mask of it has eight million voxels: more than any process has lying about from a smaller run."""

SPARE_BYTES = 1 << 20


def keeps_to_its_time(subject: Subject) -> None:
    """A run on a small phantom ends long before a job's time limit."""
    with subject.child() as child, scratch_folder() as scratch:
        _, volumes = subject.inputs(scratch, GEOMETRIES["axial"])
        try:
            subject.run(child, volumes, scratch)
        except ChildTimeoutError as error:
            slices, rows, columns = GEOMETRIES["axial"].shape
            raise ConformanceError(
                f"a run on {slices} slices of {rows} x {columns} did not end in {subject.seconds:g} s; it waits for "
                "something, or holds Python's lock"
            ) from error


def stands_too_little_memory(subject: Subject) -> None:
    """Where memory does not suffice the run fails as such, or finds the same in smaller steps; nothing is left out."""
    with subject.child() as child, scratch_folder() as scratch:
        _, small = subject.inputs(scratch / "small", GEOMETRIES["axial"])
        _, large = subject.inputs(scratch / "large", LARGE)
        try:
            subject.run(child, small, scratch)  # what it needs at any rate is there now
            inputs = sum(np.asarray(one.voxels).nbytes for one in large.values())
            _leave(child, inputs + SPARE_BYTES)
            found = plain(subject.run(child, large, scratch))
        except (OutOfMemoryError, ChildCrashedError):
            return
        except AnalysisError as error:
            raise ConformanceError(
                f"where memory does not suffice: {error}; let MemoryError and torch's errors of memory pass, so that "
                "the job is tried again in smaller steps, or where there is more"
            ) from error
        child.close()
        if found != plain(subject.run(subject.warm, large, scratch)):
            raise ConformanceError(
                "where memory does not suffice it finds something else, and says nothing; let MemoryError pass"
            )


def _leave(child: WorkerChild, spare_bytes: int) -> None:
    """Let a child take no more than so much beyond what it has (RLIMIT_DATA, as the daemon limits it)."""
    process = child.process_id
    assert process is not None
    _, hard = resource.prlimit(process, resource.RLIMIT_DATA)
    limit = status_bytes(child, "VmData") + spare_bytes
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.prlimit(process, resource.RLIMIT_DATA, (limit, hard))
