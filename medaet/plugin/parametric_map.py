"""Parametric maps: a number for each voxel of an input series."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medaet.dicom.codes import NO_UNITS, Code
from medaet.errors import FindingsError
from medaet.plugin.segment import MAXIMUM_LABEL_LENGTH


@dataclass(frozen=True, slots=True, eq=False)
class ParametricMap:
    """A number for each voxel of an input series; becomes a Parametric Map (PS3.3 §A.75).

    Attributes:
        label: What a person reads; at most 64 characters.
        voxels: (slice, row, column), float32, finite, in `unit`.
        quantity: What the numbers are.
        unit: UCUM unit (PS3.16 CID 82).
        role: The input whose grid they lie on; None when there is only one input.
    """

    label: str
    voxels: NDArray[np.float32]
    quantity: Code
    unit: Code = NO_UNITS
    role: str | None = None

    def __init__(
        self,
        label: str,
        voxels: ArrayLike,
        quantity: Code,
        unit: Code = NO_UNITS,
        role: str | None = None,
    ) -> None:
        if not 0 < len(label.strip()) <= MAXIMUM_LABEL_LENGTH:
            raise FindingsError(f"the label of a map takes 1 to 64 characters, got {label!r}")
        array = np.asarray(voxels, dtype=np.float32)
        if array.ndim != 3 or not np.isfinite(array).all():
            raise FindingsError(f"map {label!r}: expected finite numbers on 3 axes")
        for name, value in (
            ("label", label.strip()),
            ("voxels", array),
            ("quantity", quantity),
            ("unit", unit),
            ("role", role),
        ):
            object.__setattr__(self, name, value)

    def with_role(self, role: str) -> "ParametricMap":
        """Return the same on the grid of a named input."""
        return replace(self, role=role)
