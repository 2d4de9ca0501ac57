"""Labelled scans as they lie in folders: which files make a case, whose case it is, and what is known of it."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from medaet.compute.training import dicom_cases, store_cases
from medaet.compute.training.case import Case, Split
from medaet.config.training import DataSource, TrainingConfig
from medaet.errors import ConfigError

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr")
CASES_FILE = "cases.csv"
PATIENTS_FILE = "patients.csv"


@dataclass(frozen=True, slots=True)
class Source:
    """What one `[[data]]` table of the configuration gave.

    Attributes:
        names: Names of label values, where the source lists them.
        modality: Where the source says it.
    """

    cases: tuple[Case, ...]
    names: Mapping[int, str] = field(default_factory=dict)
    modality: str = ""


def find(config: TrainingConfig) -> list[Source]:
    """Look through every source of a configuration.

    Raises:
        ConfigError: a source holds no case, or is not laid out as its kind says; names the file or folder.
    """
    sources = []
    for number, one in enumerate(config.data):
        if not one.path.exists():
            raise ConfigError(f"data.{number}.path: {one.path} does not exist")
        found = _READERS[one.kind](one)
        if not found.cases:
            raise ConfigError(f"data.{number}.path: no labelled scan in {one.path} ({one.kind})")
        marked = tuple(
            replace(case, split=one.split) if case.split == "auto" else case for case in found.cases
        )
        sources.append(replace(found, cases=_taught(marked, one, number)))
    return sources


def _taught(cases: tuple[Case, ...], source: DataSource, number: int) -> tuple[Case, ...]:
    """Hand cases without labels to the teacher; a source without one keeps only those that are labelled."""
    if source.teacher is not None:
        return tuple(
            case if case.labels else replace(case, teacher=source.teacher) for case in cases
        )
    labelled = tuple(case for case in cases if case.labels)
    if not labelled:
        raise ConfigError(
            f"data.{number}: no scan in {source.path} has labels; add SEG or RTSTRUCT objects that refer to it, "
            "or a teacher"
        )
    return labelled


def _pairs(source: DataSource) -> Source:
    table = source.path / CASES_FILE
    if table.is_file():
        return Source(tuple(_from_table(table)))
    images, labels = source.path / "images", source.path / "labels"
    patients = _patients(source.path)
    cases = []
    for image in _files(images):
        name = stem(image)
        label = [labels / f"{name}{suffix}" for suffix in SUFFIXES]
        files = tuple(one for one in label if one.is_file())[:1]
        cases.append(_case(name, patients.get(name, name), image, files))
    return Source(tuple(cases))


def _from_table(table: Path) -> Iterator[Case]:
    """Read image, label, patient and split of each case; paths start at the table's folder."""
    with table.open(newline="", encoding="utf-8") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            where = f"{table}:{number}"
            image, label = row.get("image") or "", row.get("label") or ""
            files = [table.parent / one for one in (image, label) if one]
            missing = [one for one in files if not one.is_file()]
            if not image or missing:
                raise ConfigError(f"{where}: {missing[0] if missing else 'image'} is missing")
            split = row.get("split") or "auto"
            name = stem(files[0])
            case = _case(name, row.get("patient") or name, files[0], tuple(files[1:]))
            yield replace(case, split=_checked_split(split, where))


def _decathlon(source: DataSource) -> Source:
    content = _dataset_json(source.path)
    patients = _patients(source.path)
    cases = []
    for one in content.get("training", ()):
        image, label = source.path / str(one["image"]), source.path / str(one["label"])
        name = stem(image)
        cases.append(_case(name, patients.get(name, name), image, (label,)))
    return _described(cases, content, content.get("modality", {}))


def _nnunet(source: DataSource) -> Source:
    content = _dataset_json(source.path)
    channels = content.get("channel_names") or content.get("modality") or {}
    if len(channels) > 1:
        raise ConfigError(
            f"{source.path}: {len(channels)} channels; a network here takes one series, name one channel's folder"
        )
    patients = _patients(source.path)
    ending = str(content.get("file_ending", ".nii.gz"))
    cases = []
    for label in sorted((source.path / "labelsTr").glob(f"*{ending}")):
        name = label.name.removesuffix(ending)
        image = source.path / "imagesTr" / f"{name}_0000{ending}"
        cases.append(_case(name, patients.get(name, name), image, (label,)))
    return _described(cases, content, channels)


def _described(
    cases: list[Case], content: Mapping[str, Any], channels: Mapping[str, str]
) -> Source:
    missing = [
        file for case in cases for file in (*case.images, *case.labels) if not file.is_file()
    ]
    if missing:
        raise ConfigError(f"{missing[0]}: listed by its data set, but not there")
    modality = str(next(iter(channels.values()), "")).upper()
    return Source(
        tuple(cases), _names(content.get("labels")), "MR" if modality.startswith("MR") else modality
    )


def _names(labels: object) -> dict[int, str]:
    """Read both spellings: {"1": "spleen"} of the Decathlon and {"spleen": 1} of nnU-Net."""
    if not isinstance(labels, Mapping):
        return {}
    pairs = [(k, v) if str(k).isdigit() else (v, k) for k, v in labels.items()]
    return {
        int(value): str(name)
        for value, name in pairs
        if str(value).isdigit() and int(str(value)) > 0
    }


def _case(name: str, patient: str, image: Path, labels: tuple[Path, ...]) -> Case:
    return Case(name=name, patient=patient, images=(image,), labels=labels, kind="file")


def _files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.glob("*") if one.name.lower().endswith(SUFFIXES))


def stem(path: Path) -> str:
    """Return a file's name without the endings of medical images."""
    suffix = next((one for one in SUFFIXES if path.name.lower().endswith(one)), path.suffix)
    return path.name[: len(path.name) - len(suffix)]


def _patients(folder: Path) -> dict[str, str]:
    """Read whose case is whose from patients.csv (case,patient); a case that is not listed is a patient of its own."""
    table = folder / PATIENTS_FILE
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as stream:
        return {row["case"]: row["patient"] for row in csv.DictReader(stream)}


def _dataset_json(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder / 'dataset.json'}: cannot be read ({type(error).__name__})"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{folder / 'dataset.json'}: not an object")
    return content


def _checked_split(split: str, where: str) -> Split:
    for known in get_args(Split):
        if split == known:
            found: Split = known
            return found
    raise ConfigError(f"{where}: split {split!r}; write train, validation, test, or leave it empty")


def _dicom(source: DataSource) -> Source:
    return Source(tuple(dicom_cases.find(source.path)))


def _store(source: DataSource) -> Source:
    return Source(tuple(store_cases.find(source.path)))


_READERS = {
    "pairs": _pairs,
    "decathlon": _decathlon,
    "nnunet": _nnunet,
    "dicom": _dicom,
    "store": _store,
}
