"""The header that all results share: patient and study verbatim, equipment, times, bytes."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import highdicom
import structlog
from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.uid import UID

from medaet import __version__
from medaet.dicom.codes import PROCESSING_EQUIPMENT, Code
from medaet.dicom.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from medaet.results.algorithm import MANUFACTURER, NOT_FOR_DIAGNOSTIC_USE, Algorithm
from medaet.results.source import SourceSeries

log = structlog.get_logger()

LONG_STRING = 64
SERIES_NUMBERS = {
    "SEG": 9001,
    "SR": 9002,
    "PM": 9003,
    "KO": 9004,
    "SC": 9005,
    "PDF": 9006,
    "REG": 9007,
    "resampled": 9008,
    "PR": 9009,
    "fused": 9010,
}
"""Fixed, and behind what scanners number: results come last where a viewer sorts by number."""

IDENTITY = (  # noqa: SIM905 -- fifty keywords read best as words
    # Patient, PS3.3 §C.7.1.1
    "PatientName PatientID IssuerOfPatientID TypeOfPatientID "
    "IssuerOfPatientIDQualifiersSequence PatientBirthDate PatientBirthTime PatientSex "
    "OtherPatientIDs OtherPatientIDsSequence OtherPatientNames EthnicGroup PatientComments "
    "PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription "
    "PatientBreedCodeSequence BreedRegistrationSequence ResponsiblePerson ResponsiblePersonRole "
    "ResponsibleOrganization PatientIdentityRemoved DeidentificationMethod "
    "DeidentificationMethodCodeSequence "
    # Clinical trial subject and study, PS3.3 §C.7.1.3 and §C.7.2.3
    "ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName "
    "ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialSubjectID "
    "ClinicalTrialSubjectReadingID ClinicalTrialTimePointID ClinicalTrialTimePointDescription "
    # General study, PS3.3 §C.7.2.1
    "StudyInstanceUID StudyDate StudyTime ReferringPhysicianName "
    "ReferringPhysicianIdentificationSequence StudyID AccessionNumber "
    "IssuerOfAccessionNumberSequence StudyDescription PhysiciansOfRecord ProcedureCodeSequence "
    # Patient study, PS3.3 §C.7.2.2
    "AdmissionID IssuerOfAdmissionIDSequence PatientAge PatientSize PatientWeight "
    "PatientSexNeutered "
).split()
"""What is copied verbatim; attributes of other modules are not a result's to repeat."""

_TYPE_2 = (  # noqa: SIM905 -- as above
    "PatientName PatientID PatientBirthDate PatientSex "
    "StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber"
).split()
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)")


def coded(code: Code) -> highdicom.sr.CodedConcept:
    """Return the code as highdicom takes it."""
    return highdicom.sr.CodedConcept(code.value, code.scheme, code.meaning)


def fitting(text: str, header: Dataset, *, length: int | None = None) -> str:
    """Return the text in characters that the source's Specific Character Set can hold.

    Args:
        text: Any words; accents are dropped and other characters replaced where the set lacks them.
        header: Data set whose character set the result carries.
        length: Maximum number of characters; with one, backslashes and line ends, which separate
            values, go too.
    """
    if length is not None:
        text = " ".join(text.replace("\\", "/").split())[:length].rstrip()
    for codec in convert_encodings(header.get("SpecificCharacterSet") or "ISO_IR 6"):
        try:
            # pydicom reads the default repertoire as Latin-1; the standard allows only ASCII in it.
            text.encode("ascii" if codec == default_encoding else codec)
        except UnicodeEncodeError:
            continue
        return text
    plain = unicodedata.normalize("NFKD", text)
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return kept.encode("ascii", "replace").decode("ascii")


def series_description(algorithm: Algorithm, what: str) -> str:
    """Name a series so that nobody mistakes it, in at most 64 characters."""
    ending = f" {what}" + (
        f", {NOT_FOR_DIAGNOSTIC_USE}" if algorithm.not_for_diagnostic_use else ""
    )
    return algorithm.readable_title[: LONG_STRING - len(ending)].rstrip() + ending


