"""A structure that is followed over two studies: two segments, one Tracking UID, and the change between them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from medaet import Findings, Segment, Volume
from medaet.codes import BRAIN
from medaet.compute.registration.frames import bring_together
from medaet.compute.runtime import Runtime
from medaet.dicom.volume import read_volume
from medaet.errors import FindingsError
from medaet.plugin import folder
from medaet.results.objects import Encoded, Source
from medaet.testing.head import head, part_mask, write_head
from medaet.testing.run import encoded
from medaet_plugins.brain_mr import inference
from medaet_plugins.longitudinal import Longitudinal

SHRUNKEN = np.diag([0.95, 0.95, 0.95, 1.0])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Two studies of one head in one frame of reference, on different grids."""
    where = tmp_path_factory.mktemp("studies")
    paths = {
        role: write_head(
            head("MR", spacing_mm=spacing, seed=1), where / role, study=role, frame="one"
        )
        for role, spacing in (("current", (5.0, 3.0, 3.0)), ("prior", (6.0, 4.0, 4.0)))
    }
    return Source(paths, {role: read_volume(files) for role, files in paths.items()})


def analysed(volumes: Mapping[str, Volume], monkeypatch: pytest.MonkeyPatch) -> Findings:
    """Run the analysis with a brain that shrank by 5 % in each direction in place of the networks."""

    def brain(volume: Volume, *_: object) -> NDArray[np.bool_]:
        is_current = volume.spacing_mm[0] < 5.5
        return part_mask("brain", volume, SHRUNKEN if is_current else np.eye(4))

    monkeypatch.setattr(inference, "find_brain", brain)
    monkeypatch.setattr(inference, "tissue", lambda _volume, inside: inside)
    inputs, _ = bring_together(Longitudinal.alignments, volumes, "cpu")
    analysis = Longitudinal()
    analysis.box = analysis.brain = None  # type: ignore[assignment]
    return analysis.analyse(inputs, Runtime("cpu"))


@pytest.fixture(scope="module")
def findings(source: Source) -> Findings:
    with pytest.MonkeyPatch.context() as patched:
        return analysed(source.volumes, patched)


@pytest.fixture(scope="module")
def results(findings: Findings, source: Source) -> list[Encoded]:
    return encoded(findings, source)


def of(results: list[Encoded], kind: str) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(one.path) for one in results if one.kind == kind]


def test_change_is_that_of_the_volumes(findings: Findings, source: Source) -> None:
    found = {
        item.name.value: item.value
        for item in findings.resolved(source.volumes).measurements
        if item.of == "Brain"
    }
    assert found["VOL-CHANGE-PCT"] == pytest.approx(100 * (0.95**3 - 1), abs=1)
    assert found["VOL-CHANGE"] == pytest.approx(-0.143 * 1625, rel=0.05)
    assert found["PRIOR-OVERLAP"] == pytest.approx(2 * 0.857 / 1.857, abs=0.02)


def test_segments_of_both_studies_have_one_tracking_uid(results: list[Encoded]) -> None:
    segs = of(results, "SEG")
    assert len({seg.StudyInstanceUID for seg in segs}) == 2
    tracked = [
        {item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning: item.TrackingUID}
        for seg in segs
        for item in seg.SegmentSequence
    ]
    assert len({uid for one in tracked for uid in one.values()}) == 2
    labels = [[item.SegmentLabel for item in seg.SegmentSequence] for seg in segs]
    assert labels == [
        ["Brain", "Intracranial space"],
        ["Brain, prior", "Intracranial space, prior"],
    ]


def test_report_refers_to_the_segments_of_both_studies(results: list[Encoded]) -> None:
    (report,) = of(results, "SR")
    text = report.to_json()
    for one in results:
        if one.kind == "SEG":
            assert one.sop_instance_uid in text


def test_what_is_followed_survives_the_way_through_files(
    findings: Findings, source: Source, tmp_path: Path
) -> None:
    folder.save(findings.resolved(source.volumes), tmp_path)
    assert [one.followed for one in folder.load(tmp_path).segments] == [
        "Brain",
        "Brain",
        "Intracranial space",
        "Intracranial space",
    ]


def test_two_looks_at_one_thing_on_one_input_are_refused() -> None:
    mask = np.ones((2, 2, 2), bool)
    with pytest.raises(FindingsError, match="the same thing"):
        Findings(
            segments=[
                Segment("One", mask, BRAIN, role="mr", followed="Brain"),
                Segment("Two", mask, BRAIN, role="mr", followed="Brain"),
            ]
        )
