"""Enhanced CT and MR: frames with places of their own, read like slices."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medaet.dicom.decoders import Decoders
from medaet.dicom.image import read_images
from medaet.dicom.stack import Choice
from medaet.dicom.volume import read_volume
from medaet.errors import GeometryError, InstanceError
from medaet.testing.enhanced import write_enhanced
from medaet.testing.phantom import SAGITTAL, Storage, write_series

SYNTAXES = [
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian),
    *(DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless),
]


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: str(syntax.name))
def test_read_volume_reads_an_enhanced_instance_like_its_classic_form(
    tmp_path: Path, modality: str, syntax: str
) -> None:
    slices = write_series(
        tmp_path / "classic",
        modality=modality,
        shape=(7, 48, 40),
        spacing_mm=(3, 0.75, 0.5),
        orientation=SAGITTAL,
        origin=(-20, 30.5, 400),
        storage=Storage(intercept=-1000, slope=2) if modality == "CT" else Storage(),
    )
    shuffled = [slices[n] for n in (3, 0, 6, 2, 5, 1, 4)]
    path = write_enhanced(shuffled, tmp_path / "enhanced.dcm", transfer_syntax_uid=syntax)
    classic, enhanced = read_volume(slices), read_volume([path])
    assert np.array_equal(enhanced.voxels, classic.voxels)
    assert enhanced.voxels.dtype == classic.voxels.dtype
    assert np.allclose(enhanced.affine, classic.affine)
    assert [plane.frame for plane in enhanced.planes] == [2, 6, 4, 1, 7, 5, 3]
    assert len(enhanced.sop_instance_uids) == 1


def test_read_volume_agrees_with_highdicom_on_an_enhanced_instance(tmp_path: Path) -> None:
    slices = write_series(tmp_path / "classic", shape=(5, 6, 7), spacing_mm=(2, 0.75, 0.5))
    path = write_enhanced(slices, tmp_path / "enhanced.dcm")
    ours = read_volume([path])
    theirs = highdicom.imread(path).get_volume()
    assert np.array_equal(theirs.array, ours.voxels) or np.array_equal(
        theirs.array[::-1], ours.voxels
    )


def test_read_volume_decodes_frames_in_other_processes(tmp_path: Path) -> None:
    slices = write_series(tmp_path / "classic", shape=(9, 32, 32))
    path = write_enhanced(slices, tmp_path / "enhanced.dcm", transfer_syntax_uid=JPEGLSLossless)
    with Decoders(2) as decoders:
        assert np.array_equal(
            read_volume([path], decoders=decoders).voxels, read_volume(slices).voxels
        )


def test_read_volume_parts_the_echoes_of_an_enhanced_mr(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.EchoTime = "4" if number < 5 else "8"
        dataset.ImagePositionPatient = ["0", "0", str(2 * (number % 5))]

    slices = write_series(tmp_path / "mr", modality="MR", shape=(10, 4, 4), change=change)
    path = write_enhanced(slices, tmp_path / "enhanced.dcm")
    volume = read_volume([path], Choice("last"))
    assert [plane.frame for plane in volume.planes] == [6, 7, 8, 9, 10]
    assert "EffectiveEchoTime 8" in volume.problems[0].text


def test_read_volume_joins_the_frames_of_several_instances(tmp_path: Path) -> None:
    slices = write_series(tmp_path / "classic", shape=(8, 4, 4))
    paths = [
        write_enhanced(slices[:4], tmp_path / "1.dcm"),
        write_enhanced(slices[4:], tmp_path / "2.dcm"),
    ]
    volume = read_volume(paths[::-1])
    assert np.array_equal(volume.voxels, read_volume(slices).voxels)
    assert len(volume.sop_instance_uids) == 2


def test_read_images_reads_per_frame_rescaling(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.RescaleIntercept = str(-10 * number)

    slices = write_series(tmp_path / "classic", shape=(3, 4, 4), change=change)
    path = write_enhanced(slices, tmp_path / "enhanced.dcm")
    assert [image.intercept for image in read_images(path)] == [0, -10, -20]


def test_read_images_reads_only_the_head_of_a_large_instance(tmp_path: Path) -> None:
    slices = write_series(tmp_path / "classic", shape=(40, 64, 64))
    path = write_enhanced(slices, tmp_path / "enhanced.dcm")
    whole = path.read_bytes()
    images = read_images(path)
    path.write_bytes(whole[: images[0].pixel_data.offset])  # the pixels are gone
    assert len(read_images(path)) == 40


def test_read_images_refuses_fewer_functional_groups_than_frames(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PerFrameFunctionalGroupsSequence.pop()

    slices = write_series(tmp_path / "classic", shape=(3, 4, 4))
    path = write_enhanced(slices, tmp_path / "enhanced.dcm", change=change)
    with pytest.raises(InstanceError, match="3 frames, but functional groups for 2"):
        read_images(path)


def test_read_images_refuses_a_frame_without_position(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        del dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence

    slices = write_series(tmp_path / "classic", shape=(3, 4, 4))
    path = write_enhanced(slices, tmp_path / "enhanced.dcm", change=change)
    with pytest.raises(GeometryError, match="has no ImagePositionPatient"):
        read_images(path)


def test_read_volume_refuses_a_multi_frame_instance_that_is_cut_short(tmp_path: Path) -> None:
    slices = write_series(tmp_path / "classic", shape=(3, 4, 4))
    path = write_enhanced(slices, tmp_path / "enhanced.dcm")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InstanceError, match=r"cut short: 32 bytes expected, 29 there.*frame 3"):
        read_volume([path])


@pytest.mark.parametrize("lengths", [True, False])
def test_read_images_reads_sequences_of_any_length_encoding(tmp_path: Path, lengths: bool) -> None:
    def change(dataset: Dataset) -> None:
        for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
            dataset[keyword].is_undefined_length = lengths
            for item in dataset[keyword].value:
                item.is_undefined_length_sequence_item = lengths

    slices = write_series(tmp_path / "classic", shape=(3, 4, 4))
    path = write_enhanced(slices, tmp_path / "enhanced.dcm", change=change)
    expected = [float(pydicom.dcmread(one).ImagePositionPatient[2]) for one in slices]
    assert [image.plane.position[2] for image in read_images(path)] == expected
