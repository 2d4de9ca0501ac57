"""Segmentations read back: the segments of a SEG object on the grid of a volume, wherever its frames lie.

Frames whose pixels coincide with voxels of the volume, in whatever order and orientation, are copied; others are
stacked, and every voxel takes the pixel that is nearest to its centre.

Source:
    PS3.3 §A.51, §C.8.20 (Segmentation), §C.7.6.16 (functional groups).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.dicom.coded import code_of
from medaet.dicom.codes import ANATOMICAL_STRUCTURE, TISSUE
from medaet.dicom.region import Region
from medaet.errors import GeometryError, InstanceError

MAXIMUM_PIXELS = 1 << 31
COINCIDENT = 0.05
"""Pixels coincide with voxels when their centres lie this close, in voxels."""

Affine = NDArray[np.float64]
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        affine: (4, 4); maps (column, row, 0, 1) to mm, LPS+; its third axis is the normal, one slice long.
        number: Referenced Segment Number; None in a label map.
        pixels: (row, column), as stored.
    """

    affine: Affine
    number: int | None
    pixels: NDArray[np.unsignedinteger]


def segments(
    dataset: Dataset, affine: Affine, shape: Shape, frame_of_reference: str
) -> list[Region]:
    """Put the segments of a SEG object on the grid of a volume.

    Args:
        dataset: A Segmentation: BINARY, FRACTIONAL (from one half of the maximum) or LABELMAP.
        affine: (4, 4); maps (column, row, slice, 1) of the volume to mm, LPS+.
        shape: Voxels of the volume along (slice, row, column).
        frame_of_reference: UID of the frame the volume lies in.

    Raises:
        GeometryError: the object lies in another frame of reference, or has nowhere a place.
        InstanceError: it contradicts itself or cannot be decoded.
    """
    frame = str(dataset.get("FrameOfReferenceUID") or "")
    if frame and frame_of_reference and frame != frame_of_reference:
        raise GeometryError(
            "the segmentation lies in another frame of reference than the series it refers to; register it first"
        )
    frames = list(_frames(dataset))
    described = {int(one.SegmentNumber): one for one in dataset.get("SegmentSequence", [])}
    masks = {number: np.zeros(shape, np.bool_) for number in described}
    _put(frames, masks, np.asarray(np.linalg.inv(affine), np.float64), _threshold(dataset))
    return [
        _region(dataset, described[number], mask) for number, mask in masks.items() if number > 0
    ]


def _region(dataset: Dataset, description: Dataset, mask: NDArray[np.bool_]) -> Region:
    number = int(description.SegmentNumber)
    return Region(
        label=str(description.get("SegmentLabel") or f"Segment {number}"),
        mask=mask,
        code=code_of(description.get("SegmentedPropertyTypeCodeSequence")) or TISSUE,
        category=code_of(description.get("SegmentedPropertyCategoryCodeSequence"))
        or ANATOMICAL_STRUCTURE,
        anatomic_region=code_of(description.get("AnatomicRegionSequence")),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        number=number,
        tracking_uid=str(description.get("TrackingUID") or ""),
    )


def _threshold(dataset: Dataset) -> int:
    """Return the least pixel value that belongs to a segment."""
    if str(dataset.get("SegmentationType")) != "FRACTIONAL":
        return 1
    return (int(dataset.get("MaximumFractionalValue") or 255) + 1) // 2


def _frames(dataset: Dataset) -> Iterator[Frame]:
    count = int(dataset.get("NumberOfFrames") or 1)
    size = count * int(dataset.Rows) * int(dataset.Columns)
    if not 0 < size <= MAXIMUM_PIXELS:
        raise InstanceError(
            f"the segmentation announces {size} pixels, expected 1 to {MAXIMUM_PIXELS}"
        )
    pixels = dataset.pixel_array.reshape(count, int(dataset.Rows), int(dataset.Columns))
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or [Dataset()] * count
    if len(groups) != count:
        raise InstanceError(f"the segmentation has {count} frames, but places for {len(groups)}")
    is_label_map = str(dataset.get("SegmentationType")) == "LABELMAP"
    for group, plane in zip(groups, pixels, strict=True):
        number = None if is_label_map else _segment_number(group, shared)
        yield Frame(_affine(group, shared), number, plane)


def _segment_number(group: Dataset, shared: Dataset) -> int:
    named = _macro("SegmentIdentificationSequence", group, shared)
    return int(named.ReferencedSegmentNumber)


