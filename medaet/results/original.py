"""The source as its files say it: what proofs compare with, read anew without highdicom."""

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
SUBJECT = ("PatientID", "IssuerOfPatientID", "StudyInstanceUID")
"""What no two instances of one series may differ in."""

_GEOMETRY = (  # noqa: SIM905 -- as above
    "SOPClassUID SOPInstanceUID SeriesInstanceUID FrameOfReferenceUID SpecificCharacterSet "
    "ImagePositionPatient ImageOrientationPatient PixelSpacing "
    "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence"
).split()


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """The headers of one source series.

    Attributes:
        header: One of them, for what they share.
        positions: Image Position (Patient) in mm, by SOP Instance UID and frame number, 0 for an image of one frame.
        along_columns: Step from one pixel to the next in a row, in mm, by the same.
        along_rows: Step from one row to the next, in mm, by the same.
        sop_class_uids: SOP Class UID, by SOP Instance UID.
    """

    header: Dataset
    positions: dict[tuple[str, int], NDArray[np.float64]]
    along_columns: dict[tuple[str, int], NDArray[np.float64]]
    along_rows: dict[tuple[str, int], NDArray[np.float64]]
    sop_class_uids: dict[str, str]


def read_original(paths: Sequence[Path], first: str) -> Original:
    """Read the headers of a series from its files.

    Args:
        paths: The files, in any order.
        first: SOP Instance UID of the one that patient and study are taken from.

    Raises:
        ProofError: they belong to more than one patient or study.
    """
    headers = [
        pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*IDENTITY, *_GEOMETRY])
        for path in paths
    ]
    by_uid = {str(header.SOPInstanceUID): header for header in headers}
    if first not in by_uid:
        raise ProofError("the source has no file for its first slice; run the analysis again")
    original = Original(by_uid[first], {}, {}, {}, {})
    for uid, header in by_uid.items():
        _check_same(header, by_uid[first], SUBJECT, "an instance of the source belongs")
        original.sop_class_uids[uid] = str(header.SOPClassUID)
        for frame, place in enumerate(_frames(header), start=_first_frame(header)):
            _put(original, (uid, frame), place)
    return original


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


def parsed(path: Path, keyword: str) -> Dataset:
    """Return the encoded result as tags and values; the pixels stay in the file.

    Raises:
        ProofError: the file is not a data set that has `keyword`.
    """
    try:
        dataset = pydicom.dcmread(path, defer_size=1024)
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
    _check_same(result, original.header, IDENTITY, "the result belongs")


def _check_same(one: Dataset, other: Dataset, keywords: Sequence[str], what: str) -> None:
    differ = [
        keyword
        for keyword in keywords
        if str(one.get(keyword) or "") != str(other.get(keyword) or "")
    ]
    if differ:
        raise ProofError(
            f"{what} to another patient or study than its source: {', '.join(differ)} differ"
        )


def _first_frame(header: Dataset) -> int:
    return 1 if "PerFrameFunctionalGroupsSequence" in header else 0


def _frames(header: Dataset) -> Iterator[Sequence[Dataset]]:
    """Yield, for each frame, where to look for its place: its own functional groups, then the shared ones."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        yield (header,)
        return
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    for own in header.PerFrameFunctionalGroupsSequence:
        yield (own, shared)


def _put(original: Original, name: tuple[str, int], where: Sequence[Dataset]) -> None:
    position = _found(where, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _found(where, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _found(where, "PixelMeasuresSequence", "PixelSpacing")
    if position is None or orientation is None or spacing is None:
        return  # an instance that is no plane of a volume
    original.positions[name] = vector(position)
    original.along_columns[name], original.along_rows[name] = steps(orientation, spacing)


def _found(where: Sequence[Dataset], sequence: str, keyword: str) -> Sequence[object] | None:
    for one in where:
        item = one[sequence][0] if sequence in one else one
        value: Sequence[object] | None = item.get(keyword)
        if value:
            return value
    return None
