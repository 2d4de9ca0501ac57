"""DICOM series and the SEG and RTSTRUCT objects that refer to them, found among files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from medaet.compute.training.case import DIGITS, Case
from medaet.dicom.identity import hashed

LABEL_MAP_SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
LABELS = frozenset({SegmentationStorage, LABEL_MAP_SEGMENTATION_STORAGE, RTStructureSetStorage})
IMAGES = frozenset({"CT", "MR"})
FACTS = {
    "scanner": ("Manufacturer", "ManufacturerModelName"),
    "kernel": ("ConvolutionKernel",),
    "contrast agent": ("ContrastBolusAgent",),
    "modality": ("Modality",),
    "sequence": ("ScanningSequence",),
}
"""What failures are grouped by, and the attributes it is read from; none of them tells who the patient is."""


@dataclass(slots=True)
class _Series:
    first: Dataset
    files: dict[str, Path] = field(default_factory=dict)


def find(folder: Path) -> list[Case]:
    """Find every CT and MR series below a folder, with the objects that label it."""
    return group(sorted(one for one in folder.rglob("*") if one.is_file()))


def group(paths: Iterable[Path], *, without: frozenset[str] = frozenset()) -> list[Case]:
    """Group files into cases.

    Args:
        paths: Files; those that are no DICOM instances are left out.
        without: SOP Instance UIDs of label objects that are no labels, such as results nobody has looked at.

    Returns:
        One case for each image series, those without labels included, in the order of their names.
    """
    series: dict[str, _Series] = {}
    labels: dict[str, list[tuple[str, Path]]] = {}
    for path, dataset in _headers(paths):
        if dataset.SOPClassUID in LABELS:
            if dataset.SOPInstanceUID not in without:
                for uid in referenced_series(dataset):
                    labels.setdefault(uid, []).append((_made_at(dataset), path))
        elif dataset.get("Modality") in IMAGES:
            one = series.setdefault(dataset.SeriesInstanceUID, _Series(dataset))
            one.files.setdefault(dataset.SOPInstanceUID, path)
    cases = [
        Case(
            name=hashed(uid)[:DIGITS],
            patient=_patient(one.first),
            images=tuple(one.files.values()),
            labels=tuple(path for _, path in sorted(labels.get(uid, []))),
            kind="dicom",
            attributes=_facts(one.first),
        )
        for uid, one in series.items()
    ]
    return sorted(cases, key=lambda case: case.name)


def referenced_series(dataset: Dataset) -> set[str]:
    """Return the Series Instance UIDs a SEG (PS3.3 §C.12.4) or an RTSTRUCT (PS3.3 §C.8.8.5) refers to."""
    found = {str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence", ())}
    for frame in dataset.get("ReferencedFrameOfReferenceSequence", ()):
        for study in frame.get("RTReferencedStudySequence", ()):
            found |= {
                str(item.SeriesInstanceUID) for item in study.get("RTReferencedSeriesSequence", ())
            }
    return found


def _headers(paths: Iterable[Path]) -> Iterator[tuple[Path, Dataset]]:
    for path in paths:
        try:
            dataset = dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError):
            continue
        if "SOPClassUID" in dataset and "SeriesInstanceUID" in dataset:
            yield path, dataset


def _made_at(dataset: Dataset) -> str:
    """Return when an object was made, as text that sorts; the newest label of a structure counts."""
    date = dataset.get("ContentDate") or dataset.get("StructureSetDate") or ""
    time = dataset.get("ContentTime") or dataset.get("StructureSetTime") or ""
    return f"{date}{time}"


def _patient(dataset: Dataset) -> str:
    """Return Patient ID with its issuer; a study without one stands for a patient of its own."""
    number = str(dataset.get("PatientID") or "")
    issuer = str(dataset.get("IssuerOfPatientID") or "")
    return f"{issuer}|{number}" if number else str(dataset.StudyInstanceUID)


def _facts(dataset: Dataset) -> Mapping[str, str]:
    facts = {
        name: " ".join(str(dataset.get(keyword) or "") for keyword in keywords).strip()
        for name, keywords in FACTS.items()
    }
    return {name: value for name, value in facts.items() if value}
