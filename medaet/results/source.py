"""The series that results are made from: volumes beside the headers of their instances."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.errors import InvalidDicomError

from medaet.dicom.geometry import Plane
from medaet.dicom.uid import derived_uid
from medaet.dicom.volume import Volume
from medaet.errors import EncodingError


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Everything an analysis was given, by role.

    Attributes:
        paths: Files of the instances, in any order.
        volumes: The volumes read from them, with the planes that their slices came from; the study of the first role
            is the one that the report belongs to.
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
    """One input: a volume, and what the headers of its instances say.

    Attributes:
        role: Name of the input.
        volume: The voxels, and the planes that they came from.
        headers: Data set without pixels, by SOP Instance UID, in the order in which the slices meet them.
    """

    role: str
    volume: Volume
    headers: Mapping[str, Dataset]

    @property
    def first(self) -> Dataset:
        """Header of the first slice's instance, for all that the instances share."""
        return next(iter(self.headers.values()))

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame of Reference UID; derived from the series where the scanner gave none."""
        given = str(self.first.get("FrameOfReferenceUID") or "")
        return given or derived_uid("frame of reference", str(self.first.SeriesInstanceUID))

    @property
    def slice_distance_mm(self) -> float:
        """Distance between the planes of neighbouring slices, along their normal."""
        between_rows, between_columns = self.volume.planes[0].pixel_spacing
        return self.volume.voxel_ml * 1000 / (between_rows * between_columns)

    def position(self, plane: Plane) -> tuple[str, ...]:
        """Return Image Position (Patient) of a plane: as its header writes it, digit by digit, where it has its own."""
        given = self.headers[plane.sop_instance_uid].get("ImagePositionPatient")
        if given and not plane.frame:
            return tuple(str(part) for part in given)
        return decimal_strings(plane.position)

    def frames(self, sop_instance_uid: str) -> tuple[int, ...]:
        """Return which frames of an instance are slices of the volume; none for an instance of one frame."""
        return tuple(
            sorted(
                plane.frame
                for plane in self.volume.planes
                if plane.sop_instance_uid == sop_instance_uid and plane.frame
            )
        )


def decimal_strings(numbers: Sequence[float]) -> tuple[str, ...]:
    """Return numbers as decimal strings of at most 16 characters (PS3.5 §6.2, VR DS)."""
    return tuple(pydicom.valuerep.format_number_as_ds(float(number)) for number in numbers)


@contextmanager
def quiet() -> Iterator[None]:
    """Take header values as they are.

    Scanners write values that their representation forbids. They are copied verbatim, and pydicom's
    warnings, which quote them, must not reach a log: they may name a patient.
    """
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _headers(role: str, paths: Sequence[Path], volume: Volume) -> dict[str, Dataset]:
    found: dict[str, Dataset] = {}
    for path in paths:
        header = _header(path)
        found.setdefault(str(header.get("SOPInstanceUID")), header)
    wanted = volume.sop_instance_uids
    absent = [uid for uid in wanted if uid not in found]
    if absent or not wanted:
        raise EncodingError(
            f"input {role!r} has {volume.voxels.shape[0]} slices, but no file for {len(absent)} "
            f"of its {len(wanted)} SOP instances; run the analysis again"
        )
    return {uid: found[uid] for uid in wanted}


def _header(path: Path) -> Dataset:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError) as error:
        raise EncodingError(f"the source file {path.name} cannot be read again: {error}") from error
