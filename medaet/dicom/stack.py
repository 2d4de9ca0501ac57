"""A stack: the images of one volume in their order, chosen among all that a series holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medaet.dicom.codes import IMAGES_LEFT_OUT, LOSSY_COMPRESSION, SERIES_PARTED
from medaet.dicom.decode import LOSSY
from medaet.dicom.geometry import Grid, Irregular, grid, named
from medaet.dicom.image import Image, NoPlaneError, read_images
from medaet.dicom.problem import Problem
from medaet.dicom.split import Part, split
from medaet.errors import GeometryError

ON_SLICE = 0.05
"""A plane so near to a slice, in slices, lies on it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What an analysis asks of a series that is more, or less, than one regular volume.

    Attributes:
        volume: Which of several volumes: the one with most slices (the first of those, in time), the first or the last.
        irregular: Whether missing, doubled and unevenly spaced slices are refused, or mended by interpolation.
        minimum_slices: A volume with fewer is refused.
    """

    volume: Literal["largest", "first", "last"] = "largest"
    irregular: Irregular = "refuse"
    minimum_slices: int = 1


WHATEVER = Choice()


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The images of one volume.

    Attributes:
        images: In the order of the slices.
        grid: Where they lie.
        slices: Which slice each of them becomes.
        problems: What was mended or left out.
    """

    images: tuple[Image, ...]
    grid: Grid
    slices: tuple[int, ...]
    problems: tuple[Problem, ...]

    def lies_on_slice(self, number: int) -> bool:
        """Whether an image lies where a slice does, so that nothing is interpolated."""
        return abs(self.grid.places[number] - self.slices[number]) <= ON_SLICE


def read_stack(paths: Sequence[Path], choice: Choice = WHATEVER) -> Stack:
    """Read the headers of a series, and choose and order the images of one volume; see `read_volume`."""
    images, left_out = _images(paths)
    _check_one_series(images)
    return stacked(images, choice, left_out=left_out)


def stacked(images: Sequence[Image], choice: Choice = WHATEVER, *, left_out: int = 0) -> Stack:
    """Choose and order the images of one volume.

    Args:
        images: Of one series, in any order.
        choice: Which volume, and what to do with an irregular one.
        left_out: How many further instances of the series are no images of a volume.

    Raises:
        GeometryError: there is no volume, or not a regular one.
    """
    if not images:
        raise GeometryError("the series holds no image")
    parts = split(images)
    part = _chosen(parts, choice)
    found = grid([image.plane for image in part.images], choice.irregular)
    if found.slices < choice.minimum_slices:
        raise GeometryError(
            f"the series holds {len(parts)} volumes, and the one to take has {found.slices} slices "
            f"where {choice.minimum_slices} are needed: {named([part.images[0].plane])}"
        )
    chosen = tuple(part.images[i] for i in found.order)
    return Stack(
        images=chosen,
        grid=found,
        slices=tuple(round(place) for place in found.places),
        problems=(
            *_about_parts(parts, part),
            *_about_rest(len(images) - sum(len(one.images) for one in parts) + left_out),
            *found.problems,
            *_about_compression(chosen),
        ),
    )


def _images(paths: Sequence[Path]) -> tuple[list[Image], int]:
    """Read the images of all files; those that are something else are counted, unless there is nothing but them."""
    images: list[Image] = []
    others: list[NoPlaneError] = []
    for path in paths:
        try:
            images += read_images(path)
        except NoPlaneError as error:
            others.append(error)
    if others and not images:
        raise others[0]
    return images, len(others)


def _check_one_series(images: Sequence[Image]) -> None:
    odd = [one for one in images if one.series_instance_uid != images[0].series_instance_uid]
    if odd:
        raise GeometryError(
            f"SeriesInstanceUID differs within the series: {len(odd)} of {len(images)} instances "
            f"are not like the first, {named([one.plane for one in odd])}; send them as series of "
            "their own"
        )


def _chosen(parts: Sequence[Part], choice: Choice) -> Part:
    if choice.volume == "largest":
        return max(parts, key=lambda part: len(part.images))  # the first of several
    return parts[0] if choice.volume == "first" else parts[-1]


def _about_parts(parts: Sequence[Part], part: Part) -> tuple[Problem, ...]:
    if len(parts) == 1:
        return ()
    number = parts.index(part) + 1
    label = f" ({part.label})" if part.label else ""
    return (
        Problem(
            SERIES_PARTED,
            f"The series holds {len(parts)} volumes; number {number}{label} with "
            f"{len(part.images)} images was analysed, the others were not.",
        ),
    )


def _about_rest(count: int) -> tuple[Problem, ...]:
    if not count:
        return ()
    return (
        Problem(
            IMAGES_LEFT_OUT,
            f"{count} images of the series are overviews or no slices; they were left out.",
        ),
    )


def _about_compression(images: Sequence[Image]) -> tuple[Problem, ...]:
    if not any(image.is_lossy or image.transfer_syntax_uid in LOSSY for image in images):
        return ()
    return (Problem(LOSSY_COMPRESSION, "The images were compressed with loss of information."),)
