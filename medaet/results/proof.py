"""The proof of a segmentation: read back, placed in the patient, compared voxel for voxel.

It shares no code with the encoder: the frames are found and read by `medaet.results.decoded`, everything else is
arithmetic on what they say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.plugin.segment import Segment
from medaet.results.decoded import Decoded, DecodedFrame
from medaet.results.original import (
    Original,
    letters,
    parsed,
    prove_identity,
    read_original,
    refused_when_malformed,
)
from medaet.results.place import Places, moments

CENTROID_TOLERANCE_MM = 1e-3
VOLUME_TOLERANCE = 1e-3
"""Relative; spacings are decimal strings of at most 16 characters."""


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What a segmentation must say.

    Attributes:
        segments: In the order of their numbers.
        volume: The grid of the masks, with the source plane of each slice.
        original: The source, read anew from its files.
    """

    segments: Sequence[Segment]
    volume: Volume
    original: Original

    @classmethod
    def of(
        cls, segments: Sequence[Segment], volume: Volume, paths: Sequence[Path]
    ) -> "Expectation":
        """Read the source from its files."""
        return cls(segments, volume, read_original(paths, volume.planes[0].sop_instance_uid))


def prove_segmentation(path: Path, expected: Expectation) -> dict[str, object]:
    """Read a segmentation back and compare it with the masks it was made from.

    Args:
        path: The PS3.10 file as it will be sent.
        expected: The masks, their grid, and the files they were found on.

    Returns:
        The figures: numbers of segments, frames and voxels compared, and the largest distance of
        centroids in mm.

    Raises:
        ProofError: saying what differs and where.
    """
    dataset = parsed(path, "PixelData")
    original = expected.original
    with refused_when_malformed(), Decoded(path) as decoded:
        prove_identity(dataset, original)
        prove_references(dataset, original, expected.volume)
        _prove_labels(dataset, expected.segments)
        prove_volume(dataset, expected.volume)
        places = Places(expected.volume, original, decoded.shape)
        is_fractional = dataset.SegmentationType == "FRACTIONAL"
        tallies = [Tally(one, expected.volume) for one in expected.segments]
        for index in range(len(decoded)):
            frame = decoded.frame(index)
            plane = places.of(frame)
            pixels = decoded.pixels(index)
            if is_fractional:
                _prove_probability(frame, pixels, tallies, expected.volume.slices[plane], plane)
            elif frame.segment:
                _tally(frame, tallies).compare(frame, pixels.astype(bool), plane)
            else:
                _prove_label_map(frame, pixels, tallies, plane)
        distances = [one.distance_mm(places, is_fractional=is_fractional) for one in tallies]
    return {
        "segments": len(expected.segments),
        "frames": len(decoded),
        "voxels_compared": sum(int(np.prod(one.voxels.shape)) for one in expected.segments),
        "centroid_distance_mm": round(max(distances, default=0.0), 9),
    }


class Tally:
    """One segment while its frames are compared, one plane of the source at a time."""

    def __init__(self, segment: Segment, volume: Volume) -> None:
        self.segment = segment
        self._volume = volume
        self._seen: set[int] = set()
        self._missing = self._extra = 0
        self._total = np.zeros(3)
        self._points = 0

    def compare(self, frame: DecodedFrame, pixels: NDArray[np.bool_], plane: int) -> None:
        """Compare one frame with the mask on the plane where it lies.

        Raises:
            ProofError: the plane had a frame already.
        """
        self.see(frame, plane)
        expected = self.segment.voxels.plane(self._volume.slices[plane])
        if (expected != pixels).any():
            self._missing += int(np.count_nonzero(expected & ~pixels))
            self._extra += int(np.count_nonzero(pixels & ~expected))
        count, down, along = moments(pixels)
        self._total += count * frame.position
        self._total += along * frame.along_columns + down * frame.along_rows
        self._points += count

    def see(self, frame: DecodedFrame, plane: int) -> None:
        """Note that a plane had its frame.

        Raises:
            ProofError: it had one already.
        """
        if plane in self._seen:
            raise ProofError(
                f"frame {frame.number} of segment {self.segment.label!r} lies where another does"
            )
        self._seen.add(plane)

    def distance_mm(self, places: Places, *, is_fractional: bool) -> float:
        """Return the distance of the centroids, once all frames were compared.

        Raises:
            ProofError: voxels are missing or too many, or the centroids are apart.
        """
        absent = [p for k, p in enumerate(self._volume.slices) if k not in self._seen]
        if is_fractional:
            probability = self.segment.probability
            assert probability is not None
            self._missing = sum(int(np.count_nonzero(probability[place])) for place in absent)
        else:
            self._missing += int(self.segment.voxels.counts[absent].sum())
        if self._missing or self._extra:
            raise ProofError(
                f"segment {self.segment.label!r} is not where the analysis put it: "
                f"{self._missing} voxels are missing and {self._extra} are too many"
            )
        if is_fractional:
            return 0.0
        found = self._total / max(self._points, 1)
        distance = float(np.linalg.norm(found - places.centroid(self.segment)))
        if distance > CENTROID_TOLERANCE_MM:
            raise ProofError(
                f"the centroid of segment {self.segment.label!r} is {distance:.4f} mm away"
            )
        return distance


