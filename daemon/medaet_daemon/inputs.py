"""The inputs of a job: its series as files and as volumes, read the same way for analysing and for encoding."""

from pathlib import Path

from medaet.dicom.decoders import Decoders
from medaet.dicom.origin import check_one_patient
from medaet.dicom.stack import WHATEVER, Choice
from medaet.dicom.volume import Volume, read_volume
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

    def volumes(self, job: Job) -> dict[str, Volume]:
        """Read the volume of each role.

        Raises:
            GeometryError: a series holds no volume of the kind that the analysis takes.
            InstanceError: a file cannot be read or decoded.
            SelectionError: the series are not certainly of one patient.
        """
        check_one_patient(self.paths(job))
        return {
            role: read_volume(paths, self._choice(job, role), decoders=self._decoders)
            for role, paths in self.paths(job).items()
        }

    def close(self) -> None:
        """End the decoder processes."""
        self._decoders.close()

    def _choice(self, job: Job, role: str) -> Choice:
        analysis = self._registry.analyses.get(job.analysis)
        selector = analysis.inputs.get(role) if analysis else None
        return selector.choice if selector else WHATEVER
