"""A volume: voxels with their place in the patient, read from one series."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.decoders import Decoders
from medaet.dicom.geometry import Plane
from medaet.dicom.image import Image
from medaet.dicom.problem import Problem
from medaet.dicom.region import Region
from medaet.dicom.stack import WHATEVER, Choice, Stack, read_stack
from medaet.dicom.voxels import Allocate, Voxels, read_voxels
from medaet.errors import RegistrationError


class Frames(Protocol):
    """The frames of reference of one run, and how they lie to each other; `medaet.compute` has the real one."""

    def on(self, volume: "Volume", other: "Volume") -> "Volume":
        """Show a volume on the grid of another."""
        ...

    def carried(
        self, mask: NDArray[np.bool_], volume: "Volume", other: "Volume"
    ) -> NDArray[np.bool_]:
        """Show a mask that lies on the grid of one volume on the grid of another."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One regular grid of voxels.

    Attributes:
        voxels: (slice, row, column), int16 or float32, values after the modality LUT (PS3.3 §C.11.1): HU on CT.
            Slices run along the normal, row cosine x column cosine.
        affine: (4, 4); maps (column, row, slice, 1) to patient coordinates (x, y, z, 1) in mm, LPS+.
        modality: "CT" or "MR".
        planes: The source images, in the order of the slices; empty inside a worker child.
        slices: Which slice each of them became; every one its own, unless slices were interpolated.
        frame_of_reference_uid: What the coordinates are relative to; inside a worker child, another name for it.
        padding: Least and greatest value that stands for "no measurement", such as the corners outside of the
            reconstruction; None when the series names none.
        problems: What was mended or left out when it was read.
        frames: Knows the way to other volumes; None outside an analysis.
        regions: What the objects of a role that refers to this one draw on it (see `SeriesSelector.refers_to`).

    Source:
        PS3.3 §C.7.6.2.1.1, equation C.7.6.2.1-1.
    """

    voxels: Voxels
    affine: NDArray[np.float64]
    modality: str
    planes: tuple[Plane, ...] = ()
    slices: tuple[int, ...] = ()
    frame_of_reference_uid: str = ""
    padding: tuple[float, float] | None = None
    problems: tuple[Problem, ...] = ()
    regions: tuple[Region, ...] = ()
    frames: Frames | None = field(default=None, repr=False)

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """SOP Instance UIDs of the source, each once, in the order of the slices."""
        return tuple(dict.fromkeys(plane.sop_instance_uid for plane in self.planes))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along (slice, row, column) axes, in mm."""
        column, row, slices = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(slices), float(row), float(column)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    def on(self, other: "Volume") -> "Volume":
        """Show this volume on the grid of another input, registered as the analysis' manifest wishes.

        Args:
            other: The input whose frame of reference and grid count.

        Returns:
            A volume of the other's shape and affine. Values are interpolated linearly; where this volume has no
            voxel, CT is air and MR is as dark as its darkest voxel.

        Raises:
            RegistrationError: nothing connects the two frames of reference.
        """
        return self if self is other else self._frames().on(self, other)

    def carry(self, mask: NDArray[np.bool_], other: "Volume") -> NDArray[np.bool_]:
        """Show a mask on this volume's grid on the grid of another input: where at least half of it is.

        Args:
            mask: (slice, row, column) of this volume.
            other: The input whose frame of reference and grid count.

        Raises:
            RegistrationError: nothing connects the two frames of reference.
        """
        return mask if self is other else self._frames().carried(mask, self, other)

    def _frames(self) -> Frames:
        if self.frames is None:
            raise RegistrationError(
                "only the inputs of a running analysis know how they lie to each other"
            )
        return self.frames

    def measured(self, voxels: NDArray[Any] | None = None) -> NDArray[np.bool_]:
        """Tell measured voxels from padding.

        Args:
            voxels: Some of the voxels; None for all of them.
        """
        values = self.voxels if voxels is None else voxels
        if self.padding is None:
            return np.ones(values.shape, np.bool_)
        low, high = self.padding
        return np.asarray((values < low) | (values > high))


def read_volume(
    paths: Sequence[Path],
    choice: Choice = WHATEVER,
    *,
    decoders: Decoders | None = None,
    allocate: Allocate = np.empty,
) -> Volume:
    """Read a volume of a CT or MR series: classic, one instance for each slice, or enhanced, of many frames.

    Values are what the scanner measured: padding is kept, and MONOCHROME1, which only says how to display them, is
    not inverted.

    Args:
        paths: Part 10 files of one series, in any order.
        choice: Which volume of a series that holds several, and what to do with an irregular one.
        decoders: Processes that decode compressed series; without, this one does.
        allocate: Where the voxels go, such as pinned memory; called with shape and type, twice at most.

    Returns:
        Voxels are int16 when slopes and intercepts are whole numbers and every value fits, else float32.

    Raises:
        GeometryError: the instances are not one regular stack of equal planes; the message names them.
        InstanceError: a file cannot be read or decoded; the message names it.

    Source:
        PS3.3 §C.7.6.2, §C.7.6.16, §C.11.1.
    """
    return load(read_stack(paths, choice), decoders=decoders, allocate=allocate)


def load(
    stack: Stack, *, decoders: Decoders | None = None, allocate: Allocate = np.empty
) -> Volume:
    """Read the pixels of a stack whose headers are known; see `read_volume`."""
    images = stack.images
    return Volume(
        voxels=read_voxels(stack, decoders, allocate),
        affine=stack.grid.affine,
        modality=images[0].modality,
        planes=tuple(image.plane for image in images),
        slices=stack.slices,
        frame_of_reference_uid=images[0].frame_of_reference_uid,
        padding=_padding(images),
        problems=stack.problems,
    )


def _padding(images: Sequence[Image]) -> tuple[float, float] | None:
    """Return the padding as modality values, where all slices mean the same by it."""
    named = {(image.padding, image.slope, image.intercept) for image in images}
    if len(named) != 1:
        return None
    padding, slope, intercept = named.pop()
    if padding is None:
        return None
    ends = sorted(end * slope + intercept for end in padding)
    return ends[0], ends[1]
