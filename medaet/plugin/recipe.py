"""How a network was trained to see a volume, and so how it must be shown one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

Alignment = Literal["edges", "centres"]
Interpolation = Literal["nearest", "linear", "area", "cubic"]
Activation = Literal["softmax", "sigmoid"]
BoxMode = Literal["xyzxyz", "xxyyzz", "xyzwhd", "cccwhd"]
BoxOrigin = Literal["centre", "edge"]

SAME_AS_VOLUME = ""


def unchanged(image: Any) -> Any:
    """Return an image as it is."""
    return image


class ShownOptions(TypedDict, total=False):
    """How a network is shown a volume, whatever it returns: keyword arguments of `Runtime.predict` and `.detect`."""

    window: tuple[int, int, int]
    overlap: float
    intensity: Callable[[Any], Any]
    clip: tuple[float, float] | None
    orientation: str
    alignment: Alignment
    interpolation: Interpolation
    antialias: bool
    batch: int


class Options(ShownOptions, total=False):
    """The keyword arguments of `Runtime.segment` that have defaults; `Recipe` describes them."""

    mirror: tuple[int, ...]
    activation: Activation
    skip_background: bool
    crop: bool


@dataclass(frozen=True, slots=True)
class BoxRecipe:
    """What the boxes of a detecting network mean, and which of them count.

    Attributes:
        mode: What six numbers say, as MONAI names it; x, y and z are the network's first, second and third axis: lowest
            and highest places, the same by axis, lowest place and lengths, or middle and lengths.
        origin: Where 0 lies: on the centre of the first voxel, as MONAI's affines have it, or on its outer edge.
        threshold: The least score of a box that counts.
        merge: Of two boxes of one class that overlap by more than this (intersection over union), the one with the
            lower score is left out.
        most: How many boxes count, those with the highest scores.
    """

    mode: BoxMode = "xyzxyz"
    origin: BoxOrigin = "centre"
    threshold: float = 0.5
    merge: float = 0.22
    most: int = 100


@dataclass(frozen=True, slots=True)
class Recipe:
    """What training fixed: grid, intensities, windows and the meaning of the output.

    Attributes:
        spacing_mm: Spacing of the network's input along its three axes.
        window: Voxels of one sliding window along them.
        overlap: Fraction by which neighbouring windows overlap; they are blended by a Gaussian.
        intensity: Maps a tensor (channel, *grid) of voxel values on the network's grid to what the network takes;
            `medaet.compute.intensity` has the usual ones.
        clip: Lowest and highest voxel value, applied before resampling, so that metal does not ring.
        orientation: Direction in which each axis of the network's input runs, as one of "RLAPSI" each: "RAS" for
            MONAI's usual bundles. Empty for the volume's own axes (slice, row, column), whatever these are.
        alignment: How the two grids lie: "edges" as nnU-Net resizes, "centres" as MONAI's Spacing does.
        interpolation: From the volume to the network's grid: "linear", "nearest", "area" or "cubic".
        antialias: Widen linear interpolation where the network's grid is coarser.
        mirror: Axes of the network's input, 0 to 2, over whose flips the logits are averaged.
        activation: "softmax" for classes of which each voxel has one, class 0 being background; "sigmoid" for
            structures that may overlap, one a channel.
        skip_background: Leave out windows that hold nothing but air around the patient; their voxels become class 0.
            Says no where a network is to find what lies outside the body.
        crop: Lay windows over the box around the patient only, and map intensities within it, as nnU-Net and MONAI's
            CropForeground do; what lies outside becomes class 0.
        batch: Most windows in one call of the network; 0 for what suits the device.
    """

    spacing_mm: tuple[float, float, float]
    window: tuple[int, int, int] = (96, 96, 96)
    overlap: float = 0.25
    intensity: Callable[[Any], Any] = unchanged
    clip: tuple[float, float] | None = None
    orientation: str = SAME_AS_VOLUME
    alignment: Alignment = "edges"
    interpolation: Interpolation = "linear"
    antialias: bool = False
    mirror: tuple[int, ...] = ()
    activation: Activation = "softmax"
    skip_background: bool = True
    crop: bool = False
    batch: int = 0
