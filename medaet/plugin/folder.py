"""Findings and volumes as files: JSON for words and numbers, npy for arrays, never a pickle."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.codes import Code
from medaet.dicom.identity import hashed
from medaet.dicom.volume import Volume
from medaet.errors import FindingsError
from medaet.plugin import bundle
from medaet.plugin.detection import Box, Classification, Detection
from medaet.plugin.findings import Evaluation, Findings, Measurement
from medaet.plugin.mask import BooleanMask, Label, LabelMap, Mask
from medaet.plugin.parametric_map import ParametricMap
from medaet.plugin.segment import Segment

FINDINGS = "findings.json"
MAXIMUM_JSON_BYTES = 16 * 1024 * 1024
MAXIMUM_SEGMENTS = 1000
_ARRAY = re.compile(r"[a-z]+-[0-9]{1,4}\.npy")


def save(findings: Findings, folder: Path) -> None:
    """Write findings into a folder.

    Words and numbers are in findings.json. A mask of its own is a file of bits; a label map is one file, whatever the
    number of segments that share it; probabilities and maps are files of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = _Arrays(folder)
    content = {
        "segments": [_described(one, arrays) for one in findings.segments],
        "measurements": [asdict(item) for item in findings.measurements],
        "evaluations": [asdict(item) for item in findings.evaluations],
        "detections": [asdict(item) for item in findings.detections],
        "classifications": [asdict(item) for item in findings.classifications],
        "remarks": list(findings.remarks),
        "failed": list(findings.failed),
        "maps": [
            {
                "label": one.label,
                "quantity": asdict(one.quantity),
                "unit": asdict(one.unit),
                "role": one.role,
                "voxels": arrays.put("map", one.voxels),
            }
            for one in findings.maps
        ],
        **bundle.described(findings.registrations, findings.resampled, folder),
    }
    (folder / FINDINGS).write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def load(folder: Path) -> Findings:
    """Read findings back, trusting nothing; label maps, probabilities and maps stay on disk until they are used.

    Raises:
        FindingsError: a file is missing, malformed, or not what it claims to be.
    """
    try:
        content = json.loads(_bytes(folder / FINDINGS))
        listed = content["segments"]
        for kind in ("segments", "detections", "classifications"):
            if len(content.get(kind, ())) > MAXIMUM_SEGMENTS:
                raise FindingsError(f"{len(content[kind])} {kind} are more than {MAXIMUM_SEGMENTS}")
        label_maps: dict[str, LabelMap] = {}
        return Findings(
            segments=tuple(_segment(one, folder, label_maps) for one in listed),
            measurements=tuple(_measurement(one) for one in content["measurements"]),
            evaluations=tuple(
                Evaluation(Code(**one["name"]), Code(**one["value"]), one["of"])
                for one in content["evaluations"]
            ),
            detections=tuple(_detection(one) for one in content.get("detections", ())),
            classifications=tuple(
                _classification(one) for one in content.get("classifications", ())
            ),
            remarks=tuple(str(one) for one in content["remarks"]),
            failed=tuple(str(one) for one in content["failed"]),
            maps=tuple(_map(one, folder) for one in content["maps"]),
            registrations=bundle.registrations(content, folder),
            resampled=bundle.resampled(content, folder),
        )
    except (AttributeError, EOFError, LookupError, OSError, TypeError, ValueError) as error:
        raise FindingsError(f"the findings cannot be read ({type(error).__name__})") from error


class _Arrays:
    """Writes arrays into files with numbered names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._label_maps: dict[int, str] = {}

    def put(self, kind: str, array: NDArray[Any]) -> str:
        self._count += 1
        name = f"{kind}-{self._count}.npy"
        np.save(self._folder / name, array, allow_pickle=False)
        return name

    def put_once(self, labels: LabelMap) -> str:
        """Write a label map the first time that it is met; segments keep it alive, so its id is its own."""
        if id(labels) not in self._label_maps:
            self._label_maps[id(labels)] = self.put("labels", labels.labels)
        return self._label_maps[id(labels)]


def _described(segment: Segment, arrays: _Arrays) -> dict[str, Any]:
    voxels = segment.voxels
    if isinstance(voxels, Label):
        where: dict[str, Any] = {
            "labels": arrays.put_once(voxels.map),
            "numbers": list(voxels.numbers),
        }
    else:
        where = {"bits": arrays.put("segment", np.packbits(voxels.whole()))}
    probability = segment.probability
    return {
        "label": segment.label,
        "shape": list(voxels.shape),
        "mask": where,
        "probability": None if probability is None else arrays.put("probability", probability),
        "code": asdict(segment.code),
        "category": asdict(segment.category),
        "modifier": _coded(segment.modifier),
        "anatomic_region": _coded(segment.anatomic_region),
        "role": segment.role,
        "colour": segment.colour,
        "followed": segment.followed,
    }


def save_volume(volume: Volume, folder: Path) -> None:
    """Write a volume's voxels and geometry; its UIDs stay behind, a worker child has no use for them.

    Of the frame of reference a hash goes along, by which volumes of one frame know each other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "voxels.npy", volume.voxels, allow_pickle=False)
    frame = volume.frame_of_reference_uid
    geometry = {
        "affine": volume.affine.tolist(),
        "modality": volume.modality,
        "frame": hashed(frame) if frame else "",
        "padding": volume.padding,
    }
    (folder / "volume.json").write_text(json.dumps(geometry), encoding="utf-8")


