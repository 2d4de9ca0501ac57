"""Where labelled scans come from, and that nobody is in two splits."""

import json
from collections import Counter
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest

from medaet.compute.runtime import Runtime
from medaet.compute.training.case import Case
from medaet.compute.training.cases import find
from medaet.compute.training.prepare import prepare, structures_of
from medaet.compute.training.read import Reader
from medaet.compute.training.split import check_contents, split
from medaet.config.training import Structure, parse_training
from medaet.errors import ConfigError, GeometryError
from tests.labelled import ball, write_pairs

BALL = (Structure(name="Ball", label=1),)


def _find(folder: Path, kind: str) -> list[Case]:
    config = parse_training(
        {"name": "x", "data": [{"kind": kind, "path": str(folder)}]}, folder, "train.toml"
    )
    return [case for source in find(config) for case in source.cases]


def _case(patient: str, name: str = "", split_: str = "auto") -> Case:
    return Case(name=name or patient, patient=patient, images=(), kind="file", split=split_)  # type: ignore[arg-type]


def test_pairs_without_a_table_are_matched_by_name(tmp_path: Path) -> None:
    cases = _find(write_pairs(tmp_path, 2), "pairs")
    assert [case.name for case in cases] == ["scan-0", "scan-1"]
    assert cases[0].labels == (tmp_path / "labels" / "scan-0.nii.gz",)


def test_pairs_in_a_table_belong_to_the_patients_it_names(tmp_path: Path) -> None:
    write_pairs(tmp_path, 2)
    rows = ["image,label,patient,split"]
    rows += [f"images/scan-{n}.nii.gz,labels/scan-{n}.nii.gz,SMITH,test" for n in range(2)]
    (tmp_path / "cases.csv").write_text("\n".join(rows))
    cases = _find(tmp_path, "pairs")
    assert len({case.patient_key for case in cases}) == 1
    assert {case.split for case in cases} == {"test"}
    assert "SMITH" not in repr(cases)


def test_a_table_that_names_a_missing_file_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("image,label\nnone.nii.gz,\n")
    with pytest.raises(ConfigError, match=r"cases\.csv:2.*none\.nii\.gz"):
        _find(tmp_path, "pairs")


@pytest.mark.parametrize("kind", ["decathlon", "nnunet"])
def test_research_layouts_name_their_structures(tmp_path: Path, kind: str) -> None:
    write_pairs(tmp_path, 1)
    nnunet = kind == "nnunet"
    for old, new in (("images", "imagesTr"), ("labels", "labelsTr")):
        (tmp_path / old).rename(tmp_path / new)
    if nnunet:
        images = tmp_path / "imagesTr"
        (images / "scan-0.nii.gz").rename(images / "scan-0_0000.nii.gz")
    content = {
        "modality" if not nnunet else "channel_names": {"0": "CT"},
        "labels": {"background": 0, "ball": 1} if nnunet else {"0": "background", "1": "ball"},
        "training": [{"image": "./imagesTr/scan-0.nii.gz", "label": "./labelsTr/scan-0.nii.gz"}],
        "file_ending": ".nii.gz",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    config = parse_training(
        {"name": "x", "data": [{"kind": kind, "path": "."}]}, tmp_path, "train.toml"
    )
    sources = find(config)
    assert sources[0].modality == "CT"
    assert [one.name for one in structures_of(config, sources)] == ["ball"]
    assert sources[0].cases[0].images[0].is_file()


@pytest.mark.parametrize("suffix", ["nii.gz", "nrrd"])
def test_a_sagittal_file_is_turned_until_it_runs_like_axial_dicom(
    tmp_path: Path, suffix: str
) -> None:
    voxels, label = ball(3)
    # stored from right to left in slices, feet to head in rows, back to front in columns: (i, j, k) of the file
    turned = [array.transpose(1, 0, 2)[::-1, :, :] for array in (voxels, label)]
    affine_lps = np.zeros((4, 4))
    affine_lps[1, 0], affine_lps[2, 1], affine_lps[0, 2] = -1, 2, 1
    affine_lps[:, 3] = (0, voxels.shape[1] - 1, 0, 1)
    for kind, array in zip(("images", "labels"), turned, strict=True):
        path = tmp_path / kind / f"one.{suffix}"
        path.parent.mkdir()
        if suffix == "nrrd":
            header = {
                "space": "left-posterior-superior",
                "space directions": affine_lps[:3, :3].T,
                "space origin": affine_lps[:3, 3],
            }
            nrrd.write(str(path), np.ascontiguousarray(array), header)
        else:
            ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_lps
            nibabel.save(nibabel.Nifti1Image(array, ras), path)
    read = Reader(BALL, "CT", Runtime("cpu"), tmp_path).read(_find(tmp_path, "pairs")[0])
    assert np.array_equal(read.labels, label)
    assert np.array_equal(read.volume.voxels, voxels.astype(np.float32))
    assert read.volume.spacing_mm == (2.0, 1.0, 1.0)
    assert np.all(np.diag(read.volume.affine) > 0)


def test_labels_on_another_grid_are_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path, 1)
    path = tmp_path / "labels" / "scan-0.nii.gz"
    image = nibabel.load(path)
    moved = np.asarray(image.affine).copy()
    moved[0, 3] += 3
    array = np.asarray(image.dataobj)
    path.unlink()
    nibabel.save(nibabel.Nifti1Image(array, moved), path)
    with pytest.raises(GeometryError, match="different grids"):
        Reader(BALL, "CT", Runtime("cpu"), tmp_path).read(_find(tmp_path, "pairs")[0])


def test_split_takes_whole_patients() -> None:
    cases = [_case(f"p{n // 3}", f"c{n}") for n in range(60)]
    drawn = split(cases, validation_share=0.2, test_share=0.2, seed=1)
    of_patient: dict[str, set[str]] = {}
    for case in drawn:
        of_patient.setdefault(case.patient, set()).add(case.split)
    assert all(len(one) == 1 for one in of_patient.values())
    assert Counter(case.split for case in drawn) == {"train": 36, "validation": 12, "test": 12}


def test_split_moves_nobody_into_training_when_patients_join() -> None:
    few = split([_case(f"p{n}") for n in range(20)], validation_share=0, test_share=0.2, seed=1)
    more = split([_case(f"p{n}") for n in range(21)], validation_share=0, test_share=0.2, seed=1)
    before = {case.patient for case in few if case.split == "test"}
    after = {case.patient for case in more if case.split == "test"}
    assert len(before - after) <= 1


def test_split_refuses_a_patient_in_two_splits() -> None:
    cases = [_case("p", "a", "train"), _case("p", "b", "test")]
    with pytest.raises(ConfigError, match="a patient is in two splits, train and test"):
        split(cases, validation_share=0, test_share=0, seed=1)


def test_one_image_under_two_names_in_two_splits_is_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path, 3)
    for kind in ("images", "labels"):
        first = (tmp_path / kind / "scan-0.nii.gz").read_bytes()
        for number in (1, 2):
            (tmp_path / kind / f"scan-{number}.nii.gz").write_bytes(first)
    raw = {"name": "x", "modality": "CT", "data": [{"kind": "pairs", "path": "."}]}
    config = parse_training(raw, tmp_path, "train.toml")
    with pytest.raises(ConfigError, match="are the same image"):
        prepare(config, tmp_path / "run", "cpu")


def test_one_image_twice_in_one_split_is_no_leak() -> None:
    check_contents({"a": "x", "b": "x"}, [_case("a", "a", "train"), _case("b", "b", "train")])
