"""What the inference benchmark segments, and the ways that are compared."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One volume and one network.

    Attributes:
        title: For people.
        slices: Slices the bundled chest CT is interpolated to.
        side: Rows and columns that are cut out of its middle.
        classes: Of the tissue network; 0 for the analysis `chest-ct` with its own network, from volume to findings.
        channels: Of the tissue network's levels.
    """

    title: str
    slices: int
    side: int = 512
    classes: int = 0
    channels: tuple[int, ...] = (16, 32, 64, 128, 256)

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways that can be compared on this case."""
        return WAYS if self.classes == 0 else WAYS[:3]


MONAI = "monai"
CLASSICAL = "classical"
WAYS = (MONAI, "medaet torch", "medaet", CLASSICAL)
"""MONAI's tools; ours where only torch is installed; ours on the fastest engine installed; no network at all."""

CASES: Mapping[str, Case] = {
    "lungs-48": Case("chest-ct, 512 x 512 x 48", 48),
    "lungs-300": Case("chest-ct, 512 x 512 x 300", 300),
    "unet-48": Case("U-Net of 4.8 M, 5 classes, 512 x 512 x 48", 48, classes=5),
    "unet-300": Case("U-Net of 4.8 M, 5 classes, 512 x 512 x 300", 300, classes=5),
    "classes-100": Case(
        "small U-Net, 100 classes, 384 x 384 x 48", 48, 384, classes=100, channels=(8, 16, 32)
    ),
}
QUICK = ("lungs-48", "unet-48", "classes-100")
