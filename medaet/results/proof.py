"""The proof of a segmentation: read back, placed in the patient, compared voxel for voxel.

It shares no code with the encoder: pydicom reads tags, everything else is arithmetic on what they
say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.plugin.findings import Segment
from medaet.results.original import (
    Original,
    letters,
    parsed,
    prove_identity,
    read_original,
    refused_when_malformed,
    steps,
    vector,
)

CENTROID_TOLERANCE_MM = 1e-3
POSITION_TOLERANCE_MM = 1e-3
VOLUME_TOLERANCE = 1e-3
"""Relative; spacings are decimal strings of at most 16 characters."""
GRID_TOLERANCE = 0.25
"""Distance of a voxel from the grid, in voxels: slices of real series wobble."""


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What a segmentation must say.

    Attributes:
        segments: In the order of their numbers.
        volume: The grid of the masks, with the SOP Instance UID of each slice.
        paths: The files of the source series.
    """

    segments: Sequence[Segment]
    volume: Volume
    paths: Sequence[Path]


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """One frame of the segmentation.

    Attributes:
        number: From 1.
        segment: Number of its segment.
        packed: Bytes that hold its pixels; unpacked one at a time, for there may be thousands.
        first_bit: Where in `packed` the pixels begin.
        shape: Rows and columns.
        position: Centre of the first pixel in patient coordinates, in mm.
        along_columns: Step from one pixel to the next in a row, in mm.
        along_rows: Step from one row to the next, in mm.
        source: SOP Instance UID of the image it was derived from.
    """

    number: int
    segment: int
    packed: NDArray[np.uint8]
    first_bit: int
    shape: tuple[int, int]
    position: NDArray[np.float64]
    along_columns: NDArray[np.float64]
    along_rows: NDArray[np.float64]
    source: str


def prove_segmentation(content: bytes, expected: Expectation) -> dict[str, object]:
    """Read a segmentation back and compare it with the masks it was made from.

    Args:
        content: The PS3.10 file as it will be sent.
        expected: The masks, their grid, and the files they were found on.

    Returns:
        The figures: numbers of segments, frames and voxels compared, and the largest distance of
        centroids in mm.

    Raises:
        ProofError: saying what differs and where.
    """
    dataset = parsed(content, "PixelData")
    original = read_original(expected.paths)
    with refused_when_malformed():
        prove_identity(dataset, original)
        _prove_references(dataset, original, expected.volume)
        _prove_labels(dataset, expected.segments)
        _prove_volume(dataset, expected.volume)
        frames = list(_frames(dataset))
        distances = [
            _prove_segment(
                segment,
                [frame for frame in frames if frame.segment == number],
                expected.volume,
                original,
            )
            for number, segment in enumerate(expected.segments, 1)
        ]
    return {
        "segments": len(expected.segments),
        "frames": len(frames),
        "voxels_compared": sum(segment.mask.size for segment in expected.segments),
        "centroid_distance_mm": round(max(distances, default=0.0), 9),
    }


def _prove_references(dataset: Dataset, original: Original, volume: Volume) -> None:
    frame_of_reference = original.header.get("FrameOfReferenceUID")
    if frame_of_reference and dataset.get("FrameOfReferenceUID") != frame_of_reference:
        raise ProofError("the segmentation has another Frame of Reference UID than its source")
    series = dataset.ReferencedSeriesSequence[0]
    if series.SeriesInstanceUID != original.header.SeriesInstanceUID:
        raise ProofError("the segmentation refers to another series than its source")
    referenced = {str(item.ReferencedSOPInstanceUID) for item in series.ReferencedInstanceSequence}
    strangers = referenced - set(volume.sop_instance_uids)
    if strangers or not referenced:
        raise ProofError(
            f"the segmentation refers to {len(strangers)} SOP instances that are not in its source"
        )


def _prove_labels(dataset: Dataset, segments: Sequence[Segment]) -> None:
    found = [
        (int(item.SegmentNumber), code.CodeValue, letters(item.SegmentLabel))
        for item in dataset.SegmentSequence
        for code in item.SegmentedPropertyTypeCodeSequence
    ]
    wanted = [
        (number, segment.code.value, letters(segment.label))
        for number, segment in enumerate(segments, 1)
    ]
    if found != wanted:
        raise ProofError(f"the segments are numbered and named {found}, expected {wanted}")


