"""Inputs brought together: what an analysis declares, and what came of it in figures."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medaet.errors import PluginError

Model = Literal["rigid", "affine", "deformable"]
MODELS = ("rigid", "affine", "deformable")


@dataclass(frozen=True, slots=True)
class Figures:
    """What speaks for and against a registration.

    Attributes:
        overlap: Share of what the smaller image shows that lies inside the other, 0 to 1.
        information: Mutual information of the registered images, in nat.
        gain: Their normalised mutual information above that of independent images, divided by the median of the
            same over many poses tried; 1 means that the pose found is no better than chance.
        inverse_mm: Mean distance between the registration and a second one, made the other way round from its own
            samples and its own start.
        residual_mm: Median over parts of the image of the shift that would align each part best by itself.
        agreeing: Share of those parts that want to shift by less than 3 mm.
        angle_degrees: Rotation between the images.
        least_scale, largest_scale: By how much the registration stretches; 1 and 1 for a rigid one.
        least_jacobian: Least local change of volume of a deformation; not positive where it folds. 1 without one.
    """

    overlap: float
    information: float
    gain: float
    inverse_mm: float
    residual_mm: float
    agreeing: float
    angle_degrees: float
    least_scale: float = 1.0
    largest_scale: float = 1.0
    least_jacobian: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Deformation:
    """Displacements on a regular grid in the fixed frame of reference.

    Attributes:
        vectors: (slice, row, column, 3), float32; how far to the left, to the back and up, in mm, a point of the
            fixed image is to be moved before the matrix takes it to the moving one.
        affine: (4, 4); maps (column, row, slice, 1) of the grid to (x, y, z, 1) in mm, LPS+.
    """

    vectors: NDArray[np.float32]
    affine: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How one input lies in the frame of reference of another.

    Attributes:
        moving: Role of the input that was brought.
        fixed: Role of the input that it was brought to.
        model: "rigid", "affine", "deformable"; "same frame" when both have one frame of reference.
        matrix: (4, 4); maps (x, y, z, 1) of the moving input to the fixed one, mm, LPS+.
        deformation: What a deformable registration adds; None for the others.
        figures: None for "same frame".
        seconds: How long it took.
    """

    moving: str
    fixed: str
    model: str
    matrix: NDArray[np.float64]
    deformation: Deformation | None = None
    figures: Figures | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """One input on the grid of another.

    Attributes:
        moving: Role of the input whose values these are.
        fixed: Role of the input whose grid they lie on.
        voxels: (slice, row, column) of the fixed input, int16 or float32.
        series: Whether they are sent as a derived series.
        blended: Whether both inputs are shown together.
    """

    moving: str
    fixed: str
    voxels: NDArray[np.int16] | NDArray[np.float32]
    series: bool
    blended: bool


@dataclass(frozen=True, slots=True)
class Alignment:
    """An analysis' wish to see one input on the grid of another.

    Attributes:
        onto: Role of the input whose frame of reference counts.
        model: "rigid" for one head or bone, "affine" where a scanner may stretch it, "deformable" for soft parts.
        required: Whether the analysis is given up when the registration cannot be trusted; otherwise it runs, and
            `Volume.on` raises RegistrationError.
        series: Whether the moved input is sent as a derived series.
        blended: Whether pictures of both are sent, and a presentation state that blends them.
    """

    onto: str
    model: Model = "rigid"
    required: bool = True
    series: bool = True
    blended: bool = True

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise PluginError(f"an alignment's model is one of {', '.join(MODELS)}")
