"""The series that results are made from: volumes beside the headers of their slices."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.errors import InvalidDicomError

from medaet.dicom.uid import derived_uid
from medaet.dicom.volume import Volume
from medaet.errors import EncodingError


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Everything an analysis was given, by role.

    Attributes:
        paths: Files of the instances, in any order.
        volumes: The volumes read from them, with the SOP Instance UIDs of their slices; the study
            of the first role is the one that the report belongs to.
    """

    paths: Mapping[str, Sequence[Path]]
    volumes: Mapping[str, Volume]

    def series(self) -> dict[str, "SourceSeries"]:
        """Read the headers of every role.

        Raises:
            EncodingError: a slice of a volume has no file.
        """
        return {
            role: SourceSeries(role, volume, _headers(role, self.paths.get(role, ()), volume))
            for role, volume in self.volumes.items()
        }


@dataclass(frozen=True, slots=True, eq=False)
class SourceSeries:
    """One input: a volume, and what the headers of its slices say.

    Attributes:
        role: Name of the input.
        volume: The voxels; its slices run as `headers` do.
        headers: Data set of each slice without pixels, in slice order.
    """

    role: str
    volume: Volume
    headers: tuple[Dataset, ...]

    @property
    def first(self) -> Dataset:
        """Header of the first slice, for all that the slices share."""
        return self.headers[0]

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame of Reference UID; derived from the series where the scanner gave none."""
        given = str(self.first.get("FrameOfReferenceUID") or "")
        return given or derived_uid("frame of reference", str(self.first.SeriesInstanceUID))


@contextmanager
def quiet() -> Iterator[None]:
    """Take header values as they are.

    Scanners write values that their representation forbids. They are copied verbatim, and pydicom's
    warnings, which quote them, must not reach a log: they may name a patient.
    """
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _headers(role: str, paths: Sequence[Path], volume: Volume) -> tuple[Dataset, ...]:
    if any(plane.frame for plane in volume.planes) or volume.voxels.shape[0] != len(volume.planes):
        raise EncodingError(f"input {role!r} is not one instance for each slice")
    found: dict[str, Dataset] = {}
    for path in paths:
        header = _header(path)
        found.setdefault(str(header.get("SOPInstanceUID")), header)
    absent = [uid for uid in volume.sop_instance_uids if uid not in found]
    if absent:
        raise EncodingError(
            f"input {role!r} has {volume.voxels.shape[0]} slices, but no file for {len(absent)} "
            f"of its {len(volume.sop_instance_uids)} SOP instances; run the analysis again"
        )
    return tuple(found[uid] for uid in volume.sop_instance_uids)


def _header(path: Path) -> Dataset:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError) as error:
        raise EncodingError(f"the source file {path.name} cannot be read again: {error}") from error
