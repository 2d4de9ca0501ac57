"""The proof of boxes and classifications: read from the report's tags, and compared corner for corner.

Where a box must lie is told by the analysis' grid, and that grid by the positions in the source's own files.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.codes import CERTAINTY, DETECTED, NOT_DETECTED, PERCENT
from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.plugin.detection import Classification, Detection
from medaet.plugin.findings import Findings, Measurement
from medaet.results.content import Item, prove_numbers
from medaet.results.original import Original, letters
from medaet.results.place import GRID_TOLERANCE, HALF_A_SLICE

CORNER_TOLERANCE_MM = 1e-3
_TRACKING_IDENTIFIER, _FINDING, _SURFACE = "112039", "121071", "121231"
_SOURCE_SERIES = "121232"

Grids = Mapping[str, tuple[Volume, Original]]


def prove_detections(
    groups: Sequence[Item], findings: Findings, grids: Grids, *, surfaces: bool
) -> dict[str, object]:
    """Compare the groups of boxes with the detections.

    Args:
        groups: One for each detection, in order.
        findings: Resolved findings.
        grids: The volume of each role, and what its files say.
        surfaces: Whether the report has coordinates in three dimensions.

    Returns:
        The figures: how many boxes, and the largest distance of a corner in mm.

    Raises:
        ProofError: a box lies elsewhere, or is said to be something else.
    """
    away = 0.0
    for group, one in zip(groups, findings.detections, strict=True):
        _prove_words(group, one, findings, one.score)
        if surfaces:
            away = max(away, _prove_box(group, one, *grids[str(one.role)]))
        elif group.named(_SURFACE):
            raise ProofError(f"the group of {one.label!r} has coordinates that its class forbids")
    return {"boxes": len(groups), "corner_distance_mm": round(away, 9)} if groups else {}


def prove_classifications(groups: Sequence[Item], findings: Findings) -> None:
    """Compare the groups of classifications with these.

    Raises:
        ProofError: one says something else.
    """
    for group, one in zip(groups, findings.classifications, strict=True):
        _prove_words(group, one, findings, one.probability)
        wanted = DETECTED if one.present else NOT_DETECTED
        found = [_code(item) for item in group.named(one.code.value)]
        if found != [wanted.value]:
            raise ProofError(f"the report does not say of {one.label!r}: {wanted.meaning}")


def _prove_words(
    group: Item, one: Detection | Classification, findings: Findings, probability: float | None
) -> None:
    names = [letters(item.dataset.TextValue) for item in group.named(_TRACKING_IDENTIFIER)]
    codes = [_code(item) for item in group.named(_FINDING)]
    if names != [letters(one.label)] or codes != [one.code.value]:
        raise ProofError(f"the group of {one.label!r} is named {names} and says {codes}")
    wanted = [item for item in findings.measurements if item.of == one.label]
    if probability is not None:
        wanted.append(Measurement(CERTAINTY, 100 * probability, PERCENT, one.label))
    prove_numbers(group, wanted, one.label)


def _prove_box(group: Item, one: Detection, volume: Volume, original: Original) -> float:
    """Return the largest distance between where a corner is and where it should be, in mm."""
    surface = group.named(_SURFACE)
    uids = [str(item.dataset.UID) for item in group.named(_SOURCE_SERIES)]
    if uids != [str(original.header.SeriesInstanceUID)]:
        raise ProofError(f"the box of {one.label!r} refers to another series than its source")
    wanted_frame = original.header.get("FrameOfReferenceUID")
    for item in surface:
        if wanted_frame and item.dataset.ReferencedFrameOfReferenceUID != wanted_frame:
            raise ProofError(f"the box of {one.label!r} lies in another frame of reference")
    points = [np.array(item.dataset.GraphicData, dtype=float).reshape(-1, 3) for item in surface]
    _check_grid(volume, original)
    wanted = one.box.corners()[:, ::-1] @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    away = _faces_away(points, wanted)
    if away > CORNER_TOLERANCE_MM:
        raise ProofError(f"a corner of the box of {one.label!r} is {away:.4f} mm away")
    return away


def _faces_away(polygons: Sequence[NDArray[np.float64]], corners: NDArray[np.float64]) -> float:
    """Return how far polygons are from the faces of a box: each a closed way around four corners, each corner in three.

    Raises:
        ProofError: they are no faces of a box.
    """
    met: list[int] = []
    away = 0.0
    for polygon in polygons:
        if len(polygon) != 5 or not np.array_equal(polygon[0], polygon[-1]):
            raise ProofError("a face of a box is not four corners and the first one again")
        distances = np.linalg.norm(polygon[:4, None] - corners[None], axis=2)
        nearest = distances.argmin(axis=1)
        met += nearest.tolist()
        away = max(away, float(distances.min(axis=1).max()))
        steps = [_step(a, b) for a, b in zip(nearest, np.roll(nearest, -1), strict=True)]
        if not all(steps):
            raise ProofError("a face of a box goes across its middle")
    if sorted(met) != sorted(list(range(8)) * 3):
        raise ProofError("the surface of a box does not have six faces")
    return away


def _step(one: int, other: int) -> bool:
    """Whether two corners share an edge: their numbers differ in one bit, for low and high along one axis."""
    return (int(one) ^ int(other)) in (1, 2, 4)


def _check_grid(volume: Volume, original: Original) -> None:
    """Compare where the grid of the analysis puts each plane with what the files say.

    Raises:
        ProofError: they are apart by more than slices of real series wobble.
    """
    is_resampled = len(volume.planes) != volume.voxels.shape[0]
    share = HALF_A_SLICE if is_resampled else GRID_TOLERANCE
    limit = share * float(np.linalg.norm(volume.affine[:3, 2]))
    for plane, place in zip(volume.planes, volume.slices, strict=True):
        there = original.positions[plane.sop_instance_uid, plane.frame]
        here = volume.affine[:3, 3] + place * volume.affine[:3, 2]
        if float(np.linalg.norm(here - there)) > limit:
            raise ProofError("the grid of the analysis does not lie where the source's files say")


def _code(item: Item) -> str:
    return str(item.dataset.ConceptCodeSequence[0].CodeValue)
