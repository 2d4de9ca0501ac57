"""Array axes and directions in the patient: which axis runs which way, and arrays turned to run as a network wants."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from medaet.compute.resample import Grid
from medaet.dicom.directions import nearest_axes

_N = TypeVar("_N", int, float)


@dataclass(frozen=True, slots=True)
class Orientation:
    """How the axes of a volume become those of a network.

    Attributes:
        order: For each axis of the network, the volume's axis among (slice, row, column).
        flipped: Axes of the network along which the volume runs the other way.
    """

    order: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[int, ...] = ()

    @classmethod
    def towards(cls, letters: str, affine: NDArray[np.float64]) -> "Orientation":
        """Find the volume's axes that come closest to three directions.

        Args:
            letters: Direction of each axis of the network: one of R or L, A or P, S or I each, as in "RAS"; empty
                for the volume's own axes.
            affine: Maps (column, row, slice, 1) to LPS+ mm.

        Raises:
            PluginError: the letters do not name three directions.
        """
        return cls(*nearest_axes(letters, affine)) if letters else cls()

    def apply(self, image: torch.Tensor) -> torch.Tensor:
        """Turn (channel, slice, row, column) into the network's axes; a view where nothing is flipped."""
        turned = image.permute(0, *(axis + 1 for axis in self.order))
        return turned.flip([axis + 1 for axis in self.flipped]) if self.flipped else turned

    def undo(self, labels: torch.Tensor) -> torch.Tensor:
        """Turn an array whose last three axes are the network's back into (..., slice, row, column)."""
        lead = labels.ndim - 3
        back = labels.flip([axis + lead for axis in self.flipped]) if self.flipped else labels
        inverse = np.argsort(self.order)
        return back.permute(*range(lead), *(int(axis) + lead for axis in inverse))

    def along(self, values: Sequence[_N]) -> tuple[_N, _N, _N]:
        """Reorder one value for each of (slice, row, column) to the network's axes."""
        first, second, third = (values[axis] for axis in self.order)
        return first, second, third

    def undone(self, grid: Grid) -> Grid:
        """Turn a grid that lies on the turned volume's axes so that it lies on the volume's own."""
        axes = [
            axis.reversed if number in self.flipped else axis
            for number, axis in enumerate(grid.axes)
        ]
        first, second, third = (axes[self.order.index(axis)] for axis in range(3))
        return Grid((first, second, third))