def _frames(dataset: Dataset) -> Iterator[_Frame]:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if len(dataset.PerFrameFunctionalGroupsSequence) != int(dataset.NumberOfFrames):
        raise ProofError("the segmentation has not as many functional groups as frames")
    packed = np.frombuffer(dataset.PixelData, np.uint8)
    for index, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        along_columns, along_rows = steps(
            _group(own, shared, "PlaneOrientationSequence").ImageOrientationPatient,
            _group(own, shared, "PixelMeasuresSequence").PixelSpacing,
        )
        derivation = _group(own, shared, "DerivationImageSequence").SourceImageSequence[0]
        first = index * rows * columns
        identification = _group(own, shared, "SegmentIdentificationSequence")
        yield _Frame(
            number=index + 1,
            segment=int(identification.ReferencedSegmentNumber),
            packed=packed[first // 8 : -(-(first + rows * columns) // 8)],
            first_bit=first % 8,
            shape=(rows, columns),
            position=vector(_group(own, shared, "PlanePositionSequence").ImagePositionPatient),
            along_columns=along_columns,
            along_rows=along_rows,
            source=str(derivation.ReferencedSOPInstanceUID),
        )


def _group(own: Dataset, shared: Dataset, keyword: str) -> Dataset:
    """Return a functional group, which a frame has for itself or shares (PS3.3 §C.7.6.16)."""
    sequence = own.get(keyword) or shared.get(keyword)
    if not sequence:
        raise ProofError(f"a frame of the segmentation has no {keyword}")
    item: Dataset = sequence[0]
    return item


def _pixels(frame: _Frame) -> NDArray[np.bool_]:
    """Unpack a frame, the least significant bit of each byte first (PS3.5 §8.1.1, §D)."""
    rows, columns = frame.shape
    bits = np.unpackbits(frame.packed, bitorder="little")[frame.first_bit :][: rows * columns]
    if bits.size < rows * columns:
        raise ProofError("the segmentation has fewer pixels than its frames need")
    return bits.reshape(rows, columns).astype(bool)


def _prove_segment(
    segment: Segment, frames: Sequence[_Frame], volume: Volume, original: Original
) -> float:
    """Rebuild one mask from frames, compare it, and return the distance of the centroids in mm."""
    rebuilt = np.zeros_like(segment.mask)
    total, points = np.zeros(3), 0
    for frame in frames:
        rows, columns = np.nonzero(_pixels(frame))
        _place(rebuilt, frame, (rows, columns), volume)
        _prove_source(frame, volume, original)
        total += rows.size * frame.position
        total += columns.sum() * frame.along_columns + rows.sum() * frame.along_rows
        points += rows.size
    missing = int(np.count_nonzero(segment.mask & ~rebuilt))
    extra = int(np.count_nonzero(rebuilt & ~segment.mask))
    if missing or extra:
        raise ProofError(
            f"segment {segment.label!r} is not where the analysis put it: "
            f"{missing} voxels are missing and {extra} are too many"
        )
    distance = float(np.linalg.norm(total / max(points, 1) - _centroid(segment, volume, original)))
    if distance > CENTROID_TOLERANCE_MM:
        raise ProofError(f"the centroid of segment {segment.label!r} is {distance:.4f} mm away")
    return distance


def _place(
    rebuilt: NDArray[np.bool_],
    frame: _Frame,
    voxels: tuple[NDArray[np.intp], NDArray[np.intp]],
    volume: Volume,
) -> None:
    """Set the frame's voxels in the grid of the volume, by way of patient coordinates."""
    inverse = np.linalg.inv(volume.affine)
    origin = (inverse @ np.append(frame.position, 1))[:3]
    step_column = inverse[:3, :3] @ frame.along_columns
    step_row = inverse[:3, :3] @ frame.along_rows
    rows, columns = voxels
    index = origin + columns[:, None] * step_column + rows[:, None] * step_row
    nearest = np.rint(index).astype(np.intp)
    if index.size and np.abs(index - nearest).max() > GRID_TOLERANCE:
        raise ProofError(
            f"frame {frame.number} lies between the voxels of the source, or has another spacing"
        )
    column, row, slices = nearest.T
    inside = np.all((nearest >= 0) & (nearest < rebuilt.shape[::-1]), axis=1)
    if not inside.all():
        raise ProofError(f"frame {frame.number} reaches out of the source")
    rebuilt[slices, row, column] = True


def _prove_source(frame: _Frame, volume: Volume, original: Original) -> None:
    inverse = np.linalg.inv(volume.affine)
    place = int(np.rint((inverse @ np.append(frame.position, 1))[2]))
    on_a_slice = 0 <= place < len(volume.sop_instance_uids)
    if not on_a_slice or frame.source != volume.sop_instance_uids[place]:
        raise ProofError(f"frame {frame.number} names another source image than the one it lies on")
    away = float(np.linalg.norm(frame.position - original.positions[frame.source]))
    if away > POSITION_TOLERANCE_MM:
        raise ProofError(f"frame {frame.number} lies {away:.4f} mm away from its source image")


def _centroid(segment: Segment, volume: Volume, original: Original) -> NDArray[np.float64]:
    """Return the centroid of the mask in mm, with slices where the source's files say."""
    mask = segment.mask
    counts = mask.sum(axis=(1, 2), dtype=np.int64)
    columns = int((mask.sum(axis=(0, 1), dtype=np.int64) * np.arange(mask.shape[2])).sum())
    rows = int((mask.sum(axis=(0, 2), dtype=np.int64) * np.arange(mask.shape[1])).sum())
    places = np.stack([original.positions[uid] for uid in volume.sop_instance_uids])
    total = counts @ places + columns * original.along_columns + rows * original.along_rows
    return np.asarray(total / counts.sum(), dtype=np.float64)


def _prove_volume(dataset: Dataset, volume: Volume) -> None:
    """Compare the volume of a voxel, as a viewer will compute it, with that of the source."""
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    between_rows, between_columns = map(float, measures.PixelSpacing)
    voxel_ml = between_rows * between_columns * float(measures.SpacingBetweenSlices) / 1000
    if abs(voxel_ml / volume.voxel_ml - 1) > VOLUME_TOLERANCE:
        raise ProofError(
            f"the segmentation has voxels of {voxel_ml:.6f} ml, "
            f"its source has voxels of {volume.voxel_ml:.6f} ml"
        )