def load_volume(folder: Path) -> Volume:
    """Map a volume's voxels into memory; changes stay there."""
    geometry = json.loads((folder / "volume.json").read_text(encoding="utf-8"))
    voxels: NDArray[Any] = np.load(folder / "voxels.npy", mmap_mode="c", allow_pickle=False)
    return Volume(
        voxels,
        np.asarray(geometry["affine"], dtype=np.float64),
        geometry["modality"],
        padding=tuple(geometry["padding"]) if geometry["padding"] else None,
        frame_of_reference_uid=geometry["frame"],
    )


def _segment(one: Mapping[str, Any], folder: Path, label_maps: dict[str, LabelMap]) -> Segment:
    shape = tuple(int(length) for length in one["shape"])
    return Segment(
        str(one["label"]),
        _mask(one["mask"], shape, folder, label_maps),
        **_concepts(one),
        role=one["role"],
        colour=tuple(one["colour"]) if one["colour"] else None,
        probability=_array(folder, one["probability"], np.uint8) if one["probability"] else None,
        followed=str(one["followed"]),
    )


def _mask(
    one: Mapping[str, Any], shape: tuple[int, ...], folder: Path, label_maps: dict[str, LabelMap]
) -> Mask:
    if "labels" in one:
        name = str(one["labels"])
        if name not in label_maps:
            label_maps[name] = LabelMap(_array(folder, name, np.uint8, np.uint16))
        if label_maps[name].shape != shape:
            raise FindingsError(f"{name} does not have the shape {shape}")
        return label_maps[name].mask(*(int(number) for number in one["numbers"]))
    count = int(np.prod(shape, dtype=np.int64))
    packed = _array(folder, str(one["bits"]), np.uint8)
    if len(shape) != 3 or packed.size != (count + 7) // 8:
        raise FindingsError(f"{one['bits']} does not have the shape {shape}")
    return BooleanMask(np.unpackbits(packed, count=count).reshape(shape).astype(np.bool_))


def _map(one: Mapping[str, Any], folder: Path) -> ParametricMap:
    return ParametricMap(
        str(one["label"]),
        _array(folder, str(one["voxels"]), np.float32),
        Code(**one["quantity"]),
        Code(**one["unit"]),
        one["role"],
    )


def _array(folder: Path, name: str, *dtypes: type[np.generic]) -> NDArray[Any]:
    """Map a file into memory, read-only, if it lies in the folder and holds numbers of these types."""
    if not _ARRAY.fullmatch(name):
        raise FindingsError(f"{name!r} is no name of an array")
    path = folder / name
    if path.is_symlink():
        raise FindingsError(f"{name} is a link")
    found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if found.dtype not in dtypes:
        raise FindingsError(f"{name} holds {found.dtype}")
    return found


def _measurement(one: Mapping[str, Any]) -> Measurement:
    return Measurement(
        Code(**one["name"]),
        one["value"],
        Code(**one["unit"]),
        one["of"],
        _code(one["derivation"]),
        method=_code(one["method"]),
        parameters=tuple(str(words) for words in one["parameters"]),
        absent=str(one["absent"]),
    )


def _detection(one: Mapping[str, Any]) -> Detection:
    low, high = (_triple(one["box"][end]) for end in ("low", "high"))
    return Detection(
        str(one["label"]),
        Box(low, high),
        score=float(one["score"]),
        role=one["role"],
        **_concepts(one),
    )


def _classification(one: Mapping[str, Any]) -> Classification:
    probability = one["probability"]
    return Classification(
        str(one["label"]),
        present=bool(one["present"]),
        probability=None if probability is None else float(probability),
        **_concepts(one),
    )


def _concepts(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "code": Code(**one["code"]),
        "category": Code(**one["category"]),
        "modifier": _code(one["modifier"]),
        "anatomic_region": _code(one["anatomic_region"]),
    }


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = values
    return float(first), float(second), float(third)


def _bytes(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAXIMUM_JSON_BYTES + 1)
    if len(content) > MAXIMUM_JSON_BYTES:
        raise FindingsError(f"{path.name} is longer than {MAXIMUM_JSON_BYTES} bytes")
    return content


def _coded(code: Code | None) -> dict[str, str] | None:
    return asdict(code) if code else None


def _code(content: Mapping[str, str] | None) -> Code | None:
    return Code(**content) if content else None
