"""The proof of a segmentation: what it lets through, and everything that it must not."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from medaet.dicom.codes import LUNG
from medaet.errors import ProofError
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.proof import prove_segmentation
from medaet.testing.phantom import write_series
from medaet.testing.run import encoded, source_of
from tests.unit.cases import ORIENTATIONS, SPACING_MM, Case, frames, set_frames


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path / "series")


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_proof_holds_in_every_orientation(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    case = Case(tmp_path / "series", orientation=orientation, origin=(-31.5, 12.25, 700.125))
    assert case.results[0].proof == {
        "segments": 2,
        "frames": 5,
        "voxels_compared": 2 * 8 * 16 * 16,
        "centroid_distance_mm": pytest.approx(0, abs=1e-3),
    }


def test_proof_holds_for_a_tilted_gantry(tmp_path: Path) -> None:
    moves = [(0, 0.6 * number, 0) for number in range(8)]
    case = Case(tmp_path / "series", moves=moves)
    assert case.results[0].proof["centroid_distance_mm"] == pytest.approx(0, abs=1e-6)
    assert case.findings.measurements[0].value == pytest.approx(60 * 2.5 * 0.75 * 0.5 / 1000)


def test_proof_holds_for_slices_that_wobble_by_less_than_a_tenth_of_a_millimetre(
    tmp_path: Path,
) -> None:
    moves = [(0, 0, 0.02 * (-1) ** number) for number in range(8)]
    case = Case(tmp_path / "series", moves=moves)
    assert case.results[0].proof["centroid_distance_mm"] == pytest.approx(0, abs=1e-6)


def test_proof_holds_for_a_single_slice(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "series", shape=(1, 16, 16), spacing_mm=SPACING_MM, seed=1)
    source = source_of(paths)
    mask = np.zeros((1, 16, 16), bool)
    mask[0, 3:5, 4:9] = True
    results = encoded(Findings(segments=[Segment("Box", mask, LUNG)]), source)
    assert results[0].proof["frames"] == 1


def test_proof_holds_when_frames_do_not_fill_whole_bytes(tmp_path: Path) -> None:
    case = Case(tmp_path / "series", shape=(9, 17, 19))
    assert case.results[0].proof["frames"] == 5


def test_proof_catches_mirrored_rows(case: Case) -> None:
    path = case.segmentation(lambda dataset: set_frames(dataset, frames(dataset)[:, ::-1]))
    with pytest.raises(ProofError, match=r"'Left box' is not where the analysis put it: .* 60 are"):
        prove_segmentation(path, case.expected)


def test_proof_catches_mirrored_columns(case: Case) -> None:
    path = case.segmentation(lambda dataset: set_frames(dataset, frames(dataset)[..., ::-1]))
    with pytest.raises(ProofError, match="not where the analysis put it"):
        prove_segmentation(path, case.expected)


def test_proof_catches_one_voxel(case: Case) -> None:
    def flip(dataset: Dataset) -> None:
        pixels = frames(dataset).copy()
        pixels[4, 15, 15] = 1
        set_frames(dataset, pixels)

    with pytest.raises(ProofError, match=r"'Right box'.*: 0 voxels are missing and 1 are too many"):
        prove_segmentation(case.segmentation(flip), case.expected)


def test_proof_catches_frames_shifted_by_one_slice(case: Case) -> None:
    def shift(dataset: Dataset) -> None:
        for item in dataset.PerFrameFunctionalGroupsSequence:
            x, y, z = item.PlanePositionSequence[0].ImagePositionPatient
            item.PlanePositionSequence[0].ImagePositionPatient = [x, y, float(z) + 2.5]

    with pytest.raises(ProofError, match="another source image"):
        prove_segmentation(case.segmentation(shift), case.expected)


def test_proof_catches_frames_shifted_by_one_slice_with_their_references(case: Case) -> None:
    uids = case.volume.sop_instance_uids

    def shift(dataset: Dataset) -> None:
        for item in dataset.PerFrameFunctionalGroupsSequence:
            x, y, z = item.PlanePositionSequence[0].ImagePositionPatient
            item.PlanePositionSequence[0].ImagePositionPatient = [x, y, float(z) + 2.5]
            image = item.DerivationImageSequence[0].SourceImageSequence[0]
            place = uids.index(image.ReferencedSOPInstanceUID)
            image.ReferencedSOPInstanceUID = uids[place + 1]

    with pytest.raises(
        ProofError, match=r"'Left box'.*: 20 voxels are missing and 20 are too many"
    ):
        prove_segmentation(case.segmentation(shift), case.expected)


def test_proof_catches_frames_beside_their_source_image(case: Case) -> None:
    def nudge(dataset: Dataset) -> None:
        place = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
        x, y, z = place.ImagePositionPatient
        place.ImagePositionPatient = [x, y, float(z) + 0.01]

    with pytest.raises(ProofError, match=r"frame 1 lies 0\.0100 mm away from its source image"):
        prove_segmentation(case.segmentation(nudge), case.expected)


def test_proof_catches_swapped_segments(case: Case) -> None:
    def swap(dataset: Dataset) -> None:
        for item in dataset.PerFrameFunctionalGroupsSequence:
            identification = item.SegmentIdentificationSequence[0]
            identification.ReferencedSegmentNumber = 3 - identification.ReferencedSegmentNumber

    with pytest.raises(
        ProofError, match=r"'Left box'.*: 60 voxels are missing and 36 are too many"
    ):
        prove_segmentation(case.segmentation(swap), case.expected)


def test_proof_catches_swapped_labels(case: Case) -> None:
    def swap(dataset: Dataset) -> None:
        first, second = dataset.SegmentSequence
        first.SegmentLabel, second.SegmentLabel = second.SegmentLabel, first.SegmentLabel

    with pytest.raises(ProofError, match="numbered and named"):
        prove_segmentation(case.segmentation(swap), case.expected)


@pytest.mark.parametrize("spacing", [[0.5, 0.75], [0.75, 0.51], [1.5, 1.0]])
def test_proof_catches_another_pixel_spacing(case: Case, spacing: list[float]) -> None:
    def stretch(dataset: Dataset) -> None:
        measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.PixelSpacing = spacing

    with pytest.raises(ProofError):
        prove_segmentation(case.segmentation(stretch), case.expected)


def test_proof_catches_another_slice_spacing(case: Case) -> None:
    def stretch(dataset: Dataset) -> None:
        measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SpacingBetweenSlices = 2.0

    with pytest.raises(ProofError, match=r"voxels of 0\.000750 ml, its source of 0\.000938 ml"):
        prove_segmentation(case.segmentation(stretch), case.expected)


def test_proof_catches_another_orientation(case: Case) -> None:
    def turn(dataset: Dataset) -> None:
        shared = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
        shared.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]

    with pytest.raises(ProofError, match="reaches out of the source"):
        prove_segmentation(case.segmentation(turn), case.expected)


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "StudyInstanceUID"])
def test_proof_catches_another_patient_without_naming_them(case: Case, keyword: str) -> None:
    path = case.segmentation(lambda dataset: setattr(dataset, keyword, "1.2.3"))
    with pytest.raises(ProofError, match=f": {keyword} differ$"):
        prove_segmentation(path, case.expected)


def test_proof_catches_another_frame_of_reference(case: Case) -> None:
    path = case.segmentation(lambda dataset: setattr(dataset, "FrameOfReferenceUID", "1.2"))
    with pytest.raises(ProofError, match="another Frame of Reference UID"):
        prove_segmentation(path, case.expected)


def test_proof_catches_references_to_other_series(case: Case) -> None:
    def stray(dataset: Dataset) -> None:
        dataset.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"

    with pytest.raises(ProofError, match="another series than its source"):
        prove_segmentation(case.segmentation(stray), case.expected)


def test_proof_catches_references_to_other_instances(case: Case) -> None:
    def stray(dataset: Dataset) -> None:
        series = dataset.ReferencedSeriesSequence[0]
        series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = "1.2.3"

    with pytest.raises(ProofError, match="1 SOP instances that are not in its source"):
        prove_segmentation(case.segmentation(stray), case.expected)


def test_proof_catches_missing_pixels(case: Case) -> None:
    def cut(dataset: Dataset) -> None:
        dataset.PixelData = dataset.PixelData[:100]

    with pytest.raises(ProofError, match="fewer pixels"):
        prove_segmentation(case.segmentation(cut), case.expected)


def test_proof_refuses_bytes_that_are_no_dicom(case: Case, tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"nothing")
    with pytest.raises(ProofError, match="cannot be read back"):
        prove_segmentation(tmp_path / "nothing", case.expected)


def test_proof_refuses_a_segmentation_without_references(case: Case) -> None:
    path = case.segmentation(lambda dataset: delattr(dataset, "ReferencedSeriesSequence"))
    with pytest.raises(ProofError, match="malformed"):
        prove_segmentation(path, case.expected)
