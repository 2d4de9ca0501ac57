"""The inputs of a job: its series as files and as volumes, read the same way for analysing and for encoding."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from medaet.dicom.codes import SERIES_INCOMPLETE
from medaet.dicom.decoders import Decoders
from medaet.dicom.origin import check_one_patient
from medaet.dicom.problem import Problem
from medaet.dicom.volume import Volume
from medaet.dicom.voxels import Allocate
from medaet.plugin.inputs import read_inputs
from medaet.plugin.registry import Registry
from medaet.queue.rows import Job
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore


class Inputs:
    """Reads what jobs look at.

    Args:
        instances: The index.
        spool: Where the files are.
        registry: Knows what each analysis asks of its series.
    """

    def __init__(self, instances: InstanceStore, spool: Spool, registry: Registry) -> None:
        self._instances = instances
        self._spool = spool
        self._registry = registry
        self._decoders = Decoders()

    def paths(self, job: Job) -> dict[str, list[Path]]:
        """List the files of each role."""
        return {
            role: [
                self._spool.path(path)
                for path in self._instances.paths(one.series_id, one.generation)
            ]
            for role, one in job.inputs.items()
        }

    def volumes(self, job: Job, *, allocate: Allocate = np.empty) -> dict[str, Volume]:
        """Read the volume of each role of images, with the regions that other roles draw on it.

        Args:
            job: Whose inputs they are.
            allocate: Makes the arrays that voxels are read into.

        Raises:
            GeometryError: a series holds no volume of the kind that the analysis takes, or a region does not lie on it.
            InstanceError: a file cannot be read or decoded.
            SelectionError: the series are not certainly of one patient.
        """
        self._registry.refresh()
        analysis = self._registry.analyses.get(job.analysis)
        paths = self.paths(job)
        check_one_patient(paths)
        volumes = read_inputs(analysis.inputs if analysis else {}, paths, self._decoders, allocate)
        return {role: self._told(volume, job, role) for role, volume in volumes.items()}

    def memory_mb(self, job: Job) -> int:
        """Return what the analysis says a run takes; 0 when it is not installed."""
        analysis = self._registry.analyses.get(job.analysis)
        return analysis.memory_mb if analysis else 0

    def close(self) -> None:
        """End the decoder processes."""
        self._decoders.close()

    def _told(self, volume: Volume, job: Job, role: str) -> Volume:
        """Have a volume say so when its series was closed although something was missing."""
        one = job.inputs[role]
        reason = self._instances.why_incomplete(one.series_id, one.generation)
        if reason is None:
            return volume
        problem = Problem(SERIES_INCOMPLETE, f"The series was analysed as it was, {reason}.")
        return replace(volume, problems=(*volume.problems, problem))
