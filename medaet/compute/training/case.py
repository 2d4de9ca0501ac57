"""One scan to learn from or to be judged on: its files, its patient, its labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medaet.config.training import Teacher
from medaet.dicom.identity import hashed
from medaet.dicom.volume import Volume

DIGITS = 16

Split = Literal["auto", "train", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One scan, before it is read.

    Attributes:
        name: For people and files: a research file's own name, for DICOM a hash.
        patient: As the source writes it; it leaves this object only as `patient_key`.
        images: The files of the image series, or the one image file.
        labels: SEG and RTSTRUCT files, or the one label file; empty when a teacher makes them.
        attributes: Facts by which failures are grouped: scanner, kernel, contrast.
    """

    name: str
    patient: str = field(repr=False)
    images: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    kind: Literal["dicom", "file"]
    split: Split = "auto"
    teacher: Teacher | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def patient_key(self) -> str:
        """A hash that tells patients apart and names none."""
        return hashed(self.patient)[:DIGITS]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A scan and its labels, both turned so that slices run to the head, rows to the back, columns to the left.

    Attributes:
        volume: Axes (slice, row, column), LPS+.
        labels: uint8 of the same shape; 0 is background, n the n-th structure.
        labelled_by: "people", or the analysis that made the labels.
    """

    volume: Volume
    labels: NDArray[np.uint8]
    labelled_by: str = "people"
