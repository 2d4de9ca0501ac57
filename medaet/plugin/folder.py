"""Findings and volumes as files: JSON for words and numbers, npy for arrays, never a pickle."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.codes import Code
from medaet.dicom.volume import Volume
from medaet.errors import FindingsError
from medaet.plugin.findings import Findings, Measurement, Segment

FINDINGS = "findings.json"
MAXIMUM_JSON_BYTES = 16 * 1024 * 1024
MAXIMUM_SEGMENTS = 1000


def save(findings: Findings, folder: Path) -> None:
    """Write findings into a folder: findings.json, and one bit-packed mask for each segment."""
    folder.mkdir(parents=True, exist_ok=True)
    segments = []
    for number, segment in enumerate(findings.segments):
        np.save(folder / _mask_name(number), np.packbits(segment.mask), allow_pickle=False)
        segments.append(
            {
                "label": segment.label,
                "shape": list(segment.mask.shape),
                "code": asdict(segment.code),
                "category": asdict(segment.category),
                "modifier": _coded(segment.modifier),
                "anatomic_region": _coded(segment.anatomic_region),
                "role": segment.role,
                "colour": segment.colour,
            }
        )
    content = {
        "segments": segments,
        "measurements": [asdict(item) for item in findings.measurements],
        "remarks": list(findings.remarks),
    }
    (folder / FINDINGS).write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def load(folder: Path) -> Findings:
    """Read findings back, trusting nothing.

    Raises:
        FindingsError: a file is missing, malformed, or not what it claims to be.
    """
    try:
        content = json.loads(_bytes(folder / FINDINGS))
        listed = content["segments"]
        if len(listed) > MAXIMUM_SEGMENTS:
            raise FindingsError(f"{len(listed)} segments are more than {MAXIMUM_SEGMENTS}")
        return Findings(
            segments=tuple(_segment(one, folder, number) for number, one in enumerate(listed)),
            measurements=tuple(_measurement(one) for one in content["measurements"]),
            remarks=tuple(str(one) for one in content["remarks"]),
        )
    except (AttributeError, EOFError, LookupError, OSError, TypeError, ValueError) as error:
        raise FindingsError(f"the findings cannot be read ({type(error).__name__})") from error


def save_volume(volume: Volume, folder: Path) -> None:
    """Write a volume's voxels and geometry; its UIDs stay behind, a worker child has no use for them."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "voxels.npy", volume.voxels, allow_pickle=False)
    geometry = {
        "affine": volume.affine.tolist(),
        "modality": volume.modality,
        "padding": volume.padding,
    }
    (folder / "volume.json").write_text(json.dumps(geometry), encoding="utf-8")


def load_volume(folder: Path) -> Volume:
    """Map a volume's voxels into memory, read-only."""
    geometry = json.loads((folder / "volume.json").read_text(encoding="utf-8"))
    voxels: NDArray[Any] = np.load(folder / "voxels.npy", mmap_mode="r", allow_pickle=False)
    return Volume(
        voxels,
        np.asarray(geometry["affine"], dtype=np.float64),
        geometry["modality"],
        padding=tuple(geometry["padding"]) if geometry["padding"] else None,
    )


def _segment(one: Mapping[str, Any], folder: Path, number: int) -> Segment:
    shape = tuple(int(length) for length in one["shape"])
    count = int(np.prod(shape, dtype=np.int64))
    path = folder / _mask_name(number)
    if path.is_symlink() or path.stat().st_size > (count + 7) // 8 + 4096:
        raise FindingsError(f"segment {number + 1}: its mask file is not the size of its shape")
    packed = np.load(path, allow_pickle=False)
    if len(shape) != 3 or packed.dtype != np.uint8 or packed.size != (count + 7) // 8:
        raise FindingsError(f"segment {number + 1}: its mask does not have the shape {shape}")
    mask = np.unpackbits(packed, count=count).reshape(shape).astype(np.bool_)
    return Segment(
        str(one["label"]),
        mask,
        Code(**one["code"]),
        category=Code(**one["category"]),
        modifier=_code(one["modifier"]),
        anatomic_region=_code(one["anatomic_region"]),
        role=one["role"],
        colour=tuple(one["colour"]) if one["colour"] else None,
    )


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


def _bytes(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAXIMUM_JSON_BYTES + 1)
    if len(content) > MAXIMUM_JSON_BYTES:
        raise FindingsError(f"{path.name} is longer than {MAXIMUM_JSON_BYTES} bytes")
    return content


def _mask_name(number: int) -> str:
    return f"segment-{number + 1}.npy"


def _coded(code: Code | None) -> dict[str, str] | None:
    return asdict(code) if code else None


def _code(content: Mapping[str, str] | None) -> Code | None:
    return Code(**content) if content else None
