"""Small labelled scans that a network learns in seconds, written as researchers' files and as a hospital's."""

import shutil
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medaet import Findings, Segment
from medaet.codes import LUNG
from medaet.testing.phantom import write_series
from medaet.testing.run import encoded, source_of

SHAPE = (16, 32, 32)
SPACING_MM = (2.0, 1.0, 1.0)


def ball(seed: int) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Return a noisy scan (slice, row, column) in HU with a bright ball, and the ball's label."""
    random = np.random.default_rng(seed)
    middle = random.uniform((6, 12, 12), (10, 20, 20))
    places = np.moveaxis(np.indices(SHAPE), 0, -1)
    label = (((places - middle) / (4, 8, 8)) ** 2).sum(axis=-1) < 1
    values = label * 300.0 + random.normal(0, 40, SHAPE) - 200
    return values.astype(np.int16), label.astype(np.uint8)


def write_pairs(folder: Path, scans: int) -> Path:
    """Write images/ and labels/ as NIfTI, axial, LPS+ like DICOM."""
    affine_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([1.0, 1.0, 2.0, 1.0])
    for seed in range(scans):
        image, label = ball(seed)
        for kind, array in (("images", image), ("labels", label)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            written = nibabel.Nifti1Image(array.transpose(2, 1, 0), affine_ras)
            nibabel.save(written, folder / kind / f"scan-{seed}.nii.gz")
    return folder


def write_study(folder: Path, seed: int) -> list[Path]:
    """Write a patient's CT below ct/ and, in seg.dcm, the segmentation "Ball" of it; return the slices."""

    def patient(dataset: Dataset, _number: int) -> None:
        dataset.PatientID = f"BALL{seed}"

    image, label = ball(seed)
    paths = write_series(
        folder / "ct", voxels=image, spacing_mm=SPACING_MM, change=patient, seed=seed
    )
    findings = Findings([Segment("Ball", label.astype(np.bool_), LUNG)])
    with tempfile.TemporaryDirectory() as scratch:
        objects = encoded(findings, source_of(paths), folder=Path(scratch))
        shutil.copyfile(next(one.path for one in objects if one.kind == "SEG"), folder / "seg.dcm")
    return paths


def toml(data: str = ".", *, epochs: int = 2, steps: int = 4, further: str = "") -> str:
    """Return a training configuration for these scans."""
    return f"""
name = "balls"
modality = "CT"
precisions = []
{further}
[[data]]
kind = "pairs"
path = "{data}"
[plan]
channels = [4, 8]
patch = [16, 16, 16]
norm = "instance"
[training]
epochs = {epochs}
steps_per_epoch = {steps}
warmup_steps = 2
"""
