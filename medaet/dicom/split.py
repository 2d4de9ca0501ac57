"""The volumes of one series: its images parted by geometry, then by what tells repeats of a position apart."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medaet.dicom.geometry import COSINE_TOLERANCE, IN_PLANE_TOLERANCE_MM
from medaet.dicom.image import MARKS, OVERVIEWS, Image
from medaet.dicom.spacing import same_position

GEOMETRY_TOLERANCES = (*(COSINE_TOLERANCE,) * 6, *(IN_PLANE_TOLERANCE_MM,) * 2)


@dataclass(frozen=True, slots=True)
class Part:
    """Images that may be one volume.

    Attributes:
        images: In any order; in order of time where positions repeat.
        label: What tells it from other parts with the same geometry, such as "EchoTime 4.6"; may be empty.
    """

    images: tuple[Image, ...]
    label: str = ""


def split(images: Sequence[Image]) -> list[Part]:
    """Part the images of a series into volumes.

    Overview images are left out unless there is nothing else. What differs in size, orientation, pixel spacing, frame
    of reference or modality is another volume. Where positions repeat, the first attribute of `MARKS` that differs
    among images of one position tells volumes apart: echoes, phases, magnitude and phase images, b-values, kernels;
    where none does, the order in time at each position.

    Returns:
        The parts, in order of acquisition.

    Source:
        PS3.3 §C.7.6.16.2 on what frames of one stack share; for classic series there is no rule, only habit.
    """
    slices = [image for image in images if not OVERVIEWS.intersection(image.image_type)]
    parts = [
        part
        for alike in _alike(slices or list(images))
        for part in _volumes(Part(tuple(alike)), MARKS)
    ]
    if len(parts) > 1:
        parts.sort(key=lambda part: min(image.time for image in part.images))
    return parts


def _alike(images: Iterable[Image]) -> list[list[Image]]:
    """Group images by what one volume must share."""
    groups: dict[Hashable, list[list[Image]]] = {}
    for image in images:
        key = (
            image.modality,
            image.frame_of_reference_uid,
            image.pixels.rows,
            image.pixels.columns,
        )
        candidates = groups.setdefault(key, [])
        for group in candidates:
            if _same_geometry(group[0], image):
                group.append(image)
                break
        else:
            candidates.append([image])
    return [group for candidates in groups.values() for group in candidates]


def _same_geometry(one: Image, other: Image) -> bool:
    ours = (*one.plane.orientation, *one.plane.pixel_spacing)
    theirs = (*other.plane.orientation, *other.plane.pixel_spacing)
    return ours == theirs or all(
        abs(a - b) <= limit for a, b, limit in zip(ours, theirs, GEOMETRY_TOLERANCES, strict=True)
    )


def _volumes(part: Part, marks: Sequence[str]) -> list[Part]:
    """Part images of one geometry until no position repeats."""
    places = _places(part.images)
    repeats = max(Counter(places).values())
    if repeats == 1:
        return [part]
    for number, mark in enumerate(marks):
        groups = _grouped(part.images, mark)
        if 1 < len(groups) <= repeats and _tells_apart(part.images, places, mark):
            return [
                volume
                for value, group in groups.items()
                for volume in _volumes(
                    Part(tuple(group), _labelled(part.label, f"{mark} {value or 'absent'}")),
                    marks[number + 1 :],
                )
            ]
    return _by_time(part, places, repeats)


def _places(images: Sequence[Image]) -> list[int]:
    """Number the positions along the normal; images at one position get the same number."""
    if len(images) == 1:
        return [0]
    cosines = np.asarray(images[0].plane.orientation)
    normal = np.cross(cosines[:3], cosines[3:])
    heights = np.array([image.plane.position for image in images]) @ normal
    order = np.argsort(heights, kind="stable")
    numbers = np.zeros(len(images), np.intp)
    numbers[order[1:]] = np.cumsum(~same_position(np.diff(heights[order])))
    return [int(number) for number in numbers]


def _tells_apart(images: Sequence[Image], places: Sequence[int], mark: str) -> bool:
    """Whether images at one position differ in this attribute."""
    seen: dict[int, str] = {}
    return any(
        seen.setdefault(place, image.mark(mark)) != image.mark(mark)
        for place, image in zip(places, images, strict=True)
    )


def _by_time(part: Part, places: Sequence[int], repeats: int) -> list[Part]:
    """Take the first image at each position, then the second; only where every position has as many."""
    in_time = sorted(zip(places, part.images, strict=True), key=lambda pair: pair[1].time)
    if set(Counter(places).values()) != {repeats}:
        return [Part(tuple(image for _, image in in_time), part.label)]
    ranked: dict[int, list[Image]] = {}
    for place, image in in_time:
        ranked.setdefault(place, []).append(image)
    return [
        Part(
            tuple(images[number] for images in ranked.values()),
            _labelled(part.label, f"repetition {number + 1}"),
        )
        for number in range(repeats)
    ]


def _grouped(images: Iterable[Image], mark: str) -> dict[str, list[Image]]:
    groups: dict[str, list[Image]] = {}
    for image in images:
        groups.setdefault(image.mark(mark), []).append(image)
    return groups


def _labelled(label: str, more: str) -> str:
    return f"{label}, {more}" if label else more
