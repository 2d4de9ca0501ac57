"""The colours of segments: one for each known structure, and a stable one for every other label."""

import colorsys
import hashlib
from collections.abc import Sequence

from medaet.dicom.codes import BRAIN, LEFT, LUNG, RIGHT
from medaet.plugin.findings import Segment

Colour = tuple[int, int, int]

KNOWN: dict[tuple[str, str], Colour] = {
    (LUNG.value, ""): (84, 190, 212),
    (LUNG.value, LEFT.value): (86, 160, 240),
    (LUNG.value, RIGHT.value): (246, 156, 66),
    (BRAIN.value, ""): (240, 120, 150),
}


def colours(segments: Sequence[Segment]) -> dict[str, Colour]:
    """Choose a colour for each segment.

    A segment's own colour comes first, then that of its code, then one computed from its label; the
    last also keeps two segments of one code apart.

    Returns:
        Red, green and blue from 0 to 255, by label.
    """
    chosen: dict[str, Colour] = {}
    for segment in segments:
        modifier = segment.modifier.value if segment.modifier else ""
        colour = segment.colour or KNOWN.get((segment.code.value, modifier))
        if colour is None or (segment.colour is None and colour in chosen.values()):
            colour = _of_label(segment.label)
        chosen[segment.label] = colour
    return chosen


def _of_label(label: str) -> Colour:
    digest = hashlib.sha256(label.encode()).digest()
    hue, saturation = int.from_bytes(digest[:2]) / 65536, 0.55 + digest[2] / 1024
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)
