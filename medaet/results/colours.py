"""The colours of segments: one for each known structure, and a stable one for every other label."""

import colorsys
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache

from medaet.dicom.codes import BRAIN, LEFT, LUNG, RIGHT
from medaet.dicom.structures import structures
from medaet.plugin.segment import Segment

Colour = tuple[int, int, int]

KNOWN: dict[tuple[str, str], Colour] = {
    (LUNG.value, ""): (84, 190, 212),
    (LUNG.value, LEFT.value): (86, 160, 240),
    (LUNG.value, RIGHT.value): (246, 156, 66),
    (BRAIN.value, ""): (240, 120, 150),
}

GROUPS: dict[str, tuple[float, float, float]] = {
    "bone": (0.13, 0.30, 0.98),
    "artery": (0.99, 0.80, 0.90),
    "vein": (0.61, 0.70, 0.90),
    "heart": (0.96, 0.75, 0.75),
    "muscle": (0.03, 0.60, 0.75),
    "airway": (0.53, 0.55, 0.90),
    "nerve": (0.90, 0.45, 0.95),
    "fat": (0.15, 0.65, 0.95),
    "fluid": (0.58, 0.35, 0.95),
    "lesion": (0.33, 0.85, 0.90),
    "implant": (0.75, 0.25, 0.85),
}
"""Hue, saturation and value around which the structures of a group get theirs; organs take the whole circle."""


def colours(segments: Sequence[Segment]) -> dict[str, Colour]:
    """Choose a colour for each segment.

    A segment's own colour comes first, then that of its code, which follows from the structure alone: the same in every
    study and with every analysis. One computed from its label comes last, and keeps two segments of one code apart.

    Returns:
        Red, green and blue from 0 to 255, by label.
    """
    chosen: dict[str, Colour] = {}
    for segment in segments:
        colour = segment.colour or _of_structure(segment)
        if colour is None or (segment.colour is None and colour in chosen.values()):
            colour = _of_label(segment.label)
        chosen[segment.label] = colour
    return chosen


def _of_structure(segment: Segment) -> Colour | None:
    """Return the colour of a structure of the table; None of any other."""
    modifier = segment.modifier.value if segment.modifier else ""
    known = KNOWN.get((segment.code.value, modifier))
    region = segment.anatomic_region.value if segment.anatomic_region else ""
    group = _groups().get((segment.code.value, region))
    if known is not None or group is None:
        return known
    digest = hashlib.sha256(f"{segment.code.value} {modifier} {region}".encode()).digest()
    if group not in GROUPS:
        return _rgb(int.from_bytes(digest[:2]) / 65536, 0.55 + digest[2] / 1024, 0.95)
    hue, saturation, value = GROUPS[group]
    around = (digest[0] / 255 - 0.5, digest[1] / 255 - 0.5, digest[2] / 255 - 0.5)
    return _rgb(
        (hue + 0.06 * around[0]) % 1, saturation + 0.3 * around[1], value - 0.2 * abs(around[2])
    )


@cache
def _groups() -> Mapping[tuple[str, str], str]:
    """Return the group of each structure by its code and the place where it lies."""
    return {
        (one.code.value, one.anatomic_region.value if one.anatomic_region else ""): one.group
        for one in structures().values()
    }


def _of_label(label: str) -> Colour:
    digest = hashlib.sha256(label.encode()).digest()
    return _rgb(int.from_bytes(digest[:2]) / 65536, 0.55 + digest[2] / 1024, 0.95)


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
