"""Objects of inputs brought together: what they say, and that no wrong one passes its proof."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from medaet import Findings, Volume
from medaet.dicom.volume import read_volume
from medaet.errors import FindingsError, ProofError
from medaet.plugin.registration import Registration, Resampled
from medaet.results.objects import Encoded, Source
from medaet.results.original import Original, read_original
from medaet.results.proof_of_registration import prove_registration
from medaet.results.proof_of_resampled import prove_resampled, prove_view
from medaet.testing.head import head, write_head
from medaet.testing.run import encoded
from tests.fused import deformation, findings, pose, write_pair


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return write_pair(tmp_path_factory.mktemp("head"))


@pytest.fixture(scope="module")
def results(source: Source) -> list[Encoded]:
    return encoded(findings(source), source)


def _of(results: list[Encoded], kind: str) -> list[Dataset]:
    return [pydicom.dcmread(one.path) for one in results if one.kind == kind]


def test_encode_makes_every_object_of_a_fused_pair(source: Source, results: list[Encoded]) -> None:
    slices = source.volumes["ct"].voxels.shape[0]
    kinds = [one.kind for one in results]
    assert kinds[:2] == ["SEG", "REG"]
    assert kinds.count("MR") == slices
    assert (kinds.count("PR"), kinds[-1]) == (1, "SR")
    assert kinds.count("SC") >= 3
    assert len({one.sop_instance_uid for one in results}) == len(results)
    assert all(one.proof for one in results)


def test_registration_says_where_points_of_the_moving_frame_lie(
    source: Source, results: list[Encoded]
) -> None:
    (dataset,) = _of(results, "REG")
    fixed, moving = dataset.RegistrationSequence
    assert dataset.FrameOfReferenceUID == fixed.FrameOfReferenceUID
    assert fixed.FrameOfReferenceUID == source.volumes["ct"].frame_of_reference_uid
    assert moving.FrameOfReferenceUID == source.volumes["mr"].frame_of_reference_uid
    (matrix,) = moving.MatrixRegistrationSequence[0].MatrixSequence
    assert matrix.FrameOfReferenceTransformationMatrixType == "RIGID"
    found = np.array(matrix.FrameOfReferenceTransformationMatrix, dtype=float).reshape(4, 4)
    assert np.abs(found @ pose() - np.eye(4)).max() < 1e-9


def test_resampled_series_is_read_back_as_a_volume_on_the_fixed_grid(
    source: Source, results: list[Encoded]
) -> None:
    found = read_volume([one.path for one in results if one.kind == "MR"])
    ct = source.volumes["ct"]
    assert np.allclose(found.affine, ct.affine)
    assert found.frame_of_reference_uid == ct.frame_of_reference_uid
    assert np.array_equal(found.voxels, findings(source).resampled[0].voxels)


def test_resampled_slices_say_what_they_are_made_of(source: Source, results: list[Encoded]) -> None:
    ct = pydicom.dcmread(source.paths["ct"][0])
    for number, dataset in enumerate(_of(results, "MR"), 1):
        assert dataset.ImageType[:2] == ["DERIVED", "SECONDARY"]
        assert dataset.StudyInstanceUID == ct.StudyInstanceUID
        assert dataset.InstanceNumber == number
        assert len(dataset.SourceImageSequence) == len(source.paths["mr"])
        assert dataset.DerivationCodeSequence[0].CodeValue == "113085"
        (study,) = dataset.StudiesContainingOtherReferencedInstancesSequence
        assert study.StudyInstanceUID != ct.StudyInstanceUID


def test_blended_view_lays_the_moved_series_over_the_fixed_one(
    source: Source, results: list[Encoded]
) -> None:
    (dataset,) = _of(results, "PR")
    below, over = dataset.AdvancedBlendingSequence
    assert len(below.ReferencedImageSequence) == len(source.paths["ct"])
    assert over.SeriesInstanceUID == _of(results, "MR")[0].SeriesInstanceUID
    (display,) = dataset.BlendingDisplaySequence
    assert (display.BlendingMode, display.RelativeOpacity) == ("FOREGROUND", 0.5)


def test_report_names_the_transform_the_metric_and_the_figures(results: list[Encoded]) -> None:
    (report,) = _of(results, "SR")
    words = report.to_json()
    assert "mr was registered to ct by a rigid motion that maximises normalised mutual" in words
    for code in ("REG-OVERLAP", "REG-GAIN", "REG-INVERSE", "REG-RESIDUAL", "REG-ANGLE"):
        assert code in words


def test_affine_and_deformable_registrations_are_written_and_proven(source: Source) -> None:
    affine = encoded(findings(source, "affine"), source)
    (dataset,) = _of(affine, "REG")
    moving = dataset.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
    assert moving.FrameOfReferenceTransformationMatrixType == "AFFINE"
    (deformed,) = _of(encoded(findings(source, "deformable"), source), "REG")
    assert deformed.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.3"
    (item,) = deformed.DeformableRegistrationSequence
    (grid,) = item.DeformableRegistrationGridSequence
    assert list(grid.GridDimensions) == [5, 5, 5]
    vectors = np.frombuffer(grid.VectorGridData, "<f4").reshape(5, 5, 5, 3)
    assert np.array_equal(vectors, deformation(source.volumes["ct"]).vectors)


def test_one_frame_of_reference_makes_a_view_but_no_registration(tmp_path: Path) -> None:
    paths = {
        role: write_head(
            head(modality, spacing_mm=(12, 6, 6), seed=1), tmp_path / role, study="1", frame="one"
        )
        for role, modality in (("ct", "CT"), ("mr", "MR"))
    }
    volumes = {role: read_volume(files) for role, files in paths.items()}
    same = Registration("mr", "ct", "same frame", np.eye(4))
    shown = Resampled("mr", "ct", volumes["mr"].voxels, series=False, blended=True)
    made = encoded(Findings(registrations=[same], resampled=[shown]), Source(paths, volumes))
    assert {one.kind for one in made} == {"PR", "SC", "SR"}


def test_resampled_voxels_of_another_shape_are_refused(source: Source) -> None:
    wrong = Resampled("mr", "ct", np.zeros((2, 3, 4), np.int16), series=True, blended=False)
    with pytest.raises(FindingsError, match="not resampled on the grid"):
        encoded(replace(findings(source), resampled=[wrong]), source)


def test_same_run_makes_the_same_bytes(source: Source, results: list[Encoded]) -> None:
    again = encoded(findings(source), source)
    assert [one.content for one in again] == [one.content for one in results]


# The proofs: each lie is one that an encoder could tell.


def _shifted(dataset: Dataset) -> None:
    matrix = dataset.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
    matrix.FrameOfReferenceTransformationMatrix[3] += 0.001


def _inverted(dataset: Dataset) -> None:
    matrix = dataset.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
    back = np.array(matrix.FrameOfReferenceTransformationMatrix, dtype=float).reshape(4, 4)
    matrix.FrameOfReferenceTransformationMatrix = [f"{x:.10g}" for x in np.linalg.inv(back).ravel()]


def _other_frame(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = "1.2.3"


def _other_patient(dataset: Dataset) -> None:
    dataset.PatientID = "SOMEBODY ELSE"


def _fewer_images(dataset: Dataset) -> None:
    del dataset.RegistrationSequence[1].ReferencedImageSequence[0]


def _moves_both(dataset: Dataset) -> None:
    matrix = dataset.RegistrationSequence[0].MatrixRegistrationSequence[0].MatrixSequence[0]
    matrix.FrameOfReferenceTransformationMatrix[3] = 1


@pytest.mark.parametrize(
    "lie", [_shifted, _inverted, _other_frame, _other_patient, _fewer_images, _moves_both]
)
def test_proof_refuses_a_registration_that_lies(
    source: Source, results: list[Encoded], tmp_path: Path, lie: Callable[[Dataset], None]
) -> None:
    (dataset,) = _of(results, "REG")
    lie(dataset)
    dataset.save_as(tmp_path / "1.dcm")
    with pytest.raises(ProofError):
        prove_registration(tmp_path / "1.dcm", findings(source).registrations[0], *_pairs(source))


def _brighter(dataset: Dataset) -> None:
    stored = np.frombuffer(dataset.PixelData, "<i2").copy()
    stored[len(stored) // 2] += 3
    dataset.PixelData = stored.tobytes()


def _mirrored(dataset: Dataset) -> None:
    stored = np.frombuffer(dataset.PixelData, "<i2").reshape(dataset.Rows, dataset.Columns)
    dataset.PixelData = np.ascontiguousarray(stored[:, ::-1]).tobytes()


def _raised(dataset: Dataset) -> None:
    dataset.ImagePositionPatient[2] += 0.1


def _unsourced(dataset: Dataset) -> None:
    dataset.SourceImageSequence = dataset.SourceImageSequence[1:]


@pytest.mark.parametrize(
    "lie", [_brighter, _mirrored, _raised, _unsourced, _other_frame, _other_patient]
)
def test_proof_refuses_a_resampled_slice_that_lies(
    source: Source, results: list[Encoded], tmp_path: Path, lie: Callable[[Dataset], None]
) -> None:
    slices = _of(results, "MR")
    lie(slices[len(slices) // 2])
    paths = [tmp_path / f"{number}.dcm" for number in range(len(slices))]
    for path, dataset in zip(paths, slices, strict=True):
        dataset.save_as(path)
    registration = next(one.path for one in results if one.kind == "REG")
    with pytest.raises(ProofError):
        prove_resampled(paths, registration, *_pairs(source))
    with pytest.raises(ProofError):
        prove_resampled(paths[1:], registration, *_pairs(source))


def test_proof_refuses_a_view_of_other_images(source: Source, results: list[Encoded]) -> None:
    view = next(one.path for one in results if one.kind == "PR")
    below = source.volumes["ct"].sop_instance_uids
    over = [one.sop_instance_uid for one in results if one.kind == "MR"]
    original = _pairs(source)[1][0]
    prove_view(view, original, below, over)
    with pytest.raises(ProofError):
        prove_view(view, original, over, below)
    with pytest.raises(ProofError):
        prove_view(view, original, below, over[1:])


def _pairs(source: Source) -> tuple[tuple[Volume, Volume], tuple[Original, Original]]:
    """Return the volumes and the headers, of the fixed and of the moving series."""
    ct, mr = source.volumes["ct"], source.volumes["mr"]
    headers = (
        read_original(source.paths["ct"], ct.planes[0].sop_instance_uid),
        read_original(source.paths["mr"], mr.planes[0].sop_instance_uid),
    )
    return (ct, mr), headers
