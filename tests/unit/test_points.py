"""Points in structures, for viewers that list only what they can draw: where they lie, and the proof of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from medaet import Findings, Segment
from medaet.dicom.codes import LUNG
from medaet.errors import ProofError
from medaet.results.objects import Encoded, Source
from medaet.results.point import point_of
from medaet.results.proof_of_points import prove_points
from medaet.results.recipe import Recipe, ReportForm
from medaet.testing.enhanced import write_enhanced
from medaet.testing.phantom import write_series
from medaet.testing.run import encoded, source_of, two_boxes

POINTS = Recipe(report=ReportForm(points=True))


def points(result: Encoded) -> list[Dataset]:
    (container,) = [
        item
        for item in pydicom.dcmread(result.path).ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    ]
    return [
        group
        for group in container.ContentSequence
        if any(item.ValueType == "SCOORD" for item in group.ContentSequence)
    ]


def tracking_uids(group: Dataset) -> list[str]:
    return [str(item.UID) for item in group.ContentSequence if item.ValueType == "UIDREF"]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return source_of(write_series(tmp_path / "series", shape=(8, 16, 16)))


def test_point_of_a_ring_lies_on_the_ring(source: Source) -> None:
    mask = np.zeros((8, 16, 16), bool)
    mask[3, 2:9, 2:9] = True
    mask[3, 4:7, 4:7] = False
    mask[5, 0, 0] = True
    point = point_of(Segment("Ring", mask, LUNG), source.volumes["ct"])
    assert point is not None
    assert point.plane == source.volumes["ct"].planes[3]
    assert mask[3, point.row, point.column]


@pytest.mark.parametrize("enhanced", [False, True])
def test_report_with_points_ties_one_in_each_structure_to_its_measurements(
    tmp_path: Path, source: Source, enhanced: bool
) -> None:
    if enhanced:
        source = source_of([write_enhanced(list(source.paths["ct"]), tmp_path / "one" / "1.dcm")])
    segmentation, report = encoded(two_boxes(source.volumes["ct"]), source, recipe=POINTS)
    groups = points(report)
    segments = pydicom.dcmread(segmentation.path).SegmentSequence
    assert [tracking_uids(group)[0] for group in groups] == [one.TrackingUID for one in segments]
    (region,) = [item for item in groups[0].ContentSequence if item.ValueType == "SCOORD"]
    assert region.GraphicType == "POINT"
    # the middle of rows 2 to 5 and columns 1 to 5
    assert region.GraphicData[0] == 3.5
    assert region.GraphicData[1] in (3.5, 4.5)


def move(group: Dataset) -> None:
    (region,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
    region.GraphicData = [15.5, 0.5]


def name_another_image(group: Dataset) -> None:
    (region,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
    region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


@pytest.mark.parametrize("change", [move, name_another_image])
def test_proof_catches_a_point_outside_its_structure(
    source: Source, change: Callable[[Dataset], None]
) -> None:
    findings = two_boxes(source.volumes["ct"])
    resolved: Findings = findings.resolved(source.volumes)
    groups = points(encoded(findings, source, recipe=POINTS)[1])
    assert prove_points(groups, resolved.segments, source.volumes) == 2
    change(groups[1])
    with pytest.raises(ProofError, match="the point of 'Right box' does not lie in it"):
        prove_points(groups, resolved.segments, source.volumes)


def test_proof_catches_a_missing_point(source: Source) -> None:
    resolved = two_boxes(source.volumes["ct"]).resolved(source.volumes)
    with pytest.raises(ProofError, match="0 points for 2 segments"):
        prove_points([], resolved.segments, source.volumes)
