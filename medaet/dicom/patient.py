"""Whose series this is, as keyed hashes: they tell patients apart, and tell nothing to whoever lacks the key."""

import hmac
import re
import unicodedata
from dataclasses import asdict, dataclass
from enum import StrEnum

from medaet.dicom.values import Elements

NO_IDS = frozenset(
    (
        *("ANON", "ANONYMIZED", "ANONYMISED", "ANONYMOUS", "DEFAULT", "DUMMY", "EMERGENCY"),
        *("N/A", "NA", "NIL", "NO ID", "NOID", "NONE", "NOT AVAILABLE", "NULL", "PATIENT"),
        *("PHANTOM", "QA", "QC", "SERVICE", "TEST", "TRAUMA", "UNBEKANNT", "UNK", "UNKNOWN"),
    )
)
"""What scanners and operators write where there is no patient ID; many patients share these."""

_ONE_CHARACTER = re.compile(r"(.)\1*")
_BETWEEN = re.compile(r"[\s,]+")


class Verdict(StrEnum):
    """What comparing two series' patients gives."""

    SAME = "same"
    OTHER = "other"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class Patient:
    """What a series says of its patient: keyed hashes, "" for what it does not say.

    Attributes:
        patient_id: Of Patient ID (0010,0020); "" also for an ID that is none, such as "UNKNOWN".
        issuer: Of Issuer of Patient ID (0010,0021).
        name: Of Patient's Name (0010,0010), regardless of case, spaces and phonetic forms.
        birth_date: Of Patient's Birth Date (0010,0030).
        sex: Of Patient's Sex (0010,0040).
    """

    patient_id: str = ""
    issuer: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""


NOBODY = Patient()
"""What a series is ascribed to whose instances do not agree on their patient."""

_KEYWORDS = {
    "issuer": "IssuerOfPatientID",
    "name": "PatientName",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
}


def compare(one: Patient, other: Patient) -> tuple[Verdict, tuple[str, ...]]:
    """Tell whether two series are of one patient; strictly: what is not certain is doubtful.

    The same means: the same ID, the same issuer or none on either side, a name or birth date on both sides that agrees,
    and nothing that disagrees.

    Returns:
        The verdict, and the keywords of the attributes that make it doubtful; never their values.
    """
    if not (one.patient_id and other.patient_id):
        return Verdict.DOUBTFUL, ("PatientID",)
    if one.patient_id != other.patient_id:
        return Verdict.OTHER, ()
    first, second = asdict(one), asdict(other)
    differ = [
        keyword
        for field, keyword in _KEYWORDS.items()
        if first[field] != second[field] and (field == "issuer" or (first[field] and second[field]))
    ]
    if differ:
        return Verdict.DOUBTFUL, tuple(differ)
    if not any(first[field] and second[field] for field in ("name", "birth_date")):
        return Verdict.DOUBTFUL, ("PatientName", "PatientBirthDate")
    return Verdict.SAME, ()


def patient_of(elements: Elements, key: bytes) -> Patient:
    """Read whose instance this is.

    Args:
        elements: Of the instance.
        key: What makes the hashes useless to others; the same one for all instances that are to be compared.
    """
    patient_id = _plain(elements.text("PatientID"))
    birth_date = "".join(filter(str.isdigit, elements.text("PatientBirthDate")))
    words = {
        "patient_id": "" if _is_no_id(patient_id) else patient_id,
        "issuer": _plain(elements.text("IssuerOfPatientID")),
        "name": _name(elements.text("PatientName")),
        "birth_date": birth_date if any(digit != "0" for digit in birth_date) else "",
        "sex": elements.text("PatientSex").upper(),
    }
    return Patient(**{field: _hash(key, field, text) for field, text in words.items()})


def _hash(key: bytes, field: str, text: str) -> str:
    return hmac.digest(key, f"{field}\0{text}".encode(), "sha256").hex() if text else ""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip(" \0"))


def _is_no_id(text: str) -> bool:
    upper = text.upper()
    return not upper or upper in NO_IDS or bool(_ONE_CHARACTER.fullmatch(upper))


def _name(text: str) -> str:
    """Bring the first group of a name into one form; the others say the same in other letters (PS3.5 §6.2.1.2)."""
    group = next((one for one in text.split("=") if one.strip(" ^\0")), "")
    parts = [_BETWEEN.sub(" ", part).strip() for part in group.split("^")]
    return unicodedata.normalize("NFC", "^".join(parts)).casefold().rstrip("^ ")
