"""What an analysis returns: segments, measurements and remarks, checked when they are made.

An analysis works on arrays and words. Codes, UIDs, frames of reference and templates are added by `medaet.results`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medaet.dicom.codes import (
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
from medaet.plugin.detection import Classification, Detection
from medaet.plugin.features import FeatureRequest, FeatureSettings
from medaet.plugin.parametric_map import ParametricMap
from medaet.plugin.registration import Registration, Resampled
from medaet.plugin.segment import Segment


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


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One coded statement that is no number, such as "calcification: present" (PS3.16 TID 1501).

    Attributes:
        name: What was evaluated.
        value: The result.
        of: Label of the segment that it is about; None for the whole series.
    """

    name: Code
    value: Code
    of: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All that one run of an analysis found.

    Attributes:
        segments: Regions; those with an empty mask are reported as not found, and not encoded.
        measurements: Numbers.
        evaluations: Coded statements.
        detections: Things with a box around each.
        classifications: What the inputs as a whole show, or do not.
        remarks: Sentences for the reader of the report, such as a warning about the input.
        maps: Numbers for each voxel.
        failed: Names of structures that were looked for in vain because something went wrong; the report says so, and
            is partial.
        registrations: How inputs were brought together; added by MedAET, not by the analysis.
        resampled: Inputs on the grids of others; added likewise.
    """

    segments: Sequence[Segment] = ()
    measurements: Sequence[Measurement] = ()
    remarks: Sequence[str] = ()
    maps: Sequence[ParametricMap] = ()
    failed: Sequence[str] = ()
    evaluations: Sequence[Evaluation] = ()
    detections: Sequence[Detection] = ()
    classifications: Sequence[Classification] = ()
    registrations: Sequence[Registration] = ()
    resampled: Sequence[Resampled] = ()

    def __post_init__(self) -> None:
        labels = self.labels
        self._check_followed()
        if len(set(labels)) != len(labels):
            raise FindingsError(f"two findings have the same label among {', '.join(labels)}")
        told: list[Measurement | Evaluation] = [*self.measurements, *self.evaluations]
        for one in told:
            if one.of is not None and one.of not in labels:
                raise FindingsError(
                    f"measurement {one.name.meaning!r} names {one.of!r}, "
                    f"which is not among {', '.join(labels) or 'none'}"
                )

    def _check_followed(self) -> None:
        """Refuse two looks at one thing on one input: nobody could tell which of them is meant."""
        looks = [(one.role, one.followed or one.label) for one in self.segments]
        if len(set(looks)) != len(looks):
            raise FindingsError("two segments of one input are said to be the same thing")

    @property
    def labels(self) -> list[str]:
        """The labels of everything that was found or looked for, each unique."""
        return [
            *(one.label for one in self.segments),
            *(one.label for one in self.detections),
            *(one.label for one in self.classifications),
        ]

    def segment(self, label: str) -> Segment:
        """Return the segment with this label."""
        return next(segment for segment in self.segments if segment.label == label)

    def on(self, role: str) -> "Findings":
        """Return the segments and boxes on the grid of one input, and nothing else."""
        return Findings(
            segments=[one for one in self.segments if one.role == role],
            detections=[one for one in self.detections if one.role == role],
        )

    def located(self, inputs: Mapping[str, Volume]) -> "Findings":
        """Check every mask, map and box against its input, and name that input.

        Raises:
            FindingsError: one has another shape than its series, lies outside of it, or names no input.
        """
        segments = [each.with_role(_role(each.label, each.role, inputs)) for each in self.segments]
        maps = [each.with_role(_role(each.label, each.role, inputs)) for each in self.maps]
        lying: list[Segment | ParametricMap] = [*segments, *maps]
        for one in lying:
            _check_shape(one, inputs)
        boxes = [each.with_role(_role(each.label, each.role, inputs)) for each in self.detections]
        for each in boxes:
            if not each.box.overlaps(inputs[str(each.role)].voxels.shape):
                raise FindingsError(f"{each.label!r}: its box lies outside of its series")
        return replace(self, segments=tuple(segments), maps=tuple(maps), detections=tuple(boxes))

    def resolved(self, inputs: Mapping[str, Volume]) -> "Findings":
        """Check every mask against its input and compute what is left to compute.

        Args:
            inputs: The volumes the analysis was given, by role.

        Raises:
            FindingsError: a mask has another shape than its series, or names no input.
        """
        located = self.located(inputs)
        found = {segment.label: segment for segment in located.segments}
        measured = [
            item if item.value is not None else _computed(item, found.get(str(item.of)), inputs)
            for item in self.measurements
        ]
        return replace(located, measurements=tuple(item for item in measured if item is not None))


def _role(label: str, role: str | None, inputs: Mapping[str, Volume]) -> str:
    if role is None:
        if len(inputs) != 1:
            raise FindingsError(
                f"{label!r} must name its input, one of {', '.join(sorted(inputs))}"
            )
        return next(iter(inputs))
    if role not in inputs:
        raise FindingsError(f"{label!r} names input {role!r}, which there is not")
    return role


def _check_shape(one: Segment | ParametricMap, inputs: Mapping[str, Volume]) -> None:
    found, expected = one.voxels.shape, inputs[str(one.role)].voxels.shape
    if found != expected:
        raise FindingsError(
            f"segment {one.label!r}: the mask has shape {found}, its series {expected}"
        )


def _computed(
    item: Measurement, segment: Segment | None, inputs: Mapping[str, Volume]
) -> Measurement | None:
    """Fill in the value; an empty segment has a volume of zero and no mean at all."""
    if item.request is not None:
        raise FindingsError(
            f"the features of {item.of!r} were not computed; `medaet.compute.features.measure.measured` does it"
        )
    if item.absent:
        return item
    if segment is None:
        raise FindingsError(f"{item.of!r} has no mask to measure {item.name.meaning!r} on")
    volume = inputs[str(segment.role)]
    if item.name == VOLUME:
        return replace(item, value=segment.count * volume.voxel_ml)
    mean = _mean(segment, volume)
    return None if mean is None else replace(item, value=mean)


def _mean(segment: Segment, volume: Volume) -> float | None:
    """Return the mean of what was measured, leaving padding out; None when nothing was."""
    if volume.padding is None:
        return segment.voxels.total(volume.voxels) / segment.count if segment.count else None
    total, count = 0.0, 0
    for number in np.flatnonzero(segment.voxels.counts).tolist():
        values = volume.voxels[number][segment.voxels.plane(number)]
        values = values[volume.measured(values)]
        total, count = total + float(values.sum(dtype=np.float64)), count + values.size
    return total / count if count else None
