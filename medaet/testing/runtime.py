"""A machine for tests of analyses: it computes nothing, and remembers the progress that was reported."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.volume import Volume


class FakeRuntime:
    """Stands for the runtime where an analysis asks only for the device, for progress, or for a known label map.

    Args:
        labels: What `segment` returns, (slice, row, column); None for nothing found.
    """

    device = "cpu"

    def __init__(self, labels: NDArray[np.uint8] | None = None) -> None:
        self._labels = labels
        self.reported: list[tuple[float, str]] = []

    def progress(self, fraction: float, text: str = "") -> None:
        """Remember it."""
        self.reported.append((fraction, text))

    def segment(
        self,
        network: Any,
        volume: Volume,
        *,
        spacing_mm: tuple[float, float, float],
        window: tuple[int, int, int] = (96, 96, 96),
        overlap: float = 0.25,
        intensity: Callable[[Any], Any] = lambda image: image,
    ) -> NDArray[np.uint8]:
        """Return the known label map."""
        del network, spacing_mm, window, overlap, intensity
        if self._labels is None:
            return np.zeros(volume.voxels.shape, np.uint8)
        return self._labels
