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

from medaet.dicom.decimal_string import decimal_strings
from medaet.dicom.elements import read_head
from medaet.dicom.geometry import Plane
from medaet.dicom.uid import derived_uid
from medaet.dicom.volume import Volume
from medaet.errors import EncodingError, InstanceError


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
            role: _series(role, self.paths.get(role, ()), volume)
            for role, volume in self.volumes.items()
        }


@dataclass(frozen=True, slots=True)
class Instance:
    """What results repeat of one source instance.

    Attributes:
        position: Image Position (Patient), digit by digit as the header writes it; empty where frames have their own.
    """

    sop_class_uid: str
    position: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SourceSeries:
    """One input: a volume, and what the headers of its instances say.

    Attributes:
        role: Name of the input.
        volume: The voxels, and the planes that they came from.
        first: Data set of the first slice's instance without pixels, for all that the instances share.
        instances: By SOP Instance UID, in the order in which the slices meet them.
    """

    role: str
    volume: Volume
    first: Dataset
    instances: Mapping[str, Instance]

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
        given = self.instances[plane.sop_instance_uid].position
        return given if given and not plane.frame else decimal_strings(plane.position)

    def frames(self, sop_instance_uid: str) -> tuple[int, ...]:
        """Return which frames of an instance are slices of the volume; none for an instance of one frame."""
        return tuple(
            sorted(
                plane.frame
                for plane in self.volume.planes
                if plane.sop_instance_uid == sop_instance_uid and plane.frame
            )
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Take header values as they are.

    Scanners write values that their representation forbids. They are copied verbatim, and pydicom's
    warnings, which quote them, must not reach a log: they may name a patient.
    """
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _series(role: str, paths: Sequence[Path], volume: Volume) -> SourceSeries:
    found: dict[str, tuple[Path, Instance]] = {}
    for path in paths:
        uid, instance = _instance(path)
        found.setdefault(uid, (path, instance))
    wanted = volume.sop_instance_uids
    absent = [uid for uid in wanted if uid not in found]
    if absent or not wanted:
        raise EncodingError(
            f"input {role!r} has {volume.voxels.shape[0]} slices, but no file for {len(absent)} "
            f"of its {len(wanted)} SOP instances; run the analysis again"
        )
    first = _header(found[wanted[0]][0])
    return SourceSeries(role, volume, first, {uid: found[uid][1] for uid in wanted})


def _instance(path: Path) -> tuple[str, Instance]:
    try:
        elements = read_head(path)
    except InstanceError as error:
        raise EncodingError(f"the source file {path.name} cannot be read again: {error}") from error
    position = elements.ascii("ImagePositionPatient")
    return elements.ascii("SOPInstanceUID"), Instance(
        sop_class_uid=elements.ascii("SOPClassUID"),
        position=tuple(part.strip() for part in position.split("\\")) if position else (),
    )


def _header(path: Path) -> Dataset:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError) as error:
        raise EncodingError(f"the source file {path.name} cannot be read again: {error}") from error
