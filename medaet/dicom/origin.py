"""Where a series comes from: whose it is, and when it was taken."""

import contextlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from medaet.dicom.elements import read_head
from medaet.dicom.patient import NOBODY, Patient, Verdict, compare, patient_of
from medaet.dicom.values import Elements
from medaet.errors import InstanceError, SelectionError

_MOMENTS = (
    ("AcquisitionDateTime", ""),
    ("AcquisitionDate", "AcquisitionTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)
_DIGITS = re.compile(r"[0-9]*")
_FORMATS = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 10: "%Y%m%d%H", 8: "%Y%m%d"}


@dataclass(frozen=True, slots=True)
class Origin:
    """What all files of a series say together.

    Attributes:
        patient: Whose it is; `NOBODY` when they do not agree.
        acquired_at: The earliest moment any of them names, as the scanner's clock said, without time zone.
        study_instance_uid: "" when they do not agree.
    """

    patient: Patient = NOBODY
    acquired_at: datetime | None = None
    study_instance_uid: str = ""


def read_origin(paths: Sequence[Path], key: bytes) -> Origin:
    """Read where a series comes from.

    Args:
        paths: Part 10 files of one series.
        key: See `patient_of`.

    Returns:
        Nobody's series of no time when a file cannot be read.
    """
    try:
        heads = [read_head(path) for path in paths]
    except InstanceError:
        return Origin()
    patients = {patient_of(head, key) for head in heads}
    studies = {head.ascii("StudyInstanceUID") for head in heads}
    moments = [moment for head in heads if (moment := acquired_at(head)) is not None]
    return Origin(
        patients.pop() if len(patients) == 1 else NOBODY,
        min(moments) if moments else None,
        studies.pop() if len(studies) == 1 else "",
    )


def check_one_patient(series: Mapping[str, Sequence[Path]]) -> None:
    """Refuse series of different patients, the last time before they are looked at together.

    Args:
        series: Part 10 files of each series, by role.

    Raises:
        SelectionError: naming the roles and the attributes that differ or are missing, never their values.
    """
    if len(series) < 2:
        return
    key = secrets.token_bytes()
    first, *others = [(role, read_origin(paths, key)) for role, paths in series.items()]
    for role, origin in others:
        reason = differs(first[1], origin)
        if reason:
            raise SelectionError(f"the series in roles {first[0]!r} and {role!r}: {reason}")


def differs(one: Origin, other: Origin) -> str | None:
    """Say why two series are not certainly of one patient; None when they are.

    One Study Instance UID is one patient, though the headers name none; unless they deny it.
    """
    verdict, keywords = compare(one.patient, other.patient)
    same_study = bool(one.study_instance_uid) and one.study_instance_uid == other.study_instance_uid
    if verdict is Verdict.SAME or (same_study and keywords == ("PatientID",)):
        return None
    if verdict is Verdict.OTHER:
        return "it is of another patient"
    return f"it is not certain that the patient is the same: {' and '.join(keywords)}"


def acquired_at(elements: Elements) -> datetime | None:
    """Read when an instance was taken: its acquisition, else its series, else its study."""
    for date, time in _MOMENTS:
        text = _digits(elements.ascii(date).replace(".", "", 2) if time else elements.ascii(date))
        if time and len(text) == 8:
            text += _digits(elements.ascii(time).replace(":", ""))
        length = next((one for one in _FORMATS if len(text) >= one), 0)
        with contextlib.suppress(ValueError, KeyError):
            return datetime.strptime(text[:length], _FORMATS[length])  # noqa: DTZ007 -- it names no time zone
    return None


def _digits(text: str) -> str:
    """Return the digits before a fraction of a second or an offset from UTC."""
    found = _DIGITS.match(text)
    return found.group() if found else ""
