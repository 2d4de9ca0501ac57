"""Boxes as regions, for what draws or points at regions: pictures, key objects, and points in a report."""

from collections.abc import Mapping
from dataclasses import replace

from medaet.dicom.volume import Volume
from medaet.plugin.detection import MAXIMUM_LABEL_LENGTH
from medaet.plugin.findings import Findings
from medaet.plugin.mask import BoxMask
from medaet.plugin.segment import Segment


def boxes(findings: Findings, volumes: Mapping[str, Volume]) -> list[Segment]:
    """Return each detection as a segment of the same label: the voxels in its box.

    Args:
        findings: Resolved findings.
        volumes: The inputs by role.
    """
    return [
        Segment(
            one.label,
            BoxMask(one.box, _shape(volumes[str(one.role)])),
            one.code,
            category=one.category,
            modifier=one.modifier,
            anatomic_region=one.anatomic_region,
            role=one.role,
        )
        for one in findings.detections
    ]


def seen(findings: Findings, volumes: Mapping[str, Volume]) -> Findings:
    """Return findings for pictures: each detection a segment, whose label also says how certain it is."""
    told = []
    for one, box in zip(findings.detections, boxes(findings, volumes), strict=True):
        certainty = f", {one.score:.0%}"
        label = one.label[: MAXIMUM_LABEL_LENGTH - len(certainty)] + certainty
        told.append(Segment(label, box.voxels, box.code, category=box.category, role=box.role))
    return replace(
        findings,
        segments=(*findings.segments, *told),
        detections=(),
        measurements=(),
        evaluations=(),
    )


def _shape(volume: Volume) -> tuple[int, int, int]:
    slices, rows, columns = volume.voxels.shape
    return slices, rows, columns