def equipment(algorithm: Algorithm, header: Dataset) -> dict[str, str]:
    """Return the constructor arguments that name the equipment (PS3.3 §C.7.5.2)."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": fitting(algorithm.readable_title, header, length=LONG_STRING),
        "software_versions": __version__,
        "device_serial_number": algorithm.serial_number,
    }


def complete(dataset: Dataset, series: SourceSeries, algorithm: Algorithm, what: str) -> None:
    """Write what every result of a run says, over what highdicom chose.

    Args:
        dataset: A result as highdicom made it; changed in place.
        series: The source whose patient and study it belongs to.
        algorithm: The run; its start is every date and time.
        what: What sort of result it is, as the series names it.

    Source:
        PS3.3 §C.7.1.1, §C.7.2.1, §C.7.3.1, §C.12.1.
    """
    _copy_identity(dataset, series.first)
    began = local_time(algorithm.started_at, series.first)
    for keyword in ("Series", "Content", "InstanceCreation"):
        setattr(dataset, f"{keyword}Date", began.strftime("%Y%m%d"))
        setattr(dataset, f"{keyword}Time", began.strftime("%H%M%S.%f"))
    dataset.TimezoneOffsetFromUTC = began.strftime("%z")[:5]
    description = series_description(algorithm, what)
    dataset.SeriesDescription = fitting(description, series.first, length=LONG_STRING)
    _sign(dataset, algorithm, series.first, began)
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    dataset.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME


def put_body_part(dataset: Dataset, header: Dataset) -> None:
    """Copy the body part, where the source names one."""
    if header.get("BodyPartExamined"):
        dataset.BodyPartExamined = header.BodyPartExamined


def leave_side_open(dataset: Dataset) -> None:
    """Say of a picture or map without a body part that nobody knows whether it has two sides (PS3.3 §C.7.3.1)."""
    if "BodyPartExamined" not in dataset:
        dataset.Laterality = ""


def save(dataset: Dataset, path: Path) -> None:
    """Write the result as a PS3.10 file."""
    dataset.save_as(path, enforce_file_format=True)


def local_time(moment: datetime, header: Dataset) -> datetime:
    """Return the moment at the source's offset from UTC, else in the time zone of this host."""
    offset = _OFFSET.fullmatch(str(header.get("TimezoneOffsetFromUTC") or "").strip())
    if offset is None:
        return moment.astimezone()
    sign, hours, minutes = offset.groups()
    distance = timedelta(hours=int(hours), minutes=int(minutes))
    return moment.astimezone(UTC).astimezone(timezone(-distance if sign == "-" else distance))


def _copy_identity(dataset: Dataset, header: Dataset) -> None:
    """Copy character set, patient and study verbatim; what must exist may be empty (type 2)."""
    for keyword in ("SpecificCharacterSet", *IDENTITY):
        if keyword in dataset:
            delattr(dataset, keyword)
        if keyword in header:
            _copy(dataset, header, keyword)
    for keyword in _TYPE_2:
        if keyword not in dataset:
            setattr(dataset, keyword, "")


def _copy(dataset: Dataset, header: Dataset, keyword: str) -> None:
    try:
        dataset.add(header[keyword])
    except NotImplementedError:
        # An unknown value representation: nobody could read what it says, so it is not repeated.
        log.warning("attribute.skipped", keyword=keyword)


def _sign(dataset: Dataset, algorithm: Algorithm, header: Dataset, began: datetime) -> None:
    """Add the algorithm to the contributing equipment (PS3.3 §C.12.1.1.5)."""
    moment = began.strftime("%Y%m%d%H%M%S.%f%z")
    equipment = list(dataset.get("ContributingEquipmentSequence", ()))
    if equipment:
        # The last item is highdicom's own, dated with the clock; the same run must give the same bytes.
        equipment[-1].ContributionDateTime = moment
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [coded(PROCESSING_EQUIPMENT)]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = fitting(algorithm.name, header, length=LONG_STRING)
    item.SoftwareVersions = [fitting(algorithm.version, header, length=LONG_STRING), __version__]
    item.DeviceSerialNumber = algorithm.serial_number
    item.DeviceUID = algorithm.device_uid
    item.ContributionDateTime = moment
    item.ContributionDescription = fitting(
        f"Processing algorithm: {algorithm.readable_title}", header, length=1024
    )
    dataset.ContributingEquipmentSequence = [*equipment, item]
