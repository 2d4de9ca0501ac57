"""What an analysis returns: segments, measurements and remarks, checked when they are made.

An analysis works on arrays and words. Codes, UIDs, frames of reference and templates are added by `medaet.results`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medaet.dicom.codes import (
    ANATOMICAL_STRUCTURE,
    ATTENUATION,
    HOUNSFIELD,
    IMAGE_FEATURES,
    MEAN,
    MILLILITRE,
    NO_UNITS,
    VOLUME,
    Code,
)
from medaet.dicom.volume import Volume
from medaet.errors import FindingsError
from medaet.plugin.features import FeatureRequest, FeatureSettings
from medaet.plugin.label_map import Region

MAXIMUM_LABEL_LENGTH = 64
"""Segment Label (0062,0005) has value representation LO."""


class Segment:
    """One labelled region on the grid of an input series.

    Args:
        label: What a person reads; unique within the findings, at most 64 characters.
        mask: (slice, row, column) of the shape of the input volume: a boolean array; a tensor or an array of numbers,
            taken as "not zero"; or a `Region` of a label map, of which the mask is made when it is asked for.
        code: What it is (Segmented Property Type).
        category: What sort of thing it is (Segmented Property Category, PS3.16 CID 7150).
        modifier: A refinement of `code`, such as its laterality (PS3.16 CID 244).
        anatomic_region: Where it lies, when `code` does not say it (for a tumour, say).
        role: The input whose grid the mask lies on; None when there is only one input.
        colour: Recommended display colour, 0 to 255 each of red, green, blue; None for the one of `code`.
    """

    __slots__ = (
        "anatomic_region",
        "category",
        "code",
        "colour",
        "label",
        "modifier",
        "region",
        "role",
    )

    def __init__(  # noqa: PLR0913 -- one argument for each attribute; a mask of any kind is accepted and converted
        self,
        label: str,
        mask: "ArrayLike | Region",
        code: Code,
        *,
        category: Code = ANATOMICAL_STRUCTURE,
        modifier: Code | None = None,
        anatomic_region: Code | None = None,
        role: str | None = None,
        colour: tuple[int, int, int] | None = None,
    ) -> None:
        if not 0 < len(label.strip()) <= MAXIMUM_LABEL_LENGTH:
            raise FindingsError(f"a segment label takes 1 to 64 characters, got {label!r}")
        if colour is not None and not all(0 <= part <= 255 for part in colour):
            raise FindingsError(f"segment {label!r}: a colour has parts from 0 to 255")
        self.label = label.strip()
        self.region = mask if isinstance(mask, Region) else _boolean(label, np.asarray(mask))
        self.code = code
        self.category = category
        self.modifier = modifier
        self.anatomic_region = anatomic_region
        self.role = role
        self.colour = colour

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Boolean array (slice, row, column)."""
        return self.region.mask() if isinstance(self.region, Region) else self.region

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the mask."""
        return self.region.shape

    @property
    def voxel_count(self) -> int:
        """Number of voxels of the mask."""
        if isinstance(self.region, Region):
            return self.region.count
        return int(np.count_nonzero(self.region))

    def on(self, role: str) -> "Segment":
        """Return the same segment on the grid of an input."""
        return Segment(
            self.label,
            self.region,
            self.code,
            category=self.category,
            modifier=self.modifier,
            anatomic_region=self.anatomic_region,
            role=role,
            colour=self.colour,
        )


def _boolean(label: str, array: NDArray[np.generic]) -> NDArray[np.bool_]:
    if array.ndim != 3:
        raise FindingsError(f"segment {label!r}: a mask has 3 axes, got {array.ndim}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FindingsError(f"segment {label!r}: the mask holds values that are not finite")
    return np.asarray(array if array.dtype == np.bool_ else array != 0)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number with a meaning and a unit; becomes a NUM item of the report (PS3.16 TID 300).

    Attributes:
        name: What was measured.
        value: Finite number in `unit`; None while it is still to be computed from the mask (see `volume`, `mean` and
            `features`), and where it is not defined.
        unit: UCUM unit (PS3.16 CID 82).
        of: Label of the segment it was measured on; None for the whole series.
        derivation: How it was derived, such as the mean (PS3.16 CID 7464); None when the name says it.
        method: How it was measured, such as an IBSI aggregation; None when the name says it.
        parameters: What else decides the value, in words; the report says it once for a segment.
        absent: Why there is no value; empty where there is one.
        request: The features that this stands for until they are computed.
    """

    name: Code
    value: float | None
    unit: Code = NO_UNITS
    of: str | None = None
    derivation: Code | None = None
    method: Code | None = None
    parameters: tuple[str, ...] = ()
    absent: str = ""
    request: FeatureRequest | None = None

    def __post_init__(self) -> None:
        if self.request is not None or (self.absent and self.value is None):
            return
        if self.value is not None and not math.isfinite(self.value):
            raise FindingsError(
                f"measurement {self.name.meaning!r} of {self.of!r} is {self.value}, not a finite number"
            )
        if self.value is None and (self.of is None or self.name not in (VOLUME, ATTENUATION)):
            raise FindingsError(f"measurement {self.name.meaning!r} has neither value nor segment")

    @classmethod
    def volume(cls, *, of: str) -> "Measurement":
        """Measure a segment's volume in ml, from its mask and the series' voxel size."""
        return cls(VOLUME, None, MILLILITRE, of)

    @classmethod
    def mean(cls, *, of: str) -> "Measurement":
        """Measure a CT segment's mean attenuation in HU."""
        return cls(ATTENUATION, None, HOUNSFIELD, of, MEAN)

    @classmethod
    def features(
        cls, *, of: str, families: Sequence[str], settings: FeatureSettings
    ) -> "Measurement":
        """Measure a segment's radiomic features; each becomes a measurement of its own, on the device of the analysis.

        Args:
            of: Label of the segment.
            families: Of `medaet.dicom.ibsi.FAMILIES`: "morphology", "local", "statistics", "histogram", "ivh", "glcm",
                "glrlm", "glszm", "gldzm", "ngtdm" and "ngldm".
            settings: The image processing before them; nothing is processed that it does not ask for.

        Source:
            IBSI reference manual, arXiv 1612.07003.
        """
        request = FeatureRequest(of, tuple(families), settings)
        return cls(IMAGE_FEATURES, None, of=of, request=request)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All that one run of an analysis found.

    Attributes:
        segments: Regions; those with an empty mask are reported as not found, and not encoded.
        measurements: Numbers.
        remarks: Sentences for the reader of the report, such as a warning about the input.
    """

    segments: Sequence[Segment] = ()
    measurements: Sequence[Measurement] = ()
    remarks: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        labels = [segment.label for segment in self.segments]
        if len(set(labels)) != len(labels):
            raise FindingsError(f"two segments have the same label among {', '.join(labels)}")
        for measurement in self.measurements:
            if measurement.of is not None and measurement.of not in labels:
                raise FindingsError(
                    f"measurement {measurement.name.meaning!r} names segment {measurement.of!r}, "
                    f"which is not among {', '.join(labels) or 'none'}"
                )

    def segment(self, label: str) -> Segment:
        """Return the segment with this label."""
        return next(segment for segment in self.segments if segment.label == label)

    def located(self, inputs: dict[str, Volume]) -> "Findings":
        """Check every mask against its input, and name that input.

        Raises:
            FindingsError: a mask has another shape than its series, or names no input.
        """
        segments = tuple(_with_role(segment, inputs) for segment in self.segments)
        return replace(self, segments=segments)

    def resolved(self, inputs: dict[str, Volume]) -> "Findings":
        """Check every mask against its input and compute what is left to compute.

        Args:
            inputs: The volumes the analysis was given, by role.

        Raises:
            FindingsError: a mask has another shape than its series, or names no input.
        """
        segments = self.located(inputs).segments
        masks = {segment.label: segment for segment in segments}
        measured = [
            item if item.value is not None else _computed(item, masks[str(item.of)], inputs)
            for item in self.measurements
        ]
        return Findings(
            segments=segments,
            measurements=tuple(item for item in measured if item is not None),
            remarks=tuple(self.remarks),
        )


def _with_role(segment: Segment, inputs: dict[str, Volume]) -> Segment:
    role = segment.role
    if role is None:
        if len(inputs) != 1:
            raise FindingsError(
                f"segment {segment.label!r} must name its input, one of {', '.join(sorted(inputs))}"
            )
        role = next(iter(inputs))
    if role not in inputs:
        raise FindingsError(f"segment {segment.label!r} names input {role!r}, which there is not")
    expected = inputs[role].voxels.shape
    if segment.shape != expected:
        raise FindingsError(
            f"segment {segment.label!r}: the mask has shape {segment.shape}, its series {expected}"
        )
    return segment.on(role)


def _computed(item: Measurement, segment: Segment, inputs: dict[str, Volume]) -> Measurement | None:
    """Fill in the value; an empty segment has a volume of zero and no mean at all."""
    if item.request is not None:
        raise FindingsError(
            f"the features of {item.of!r} were not computed; `medaet.compute.features.measure.measured` does it"
        )
    if item.absent:
        return item
    volume = inputs[str(segment.role)]
    voxels = segment.voxel_count
    if item.name == VOLUME:
        return replace(item, value=voxels * volume.voxel_ml)
    if not voxels:
        return None
    return replace(item, value=float(volume.voxels[segment.mask].mean(dtype=np.float64)))
