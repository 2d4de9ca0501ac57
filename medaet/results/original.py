"""The source as its files say it: what proofs compare with, read anew without highdicom."""

import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.errors import ProofError

IDENTITY = (  # noqa: SIM905 -- keywords read best as words
    "PatientID IssuerOfPatientID PatientName PatientBirthDate PatientSex "
    "StudyInstanceUID StudyDate StudyTime StudyID AccessionNumber "
    "ReferringPhysicianName StudyDescription"
).split()
_GEOMETRY = (  # noqa: SIM905 -- as above
    "SOPClassUID SOPInstanceUID SeriesInstanceUID FrameOfReferenceUID "
    "ImagePositionPatient ImageOrientationPatient PixelSpacing SpecificCharacterSet"
).split()


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """The headers of one source series.

    Attributes:
        header: One of them, for what they share.
        positions: Image Position (Patient) in mm, by SOP Instance UID.
        along_columns: Step from one pixel to the next in a row, in mm.
        along_rows: Step from one row to the next, in mm.
        sop_class_uids: SOP Class UID, by SOP Instance UID.
    """

    header: Dataset
    positions: dict[str, NDArray[np.float64]]
    along_columns: NDArray[np.float64]
    along_rows: NDArray[np.float64]
    sop_class_uids: dict[str, str]


def read_original(paths: Sequence[Path]) -> Original:
    """Read the headers of a series from its files."""
    headers = [
        pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*IDENTITY, *_GEOMETRY])
        for path in paths
    ]
    first = headers[0]
    along_columns, along_rows = steps(first.ImageOrientationPatient, first.PixelSpacing)
    return Original(
        header=first,
        positions={str(one.SOPInstanceUID): vector(one.ImagePositionPatient) for one in headers},
        along_columns=along_columns,
        along_rows=along_rows,
        sop_class_uids={str(one.SOPInstanceUID): str(one.SOPClassUID) for one in headers},
    )


def vector(values: Iterable[object]) -> NDArray[np.float64]:
    """Return decimal strings as numbers."""
    return np.array([float(str(value)) for value in values])


def steps(
    orientation: Iterable[object], pixel_spacing: Iterable[object]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the steps along a row and down a column in patient coordinates, in mm.

    Args:
        orientation: Image Orientation (Patient), six direction cosines, the row's first.
        pixel_spacing: Pixel Spacing in mm: between rows, then between columns.

    Source:
        PS3.3 §C.7.6.2.1.1.
    """
    cosines = vector(orientation)
    between_rows, between_columns = vector(pixel_spacing)
    return cosines[:3] * between_columns, cosines[3:] * between_rows


@contextmanager
def refused_when_malformed() -> Iterator[None]:
    """Turn whatever a malformed result makes Python say into a ProofError."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ProofError(f"the encoded result is malformed: {error}; report a fault") from error


def letters(text: str) -> str:
    """Return what is left of a text in every character set: its ASCII letters and digits."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return "".join(filter(str.isalnum, plain))


def parsed(content: bytes, keyword: str) -> Dataset:
    """Return the encoded result as tags and values.

    Raises:
        ProofError: the bytes are not a data set that has `keyword`.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
    except pydicom.errors.InvalidDicomError as error:
        raise ProofError("the encoded result cannot be read back; report a fault") from error
    if keyword not in dataset:
        raise ProofError(f"the encoded result has no {keyword}; report a fault")
    return dataset


def prove_identity(result: Dataset, original: Original) -> None:
    """Compare patient and study with the source; empty and absent are the same.

    Raises:
        ProofError: naming the attributes that differ, never their values.
    """
    differ = [
        keyword
        for keyword in IDENTITY
        if str(result.get(keyword) or "") != str(original.header.get(keyword) or "")
    ]
    if differ:
        raise ProofError(
            "the result belongs to another patient or study than its source: "
            f"{', '.join(differ)} differ"
        )
