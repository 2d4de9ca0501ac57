"""RT Structure Sets: contours in patient coordinates, filled on the grid of a volume.

Source:
    PS3.3 §C.8.8.5 (Structure Set), §C.8.8.6 (ROI Contour), §C.8.8.8 (RT ROI Observations).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.dicom.coded import code_of
from medaet.dicom.codes import ANATOMICAL_STRUCTURE, MORPHOLOGIC_ABNORMALITY, NEOPLASM, TISSUE, Code
from medaet.dicom.region import Region
from medaet.errors import GeometryError, InstanceError

OFF_PLANE = 0.25
"""A contour may leave the plane of a slice, and lie beside it, by this fraction of the distance of slices."""

CLOSED = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})
EDGES = 1 << 14
"""Edges of a contour that are looked at together."""

_TARGETS = frozenset({"GTV", "CTV", "PTV"})
_EDGE = 1e-6
"""Voxels; centres that lie on a contour, give or take rounding, are outside of its upper and right edges only."""


def structures(
    dataset: Dataset,
    affine: NDArray[np.float64],
    shape: tuple[int, int, int],
    frame_of_reference: str,
) -> list[Region]:
    """Fill the contours of every ROI that is drawn in a frame of reference.

    A voxel belongs to an ROI when its centre lies within an odd number of its contours: an inner contour cuts a hole,
    as does the way there and back of a keyhole.

    Args:
        dataset: An RT Structure Set.
        affine: (4, 4); maps (column, row, slice, 1) of the volume to mm, LPS+.
        shape: Voxels of the volume along (slice, row, column).
        frame_of_reference: UID of the frame the volume lies in; ROIs of other frames are left out.

    Raises:
        GeometryError: a contour does not lie in the plane of a slice of the volume.
        InstanceError: contour data is malformed.
    """
    contours = {int(one.ReferencedROINumber): one for one in dataset.get("ROIContourSequence", [])}
    observed = {
        int(one.ReferencedROINumber): one
        for one in dataset.get("RTROIObservationsSequence", [])
        if "ReferencedROINumber" in one
    }
    to_index = np.asarray(np.linalg.inv(affine), np.float64)
    found = []
    for roi in dataset.get("StructureSetROISequence", []):
        number = int(roi.ROINumber)
        frame = str(roi.get("ReferencedFrameOfReferenceUID") or frame_of_reference)
        drawn = contours.get(number)
        if drawn is None or (frame_of_reference and frame != frame_of_reference):
            continue
        label = str(roi.get("ROIName") or f"ROI {number}")
        mask = _filled(_paths(drawn, label), to_index, shape, label)
        if mask is not None:
            found.append(_region(label, number, mask, dataset, observed))
    return found


def _region(
    label: str,
    number: int,
    mask: NDArray[np.bool_],
    dataset: Dataset,
    observed: Mapping[int, Dataset],
) -> Region:
    observation = observed.get(number, Dataset())
    interpreted = str(observation.get("RTROIInterpretedType") or "").upper()
    given = code_of(observation.get("RTROIIdentificationCodeSequence"))
    code, category = _meaning(given, is_target=interpreted in _TARGETS)
    return Region(
        label=label,
        mask=mask,
        code=code,
        category=category,
        sop_instance_uid=str(dataset.SOPInstanceUID),
        number=number,
    )


def _meaning(given: Code | None, *, is_target: bool) -> tuple[Code, Code]:
    if is_target:
        return given or NEOPLASM, MORPHOLOGIC_ABNORMALITY
    return (given, ANATOMICAL_STRUCTURE) if given else (TISSUE, TISSUE)


def _paths(drawn: Dataset, label: str) -> Iterator[NDArray[np.float64]]:
    """Yield the corners (point, 3) of each closed contour in mm, LPS+."""
    for contour in drawn.get("ContourSequence", []):
        if str(contour.get("ContourGeometricType") or "CLOSED_PLANAR").upper() not in CLOSED:
            continue
        try:
            numbers = np.array([float(one) for one in contour.get("ContourData") or ()])
            points = numbers.reshape(-1, 3)
        except (TypeError, ValueError) as error:
            raise InstanceError(
                f"the contours of ROI {label!r} are no list of points; export them again"
            ) from error
        if not np.isfinite(points).all():
            raise InstanceError(f"the contours of ROI {label!r} hold numbers that are not finite")
        if len(points) > 2:
            yield points


def _filled(
    paths: Iterator[NDArray[np.float64]],
    to_index: NDArray[np.float64],
    shape: tuple[int, int, int],
    label: str,
) -> NDArray[np.bool_] | None:
    """Fill contours; None when there is none."""
    mask = np.zeros(shape, np.bool_)
    count = 0
    for points in paths:
        count += 1
        indices = points @ to_index[:3, :3].T + to_index[:3, 3]
        planes = indices[:, 2]
        plane = round(float(planes.mean()))
        if np.abs(planes - plane).max() > OFF_PLANE:
            raise GeometryError(
                f"a contour of ROI {label!r} lies {np.abs(planes - plane).max():.2f} slices off the nearest slice; "
                "draw it on the series it is to be measured on"
            )
        if not 0 <= plane < shape[0]:
            raise GeometryError(
                f"ROI {label!r} reaches beyond the series; send all of the series it was drawn on"
            )
        mask[plane] ^= inside(indices[:, :2], shape[1:])
    return mask if count else None


def inside(corners: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Tell which pixel centres lie within a polygon, by the even-odd rule.

    Args:
        corners: (point, 2), column and row of each corner; the last is joined to the first.
        shape: Rows and columns.
    """
    rows, columns = shape
    turns = np.zeros((rows, columns + 1), np.int64)
    ends = np.roll(corners, -1, axis=0)
    for start in range(0, len(corners), EDGES):
        some = slice(start, start + EDGES)
        line, at = _crossings(corners[some], ends[some], rows)
        np.add.at(turns, (line, np.clip(at, 0, columns).astype(np.int64)), 1)
    return np.asarray(turns.cumsum(axis=1)[:, :columns] % 2 == 1)


def _crossings(
    starts: NDArray[np.float64], ends: NDArray[np.float64], rows: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return where edges cross rows: the row, and the first column whose centre is behind the crossing."""
    x, y = starts[:, 0], starts[:, 1] + _EDGE
    next_x, next_y = ends[:, 0], ends[:, 1] + _EDGE
    low = max(0, int(np.ceil(min(y.min(), next_y.min()))))
    lines = np.arange(low, min(rows, int(np.floor(max(y.max(), next_y.max()))) + 1))
    line, edge = ((y <= lines[:, None]) != (next_y <= lines[:, None])).nonzero()
    share = (lines[line] - y[edge]) / (next_y[edge] - y[edge])
    return lines[line], np.ceil(x[edge] + share * (next_x[edge] - x[edge]) - _EDGE)
