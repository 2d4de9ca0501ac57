"""Masks of the structures that SEG and RTSTRUCT objects describe, on the grid of an image series."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage
from scipy import ndimage

from medaet.dicom.volume import Volume
from medaet.errors import GeometryError

Mask = NDArray[np.bool_]
NEAR_SLICE = 0.6
"""A contour belongs to the slice whose plane is nearest, if that is within this fraction of the slice distance."""


def read_masks(paths: Sequence[Path], volume: Volume) -> dict[str, Mask]:
    """Read every structure of some objects.

    A segment that carries the Tracking UID of an earlier one, or its name, takes its place: that is how a corrected
    segmentation comes back.

    Args:
        paths: SEG and RTSTRUCT files that refer to the series, the oldest first.
        volume: The series.

    Returns:
        Masks (slice, row, column) by segment label or ROI name, case folded.

    Raises:
        GeometryError: an object lies in another frame of reference.
    """
    masks: dict[str, Mask] = {}
    tracked: dict[str, str] = {}
    for path in paths:
        for name, tracking_uid, mask in _structures(path, volume):
            replaced = tracked.get(tracking_uid) if tracking_uid else None
            if replaced is not None:
                masks.pop(replaced, None)
            if tracking_uid:
                tracked[tracking_uid] = name
            masks[name] = mask
    return masks


def _structures(path: Path, volume: Volume) -> Iterable[tuple[str, str, Mask]]:
    dataset = dcmread(path)
    frames = {str(dataset.get("FrameOfReferenceUID") or "")}
    frames |= {
        str(item.FrameOfReferenceUID)
        for item in dataset.get("ReferencedFrameOfReferenceSequence", ())
    }
    frames.discard("")
    if volume.frame_of_reference_uid and frames and volume.frame_of_reference_uid not in frames:
        raise GeometryError(
            f"SOP Instance UID {dataset.SOPInstanceUID}: its frame of reference is not that of the series "
            "it refers to; register them, or take it out of the data"
        )
    if dataset.SOPClassUID == RTStructureSetStorage:
        yield from _regions(dataset, volume)
    else:
        yield from _segments(dataset, volume)


def _segments(dataset: Dataset, volume: Volume) -> Iterable[tuple[str, str, Mask]]:
    """Read the segments of a SEG (PS3.3 §A.51) by nearest voxel, so on its own grid exactly."""
    seg = hd.seg.Segmentation.from_dataset(dataset, copy=False)
    onto = _array_affine(volume.affine)
    for number in seg.segment_numbers:
        description = seg.get_segment_description(number)
        one = seg.get_volume(segment_numbers=[number], combine_segments=True, relabel=True)
        matrix = np.linalg.inv(np.asarray(one.affine)) @ onto
        mask = ndimage.affine_transform(
            np.asarray(one.array > 0, dtype=np.uint8),
            matrix[:3, :3],
            matrix[:3, 3],
            output_shape=volume.voxels.shape,
            order=0,
        )
        tracking = str(description.tracking_uid or "")
        yield str(description.segment_label).strip().casefold(), tracking, mask > 0


def _regions(dataset: Dataset, volume: Volume) -> Iterable[tuple[str, str, Mask]]:
    """Fill the contours of an RTSTRUCT (PS3.3 §C.8.8.6); contours inside others are holes."""
    names = {
        int(item.ROINumber): str(item.get("ROIName") or "")
        for item in dataset.get("StructureSetROISequence", ())
    }
    inverse = np.linalg.inv(volume.affine)
    for region in dataset.get("ROIContourSequence", ()):
        mask = np.zeros(volume.voxels.shape, dtype=np.bool_)
        for contour in region.get("ContourSequence", ()):
            if contour.get("ContourGeometricType") == "CLOSED_PLANAR":
                _fill(
                    mask, np.asarray(contour.ContourData, dtype=np.float64).reshape(-1, 3), inverse
                )
        name = names.get(int(region.ReferencedROINumber), "").strip().casefold()
        if name and mask.any():
            yield name, "", mask


def _fill(mask: Mask, points: NDArray[np.float64], inverse: NDArray[np.floating]) -> None:
    """Fill one contour, points in LPS+ mm, into the slice it lies on."""
    voxels = points @ inverse[:3, :3].T + inverse[:3, 3]  # (column, row, slice)
    plane = float(voxels[:, 2].mean())
    number = round(plane)
    if np.ptp(voxels[:, 2]) > 2 * NEAR_SLICE:
        raise GeometryError(
            "an RTSTRUCT contour does not lie in the planes of the series it refers to"
        )
    if 0 <= number < mask.shape[0] and abs(plane - number) <= NEAR_SLICE:
        mask[number] ^= inside(voxels[:, 0], voxels[:, 1], (mask.shape[1], mask.shape[2]))


def inside(columns: NDArray[np.float64], rows: NDArray[np.float64], shape: tuple[int, int]) -> Mask:
    """Tell which voxel centres lie inside a closed polygon, by counting crossings to their left.

    Args:
        columns: Of the corners, in voxels; the first voxel's centre is 0.
        rows: Of the corners.
        shape: (rows, columns) of the result.
    """
    crossings = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    ends = np.roll(np.arange(len(rows)), -1)
    for x0, y0, x1, y1 in zip(columns, rows, columns[ends], rows[ends], strict=True):
        low, high = (y0, y1) if y0 < y1 else (y1, y0)
        first, last = max(0, int(np.ceil(low))), min(shape[0], int(np.ceil(high)))
        if first >= last:
            continue
        lines = np.arange(first, last)
        at = x0 + (lines - y0) * (x1 - x0) / (y1 - y0)
        np.add.at(crossings, (lines, np.clip(np.ceil(at), 0, shape[1]).astype(np.int64)), 1)
    odd: Mask = np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1
    return odd


def _array_affine(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the affine of array indices (slice, row, column, 1) in place of (column, row, slice, 1)."""
    return affine[:, [2, 1, 0, 3]]