def prove_references(dataset: Dataset, original: Original, volume: Volume) -> None:
    """Compare the series, the instances and the frame of reference that a result names with its source.

    Raises:
        ProofError: they are others.
    """
    frame_of_reference = original.header.get("FrameOfReferenceUID")
    if frame_of_reference and dataset.get("FrameOfReferenceUID") != frame_of_reference:
        raise ProofError("the result has another Frame of Reference UID than its source")
    series = dataset.ReferencedSeriesSequence[0]
    if series.SeriesInstanceUID != original.header.SeriesInstanceUID:
        raise ProofError("the result refers to another series than its source")
    referenced = {str(item.ReferencedSOPInstanceUID) for item in series.ReferencedInstanceSequence}
    strangers = referenced - (set(volume.sop_instance_uids) & set(original.sop_class_uids))
    if strangers or not referenced:
        raise ProofError(
            f"the result refers to {len(strangers)} SOP instances that are not in its source"
        )


def prove_volume(dataset: Dataset, volume: Volume) -> None:
    """Compare the volume of a voxel, as a viewer will compute it, with that of the source.

    Raises:
        ProofError: they differ.
    """
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    between_rows, between_columns = map(float, measures.PixelSpacing)
    voxel_ml = between_rows * between_columns * float(measures.SpacingBetweenSlices) / 1000
    if abs(voxel_ml / volume.voxel_ml - 1) > VOLUME_TOLERANCE:
        raise ProofError(
            f"the result has voxels of {voxel_ml:.6f} ml, its source of {volume.voxel_ml:.6f} ml"
        )


def _prove_labels(dataset: Dataset, segments: Sequence[Segment]) -> None:
    found = [
        (int(item.SegmentNumber), code.CodeValue, letters(item.SegmentLabel))
        for item in dataset.SegmentSequence
        for code in item.SegmentedPropertyTypeCodeSequence
        if int(item.SegmentNumber)  # 0 is the background of a label map
    ]
    wanted = [
        (number, segment.code.value, letters(segment.label))
        for number, segment in enumerate(segments, 1)
    ]
    if found != wanted:
        raise ProofError(f"the segments are numbered and named {found}, expected {wanted}")


def _tally(frame: DecodedFrame, tallies: Sequence[Tally]) -> Tally:
    if not 0 < frame.segment <= len(tallies):
        raise ProofError(f"frame {frame.number} belongs to segment {frame.segment}, which is none")
    return tallies[frame.segment - 1]


def _prove_label_map(
    frame: DecodedFrame, labels: NDArray[Any], tallies: Sequence[Tally], plane: int
) -> None:
    if int(labels.max(initial=0)) > len(tallies):
        raise ProofError(f"frame {frame.number} holds numbers that no segment has")
    for number, tally in enumerate(tallies, 1):
        tally.compare(frame, labels == number, plane)


def _prove_probability(
    frame: DecodedFrame,
    pixels: NDArray[Any],
    tallies: Sequence[Tally],
    place: int,
    plane: int,
) -> None:
    tally = _tally(frame, tallies)
    expected = tally.segment.probability
    if expected is None or not np.array_equal(pixels, expected[place]):
        raise ProofError(
            f"frame {frame.number} does not hold the probabilities of {tally.segment.label!r}"
        )
    tally.see(frame, plane)
