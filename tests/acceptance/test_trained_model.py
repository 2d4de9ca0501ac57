"""A network that `medaet train` made from studies: through the daemon it finds what its report judged, voxel for voxel.

What its training certified counts after the import, and a damaged network is refused with its structures and figures.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pydicom
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from pydicom.uid import UID
from typer.testing import CliRunner, Result

from medaet.cli import application
from medaet.compute.training.dicom_labels import read_masks
from medaet.compute.training.store_cases import find
from medaet.demo.run import await_daemon
from medaet.demo.site import Site, site
from medaet.dicom.volume import read_volume
from tests.acceptance.hospital import objects_by_study, wait_until
from tests.labelled import ball, write_study
from tests.readers import read_by_dcmqi

pytestmark = [pytest.mark.slow, pytest.mark.interop, pytest.mark.timeout(900)]

CONFIG = """
name = "balls"
body_part = "CHEST"
precisions = ["int8"]
[[data]]
kind = "dicom"
path = "learn"
split = "train"
[[data]]
kind = "dicom"
path = "judge"
split = "test"
[[structures]]
name = "Ball"
[plan]
channels = [4, 8, 16]
patch = [16, 32, 32]
[training]
epochs = 3
steps_per_epoch = 12
learning_rate = 2e-2
ema = 0.8
[limits]
lowest_dice = 0.95
largest_volume_error_percent = 5.0
"""
LEARNED, JUDGED = (1, 2), 3


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run, and a site that imported its model but does not run yet.

    Attributes:
        told: What `medaet train --json` said.
        slices: Of the judged patient.
        imported: What `medaet models import` said.
    """

    told: dict[str, Any]
    slices: list[Path]
    site: Site
    imported: str

    @property
    def model(self) -> Path:
        return Path(self.told["model"])


def _medaet(*words: str | Path) -> Result:
    typed = [str(word) for word in words]
    return CliRunner().invoke(application(typed), typed)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("trained")
    for seed in LEARNED:
        write_study(folder / "learn" / f"{seed}", seed)
    slices = write_study(folder / "judge", JUDGED)
    (folder / "train.toml").write_text(CONFIG)
    done = _medaet("train", folder / "train.toml", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    with site(folder / "site", ["balls"]) as one:
        imported = _medaet("models", "import", told["model"], "--config", one.config_file)
        assert imported.exit_code == 0, imported.output
        yield Trained(told, slices, one, imported.stdout)


@pytest.fixture(scope="module")
def segmentation(trained: Trained) -> Path:
    """What the running daemon made of the judged patient's study."""
    one = trained.site
    one.start_pacs()
    one.start_daemon()
    assert await_daemon(one)
    assert one.scan(trained.slices[0].parent).wait(60) == 0
    wait_until(lambda: objects_by_study(one.archive).total() == 2, 150, "SEG and SR arrive")
    return _segmentation(one)


def _segmentation(one: Site) -> Path:
    (sent,) = (
        path
        for path in one.archive.glob("*.dcm")
        if pydicom.dcmread(path, stop_before_pixels=True).Modality == "SEG"
    )
    return sent


def _mask(segmentation: Path, slices: list[Path], scratch: Path) -> NDArray[np.bool_]:
    """Return the first segment on the grid of a series, as dcmqi reads it."""
    volume = read_volume(slices)
    inverse = np.linalg.inv(volume.affine)
    places = read_by_dcmqi(segmentation, scratch)[1]
    columns, rows, numbers = np.rint(inverse[:3, :3] @ places.T + inverse[:3, 3:]).astype(int)
    mask = np.zeros(volume.voxels.shape, np.bool_)
    mask[numbers, rows, columns] = True
    return mask


def test_the_daemon_finds_the_masks_of_the_validation(
    trained: Trained, segmentation: Path, tmp_path: Path
) -> None:
    found = _mask(segmentation, trained.slices, tmp_path / "read")
    assert np.array_equal(found, np.load(trained.model / "reference/case-1/labels.npy") == 1)
    label = ball(JUDGED)[1] == 1
    dice = 2 * (found & label).sum() / (found.sum() + label.sum())
    (judged,) = trained.told["results"]
    assert dice == pytest.approx(judged["scores"]["Ball"]["dice"])
    assert dice > 0.8


def test_a_segmentation_that_comes_back_corrected_is_a_label_and_the_daemons_own_is_none(
    trained: Trained, segmentation: Path, tmp_path: Path
) -> None:
    one = trained.site
    returned = tmp_path / "returned"
    shutil.copytree(
        one.archive, returned, ignore=lambda folder, names: set(names) - {segmentation.name}
    )
    assert one.scan(returned).wait(60) == 0
    assert [case.labels for case in find(one.config_file)] == [()]
    corrected = pydicom.dcmread(segmentation)
    corrected.SOPInstanceUID = UID("2.25.11")
    corrected.file_meta.MediaStorageSOPInstanceUID = corrected.SOPInstanceUID
    corrected.SeriesInstanceUID = "2.25.1"
    corrected.save_as(returned / segmentation.name)
    assert one.scan(returned).wait(60) == 0
    one.stop()
    (case,) = find(one.config_file)
    assert [pydicom.dcmread(path).SOPInstanceUID for path in case.labels] == ["2.25.11"]
    masks = read_masks(case.labels, read_volume(case.images))
    assert np.array_equal(masks["ball"], _mask(segmentation, trained.slices, tmp_path / "read"))


def test_training_certifies_precisions_and_the_import_takes_the_certificates_along(
    trained: Trained,
) -> None:
    (told,) = trained.told["precisions"]
    assert (told["precision"], told["accepted"]) == ("int8", True)
    card = (trained.model / "docs" / "README.md").read_text()
    report = Path(trained.told["report"]).read_text()
    assert told["words"] in card
    assert told["words"] in report
    assert "int8 by" in trained.imported
    listed = _medaet("models", "certificates", "--json", "--config", trained.site.config_file)
    (certificate,) = json.loads(listed.stdout)
    assert (certificate["analysis"], certificate["precision"]) == ("balls", "int8")
    assert certificate["state"] == "well"


def test_a_certificate_that_came_with_a_model_counts(trained: Trained, tmp_path: Path) -> None:
    config = trained.site.root / "int8.toml"
    config.write_text(
        trained.site.config_file.read_text() + '\n[compute.balls]\nprecision = "int8"\n'
    )
    ran = _medaet("run", "balls", *trained.slices, "--out", tmp_path, "--config", config)
    assert ran.exit_code == 0, ran.output
    (report,) = (
        str(one) for one in map(pydicom.dcmread, tmp_path.glob("*.dcm")) if one.Modality == "SR"
    )
    assert "int8" in report
    assert "refused" not in report


def test_a_damaged_int8_network_is_refused_with_structure_and_figure(trained: Trained) -> None:
    (network,) = trained.site.config.certificates_path.glob("networks/*.onnx")
    model = onnx.load(str(network))
    for one in model.graph.initializer:
        array = numpy_helper.to_array(one)
        if array.dtype == np.int8 and array.ndim == 5:
            one.CopyFrom(numpy_helper.from_array(np.roll(-array, 1, axis=0), one.name))
    onnx.save(model, str(network))
    words = ["models", "verify", "balls", "--precision", "int8"]
    done = _medaet(*words, "--config", trained.site.config_file)
    assert done.exit_code == 1
    assert "Ball: Dice 0." in done.output
    assert "at least 0.95 is required" in done.output
