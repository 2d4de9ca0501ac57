"""Results of a phantom, and ways to spoil them, for tests of the proofs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset

from medaet.plugin.findings import Findings
from medaet.results.objects import Encoded, Source
from medaet.results.proof import Expectation
from medaet.results.proof_of_report import Account, prove_report
from medaet.results.sr import comments
from medaet.testing.phantom import write_series
from medaet.testing.run import algorithm, encoded, source_of, two_boxes

SHAPE = (8, 16, 16)
SPACING_MM = (2.5, 0.75, 0.5)
AXIAL = (1, 0, 0, 0, 1, 0)
COS, SIN = 0.9659258, 0.258819
ORIENTATIONS = {
    "axial": AXIAL,
    "axial, feet first": (-1, 0, 0, 0, 1, 0),
    "axial, prone": (-1, 0, 0, 0, -1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (COS, SIN, 0, 0, 0, -1),
    "doubly oblique": (COS, SIN, 0, -SIN * COS, COS * COS, SIN),
}


class Case:
    """A phantom series, findings on it, and the results."""

    def __init__(self, folder: Path, **options: object) -> None:
        settings: dict[str, object] = {"shape": SHAPE, "spacing_mm": SPACING_MM, "seed": 1}
        moves = options.pop("moves", None)
        self.paths = write_series(folder, **{**settings, **options})  # type: ignore[arg-type]
        for path, move in zip(self.paths, moves or [], strict=False):  # type: ignore[call-overload]
            shift(path, move)
        self.source: Source = source_of(self.paths)
        self.volume = self.source.volumes["ct"]
        self.findings: Findings = two_boxes(self.volume).resolved({"ct": self.volume})
        self.results: list[Encoded] = encoded(self.findings, self.source)
        self.expected = Expectation.of(self.findings.segments, self.volume, self.paths)

    def segmentation(self, change: Callable[[Dataset], None]) -> Path:
        return changed(self.results[0].path, change)

    def prove_report(
        self, change: Callable[[Dataset], None], findings: Findings | None = None
    ) -> dict[str, object]:
        account = Account(
            findings or self.findings,
            sources=[self.expected],
            segmentations=[self.results[0].path],
            sentences=comments(self.findings, algorithm()),
        )
        return prove_report(changed(self.results[1].path, change), account)


def shift(path: Path, move: tuple[float, float, float]) -> None:
    """Move one slice, in mm."""
    dataset = pydicom.dcmread(path)
    place = [float(part) + by for part, by in zip(dataset.ImagePositionPatient, move, strict=True)]
    dataset.ImagePositionPatient = [f"{part:.10g}" for part in place]
    dataset.save_as(path)


def changed(path: Path, change: Callable[[Dataset], None]) -> Path:
    """Write a result again with a change, beside the first."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    other = path.with_suffix(".changed.dcm")
    dataset.save_as(other, enforce_file_format=True)
    return other


def frames(dataset: Dataset) -> np.ndarray:
    shape = (int(dataset.NumberOfFrames), dataset.Rows, dataset.Columns)
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    return bits[: np.prod(shape)].reshape(shape)


def set_frames(dataset: Dataset, pixels: np.ndarray) -> None:
    packed = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