def _affine(group: Dataset, shared: Dataset) -> Affine:
    position = _macro("PlanePositionSequence", group, shared).ImagePositionPatient
    orientation = _macro("PlaneOrientationSequence", group, shared).ImageOrientationPatient
    measures = _macro("PixelMeasuresSequence", group, shared)
    between_rows, between_columns = map(float, measures.PixelSpacing)
    row, column = np.array([float(one) for one in orientation]).reshape(2, 3)
    normal = np.cross(row, column)
    depth = float(measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 1)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * between_columns, column * between_rows
    affine[:3, 2], affine[:3, 3] = normal * depth, [float(one) for one in position]
    if abs(np.linalg.det(affine)) < 1e-12:
        raise GeometryError("the frames of the segmentation have no extent")
    return affine


def _macro(keyword: str, group: Dataset, shared: Dataset) -> Dataset:
    for holder in (group, shared):
        if holder.get(keyword):
            return _first(holder, keyword)
    raise InstanceError(f"a frame of the segmentation has no {keyword}")


def _first(dataset: Dataset, keyword: str) -> Dataset:
    sequence = dataset.get(keyword)
    return sequence[0] if sequence else Dataset()


def _put(
    frames: list[Frame],
    masks: Mapping[int, NDArray[np.bool_]],
    to_index: Affine,
    threshold: int,
) -> None:
    """Put frames into the masks: those that coincide with voxels one by one, the others as a stack."""
    left = [frame for frame in frames if not _copied(frame, masks, to_index, threshold)]
    for number, mask in masks.items():
        stack = [frame for frame in left if frame.number in (None, number)]
        if stack:
            mask[_sampled(stack, number, mask.shape, to_index, threshold)] = True


def _copied(
    frame: Frame, masks: Mapping[int, NDArray[np.bool_]], to_index: Affine, threshold: int
) -> bool:
    """Copy a frame whose pixels coincide with voxels; say whether they do."""
    steps = to_index @ frame.affine
    whole = np.rint(steps)
    far = np.array([[frame.pixels.shape[1] - 1, frame.pixels.shape[0] - 1, 0, 1]])
    apart = np.abs(steps[:3] - whole[:3])
    if max(apart[:, 3].max(), np.abs((steps - whole)[:3] @ far.T).max()) > COINCIDENT:
        return False
    if np.abs(whole[:3, :2]).sum() != 2:
        return False
    for number, mask in masks.items():
        if frame.number not in (None, number):
            continue
        chosen = frame.pixels == number if frame.number is None else frame.pixels >= threshold
        row, column = chosen.nonzero()
        at = whole[:3, :2] @ np.stack([column, row]) + whole[:3, 3:]
        column, row, plane = at.astype(np.int64)
        for index, length in zip((plane, row, column), mask.shape, strict=True):
            if index.size and not 0 <= index.min() <= index.max() < length:
                raise GeometryError(
                    f"segment {number} reaches beyond the series; send all of the series it was drawn on"
                )
        mask[plane, row, column] = True
    return True


def _sampled(
    stack: list[Frame], number: int, shape: tuple[int, ...], to_index: Affine, threshold: int
) -> NDArray[np.bool_]:
    """Give each voxel the pixel nearest to its centre, as far as the stack of frames reaches."""
    first = stack[0].affine
    normal = first[:3, 2] / np.linalg.norm(first[:3, 2])
    heights = np.array([normal @ frame.affine[:3, 3] for frame in stack])
    order = np.argsort(heights)
    depth = _depth(heights[order], float(np.linalg.norm(first[:3, 2])))
    base = stack[int(order[0])].affine.copy()
    base[:3, 2] = normal * depth
    from_voxel = np.linalg.inv(base) @ np.linalg.inv(to_index)
    places = np.rint((heights - heights.min()) / depth).astype(np.int64)
    found = np.zeros(shape, np.bool_)
    rows, columns = stack[0].pixels.shape
    block = np.full((int(places.max()) + 1, rows, columns), False)
    for frame, place in zip(stack, places, strict=True):
        if frame.pixels.shape != (rows, columns) or not np.allclose(
            frame.affine[:3, :2], first[:3, :2], atol=1e-4
        ):
            raise GeometryError(
                "the frames of the segmentation are not parallel planes of one grid"
            )
        block[place] |= (
            frame.pixels == number if frame.number is None else frame.pixels >= threshold
        )
    row, column = np.indices(shape[1:])
    for plane in range(shape[0]):
        voxel = np.stack([column.ravel(), row.ravel(), np.full(row.size, plane), np.ones(row.size)])
        x, y, z = np.rint(from_voxel[:3] @ voxel).astype(np.int64)
        kept = (x >= 0) & (x < columns) & (y >= 0) & (y < rows) & (z >= 0) & (z < len(block))
        found[plane].ravel()[kept] = block[z[kept], y[kept], x[kept]]
    return found


def _depth(heights: NDArray[np.float64], stated: float) -> float:
    """Return the distance of slices in mm: the least gap between frames, as stated when there is only one."""
    gaps = np.diff(heights)
    gaps = gaps[gaps > 1e-3]
    return float(gaps.min()) if gaps.size else stated
