"""What an analysis says when it wants radiomic features: of which segment and families, after which processing."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medaet.dicom.ibsi import FAMILIES, Aggregation
from medaet.errors import FindingsError

MAXIMUM_BINS = 4096
INTERPOLATIONS = ("linear", "cubic")

Spacing = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """The image processing before features, each step of which is off unless it is asked for; the report says all.

    The order is that of the IBSI reference manual: interpolation, rounding, re-segmentation, discretisation.

    Attributes:
        bins: Number of bins of the discretisation; exactly one of this and `bin_width` is given.
        bin_width: Width of a bin, in the unit of the voxel values; bins begin at the lower end of `value_range`, or at
            the least value of the region.
        spacing_mm: Voxels to interpolate to along (slice, row, column); None along an axis keeps it as it is.
        interpolation: "linear" (trilinear) or "cubic" (tricubic B-spline); masks are always interpolated linearly and
            cut at one half. Grids share their centre.
        rounded: Round voxel values to whole numbers after interpolation: for CT, whose values are.
        value_range: Least and greatest value that stay in the intensity mask; either may be infinite.
        outlier_sigmas: Values further than so many standard deviations from the region's mean leave the intensity mask.
        ivh_bins: Number of bins of the intensity-volume histogram, for arbitrary intensities such as MR.
        ivh_bin_width: Bin width of the intensity-volume histogram, for continuous calibrated intensities. Without
            either it is taken from the values as they are, one unit a bin: right for CT.
        aggregations: How texture matrices become numbers; one set of texture features for each.

    Source:
        IBSI reference manual, Image processing.
    """

    bins: int | None = None
    bin_width: float | None = None
    spacing_mm: Spacing | None = None
    interpolation: str = "linear"
    rounded: bool = False
    value_range: tuple[float, float] | None = None
    outlier_sigmas: float | None = None
    ivh_bins: int | None = None
    ivh_bin_width: float | None = None
    aggregations: tuple[Aggregation, ...] = (Aggregation.MERGED_3D,)

    def __post_init__(self) -> None:
        wrong = next(_mistakes(self), None)
        if wrong is not None:
            raise FindingsError(f"feature settings: {wrong}")

    def described(self) -> tuple[str, ...]:
        """Say every step in words, for the report: also those that were left out."""
        return (
            f"interpolation: {self._interpolation()}",
            f"rounding: {'whole numbers' if self.rounded else 'none'}",
            f"re-segmentation range: {_interval(self.value_range)}",
            f"outliers: {f'beyond {self.outlier_sigmas:g} sigma' if self.outlier_sigmas else 'kept'}",
            f"discretisation: {_binning(self.bins, self.bin_width, 'none')}",
            f"IVH discretisation: {_binning(self.ivh_bins, self.ivh_bin_width, 'none')}",
            "GLCM: symmetric, distance 1; NGTDM, NGLDM: distance 1, coarseness 0",
        )

    def _interpolation(self) -> str:
        if self.spacing_mm is None:
            return "none"
        lengths = " x ".join("-" if one is None else f"{one:g}" for one in self.spacing_mm)
        return f"{self.interpolation}, {lengths} mm (slice x row x column), mask linear >= 0.5"


@dataclass(frozen=True, slots=True)
class FeatureRequest:
    """Features to be computed where the image is; stands among the measurements of `Findings` until they are.

    Attributes:
        of: Label of the segment.
        families: Which families, of `medaet.dicom.ibsi.FAMILIES`.
        settings: The processing before them.
    """

    of: str
    families: tuple[str, ...]
    settings: FeatureSettings

    def __post_init__(self) -> None:
        unknown = [family for family in self.families if family not in FAMILIES]
        if unknown or not self.families:
            raise FindingsError(
                f"features of {self.of!r}: {', '.join(map(repr, unknown)) or 'no family'}; there are "
                f"{', '.join(FAMILIES)}"
            )


def _mistakes(settings: FeatureSettings) -> Iterator[str]:
    if (settings.bins is None) == (settings.bin_width is None):
        yield "give either bins or bin_width"
    if settings.ivh_bins is not None and settings.ivh_bin_width is not None:
        yield "give at most one of ivh_bins and ivh_bin_width"
    if settings.interpolation not in INTERPOLATIONS:
        yield f"interpolation is {settings.interpolation!r}, expected {' or '.join(INTERPOLATIONS)}"
    if settings.value_range is not None and not settings.value_range[0] < settings.value_range[1]:
        yield f"value_range is {settings.value_range}, expected the lower value first"
    if not settings.aggregations or len(set(settings.aggregations)) != len(settings.aggregations):
        yield "aggregations names none, or one twice"
    yield from _out_of_range(settings)


def _out_of_range(settings: FeatureSettings) -> Iterator[str]:
    for name in ("bins", "ivh_bins"):
        number = getattr(settings, name)
        if number is not None and not 1 <= number <= MAXIMUM_BINS:
            yield f"{name} is {number}, expected 1 to {MAXIMUM_BINS}"
    lengths = [(f"spacing_mm[{n}]", one) for n, one in enumerate(settings.spacing_mm or ())]
    widths = [
        (name, getattr(settings, name)) for name in ("bin_width", "ivh_bin_width", "outlier_sigmas")
    ]
    for name, length in (*lengths, *widths):
        if length is not None and not (length > 0 and math.isfinite(length)):
            yield f"{name} is {length}, expected a positive number"


def _interval(ends: Sequence[float] | None) -> str:
    return "none" if ends is None else f"[{ends[0]:g}, {ends[1]:g}]"


def _binning(bins: int | None, width: float | None, without: str) -> str:
    if bins is not None:
        return f"{bins} bins"
    return without if width is None else f"bins of width {width:g}"
