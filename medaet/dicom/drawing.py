"""Objects that draw regions on a series: Segmentations and RT Structure Sets, what they refer to and what they draw."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.errors import InvalidDicomError
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from medaet.dicom.contours import structures
from medaet.dicom.region import Region, distinct
from medaet.dicom.segmentation import segments
from medaet.dicom.volume import Volume
from medaet.errors import InstanceError

MODALITIES = frozenset({"SEG", "RTSTRUCT"})
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


def references(paths: Sequence[Path]) -> tuple[str, ...]:
    """List the Series Instance UIDs that objects refer to, each once; those of unreadable objects are none.

    Source:
        PS3.3 §C.8.20.2 (Referenced Series Sequence), §C.8.8.5 (RT Referenced Series Sequence).
    """
    found: dict[str, None] = {}
    for path in paths:
        try:
            dataset = _read(path, without_pixels=True)
            with _lenient():
                found.update(dict.fromkeys(_referenced(dataset)))
        except InstanceError:
            continue
    return tuple(found)


def with_regions(volume: Volume, paths: Sequence[Path]) -> Volume:
    """Add the regions of objects to the volume they refer to.

    Args:
        volume: As read from its series.
        paths: Part 10 files of Segmentations and RT Structure Sets, in any order.

    Raises:
        GeometryError: a region does not lie on the volume.
        InstanceError: an object cannot be read, or is neither.
    """
    drawn: list[Region] = []
    for path in sorted(paths):
        dataset = _read(path, without_pixels=False)
        uid = str(dataset.get("SOPInstanceUID") or "")
        try:
            with _lenient():
                drawn += _regions(dataset, volume)
        except (
            AttributeError,
            KeyError,
            NotImplementedError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            # pydicom says with these what is missing or malformed; its words may quote values.
            raise InstanceError(
                f"the regions of SOP Instance UID {uid} cannot be read ({type(error).__name__}); export them again"
            ) from error
    return replace(volume, regions=(*volume.regions, *distinct(drawn)))


def _regions(dataset: Dataset, volume: Volume) -> list[Region]:
    slices, rows, columns = volume.voxels.shape
    place = (volume.affine, (slices, rows, columns), volume.frame_of_reference_uid)
    sop_class = str(dataset.SOPClassUID)
    if sop_class in (SegmentationStorage, LABEL_MAP_STORAGE):
        return segments(dataset, *place)
    if sop_class == RTStructureSetStorage:
        return structures(dataset, *place)
    raise InstanceError(
        f"SOP class {sop_class} draws no regions; send a Segmentation or an RT Structure Set"
    )


def _referenced(dataset: Dataset) -> Iterator[str]:
    for series in dataset.get("ReferencedSeriesSequence") or []:
        yield str(series.get("SeriesInstanceUID") or "")
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                yield str(series.get("SeriesInstanceUID") or "")


def _read(path: Path, *, without_pixels: bool) -> Dataset:
    try:
        with _lenient():
            return pydicom.dcmread(path, stop_before_pixels=without_pixels)
    except (InvalidDicomError, OSError, ValueError) as error:
        raise InstanceError(
            f"an object that refers to the series cannot be read ({type(error).__name__})"
        ) from error


@contextmanager
def _lenient() -> Iterator[None]:
    """Take values as they are, without warnings: they quote values, and those may name a patient."""
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
