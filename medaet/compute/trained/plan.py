"""The plan of a trained network: all that decides what it is and what it must be shown."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Three = tuple[int, int, int]
SpacingMm = tuple[float, float, float]

OVERLAP = 0.5
ORIENTATION = "SPL"
"""Where slices, rows and columns lead: one order for every scan, whichever way it lies."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides what a network is and what it is shown.

    Attributes:
        spacing_mm: Along (slice, row, column), slices to the head, rows to the back, columns to the left.
        patch: Voxels along the same axes.
        batch: Patches in a step, over all devices.
        network: "unet", "dynunet" or "segresnet", all MONAI's.
        strides: Pooling from one level to the next.
        intensity: Lowest and highest voxel value, mapped to -1 and 1; None for z-scores of the scan.
        mirror: Axes that training flips.
        parts: How many connected parts of each structure are kept of what is found; 0 for all.
    """

    modality: str
    structures: tuple[str, ...]
    spacing_mm: SpacingMm
    patch: Three
    batch: int
    steps_per_epoch: int
    network: str
    channels: tuple[int, ...]
    strides: tuple[Three, ...]
    norm: str
    intensity: tuple[float, float] | None
    mirror: tuple[int, ...]
    parts: tuple[int, ...]
    overlap: float = OVERLAP
    orientation: str = ORIENTATION

    @property
    def classes(self) -> int:
        """Number of the network's output channels, background included."""
        return len(self.structures) + 1

    def write(self, path: Path) -> None:
        """Write the plan as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Read a plan back."""
        return cls.of(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "Plan":
        """Make a plan of what JSON holds."""
        tuples = {key: tuple(value) for key, value in raw.items() if isinstance(value, list)}
        tuples["strides"] = tuple(tuple(one) for one in raw["strides"])
        return cls(**{**raw, **tuples})
