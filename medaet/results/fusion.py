"""What comes of inputs brought together: registrations, resampled series, blended views and pictures, each proven."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydicom import Dataset

from medaet.dicom.codes import (
    DEGREE,
    MILLIMETRE,
    NO_UNITS,
    PERCENT,
    REGISTRATION_ANGLE,
    REGISTRATION_GAIN,
    REGISTRATION_INVERSE,
    REGISTRATION_OVERLAP,
    REGISTRATION_RESIDUAL,
)
from medaet.dicom.volume import Volume
from medaet.errors import FindingsError
from medaet.plugin.findings import Findings, Measurement
from medaet.plugin.registration import Registration, Resampled
from medaet.results.algorithm import Algorithm
from medaet.results.blending import blended_view
from medaet.results.fused import fused_pictures
from medaet.results.header import save
from medaet.results.original import Original
from medaet.results.proof_of_extras import prove_picture
from medaet.results.proof_of_registration import prove_registration
from medaet.results.proof_of_resampled import prove_resampled, prove_view
from medaet.results.registration import registration_object
from medaet.results.resampled import resampled_series
from medaet.results.sc import summary
from medaet.results.source import SourceSeries
from medaet.results.stand_in import stand_ins

Value = TypeVar("Value")

Made = tuple[str, Dataset, Path, dict[str, object]]
"""Kind, header, file, and the figures of the proof."""


def told(findings: Findings) -> Findings:
    """Add to the report how inputs were brought together: a sentence, and the figures as measurements."""
    remarks = [_sentence(one) for one in findings.registrations]
    measurements = [each for one in findings.registrations for each in _figures(one)]
    return replace(
        findings,
        remarks=(*findings.remarks, *remarks),
        measurements=(*findings.measurements, *measurements),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Fusion:
    """Makes and proves the objects of a run whose inputs were brought together.

    Attributes:
        series, originals, volumes: The inputs, by role.
        folder: Gets the files.
    """

    findings: Findings
    series: Mapping[str, SourceSeries]
    originals: Mapping[str, Original]
    volumes: Mapping[str, Volume]
    algorithm: Algorithm
    folder: Path

    def objects(self) -> Iterator[Made]:
        """Make everything: each registration, then the resampled series, then the views of both.

        Raises:
            FindingsError: a resampled input is not on the grid that it claims to be on.
            ProofError: a result, read back, does not say what was found.
        """
        files: dict[tuple[str, str], Path] = {}
        for one in self.findings.registrations:
            if one.figures is not None:  # one frame of reference needs no registration
                path = self.folder / f"registration-{len(files) + 1}.dcm"
                files[one.moving, one.fixed] = path
                yield self._registration(one, path)
        for number, shown in enumerate(self.findings.resampled, 1):
            self._check(shown)
            slices: list[Dataset] = []
            if shown.series:
                made = list(self._resampled(shown, number, files[shown.moving, shown.fixed]))
                slices = [header for _, header, _, _ in made]
                yield from made
            if shown.blended:
                yield from self._view(shown, number, slices)
                yield from self._pictures(shown, number)

    def _registration(self, one: Registration, path: Path) -> Made:
        fixed, moving = self.series[one.fixed], self.series[one.moving]
        dataset = registration_object(one, fixed, moving, self.algorithm)
        save(dataset, path)
        proof = prove_registration(path, one, _pair(self.volumes, one), _pair(self.originals, one))
        return "REG", dataset, path, proof

    def _resampled(self, one: Resampled, number: int, registration: Path) -> Iterator[Made]:
        fixed, moving = self.series[one.fixed], self.series[one.moving]
        way = next(
            each
            for each in self.findings.registrations
            if (each.moving, each.fixed) == (one.moving, one.fixed)
        )
        headers: list[Dataset] = []
        paths: list[Path] = []
        for dataset in resampled_series(one, way, fixed, moving, self.algorithm):
            paths.append(self.folder / f"resampled-{number}-{len(paths) + 1:04}.dcm")
            save(dataset, paths[-1])
            del dataset.PixelData
            headers.append(dataset)
        proofs = prove_resampled(
            paths, registration, _pair(self.volumes, one), _pair(self.originals, one)
        )
        for header, path, proof in zip(headers, paths, proofs, strict=True):
            yield str(header.Modality), header, path, proof

    def _view(self, one: Resampled, number: int, slices: Sequence[Dataset]) -> Iterator[Made]:
        """Make the blended view, of the resampled series or, in one frame of reference, of the input itself."""
        fixed, moving = self.series[one.fixed], self.series[one.moving]
        over = list(slices) or stand_ins(moving)
        if str(over[0].StudyInstanceUID) != str(fixed.first.StudyInstanceUID):
            return  # a presentation state shows images of its own study
        moved = replace(self.volumes[one.fixed], voxels=one.voxels, modality=moving.volume.modality)
        names = one.moving, one.fixed
        path = self.folder / f"view-{number}.dcm"
        dataset = blended_view(fixed, over, moved, self.algorithm, names=names)
        save(dataset, path)
        below = list(self.originals[one.fixed].sop_class_uids)
        proof = prove_view(
            path, self.originals[one.fixed], below, [str(each.SOPInstanceUID) for each in over]
        )
        yield "PR", dataset, path, proof

    def _pictures(self, one: Resampled, number: int) -> Iterator[Made]:
        fixed = self.series[one.fixed]
        drawn = fused_pictures(
            self.volumes[one.fixed],
            one,
            self.volumes[one.moving].modality,
            self.findings,
            self.algorithm.readable_title,
        )
        for count, pixels in enumerate(drawn, 1):
            path = self.folder / f"fused-{number}-{count}.dcm"
            dataset = summary(pixels, fixed, self.algorithm, number=count, what="fused")
            save(dataset, path)
            proof = prove_picture(
                path,
                pixels,
                self.volumes[one.fixed],
                self.originals[one.fixed],
                marked=self.algorithm.not_for_diagnostic_use,
            )
            yield "SC", dataset, path, proof

    def _check(self, one: Resampled) -> None:
        known = one.moving in self.volumes and one.fixed in self.volumes
        if not known or one.voxels.shape != self.volumes[one.fixed].voxels.shape:
            raise FindingsError(f"{one.moving!r} was not resampled on the grid of {one.fixed!r}")


def _pair(by_role: Mapping[str, Value], one: Registration | Resampled) -> tuple[Value, Value]:
    """Return what belongs to the fixed and to the moving role."""
    return by_role[one.fixed], by_role[one.moving]


def _sentence(one: Registration) -> str:
    figures = one.figures
    if figures is None:
        return f"{one.moving} and {one.fixed} share a frame of reference; none was registered."
    ways = {
        "rigid": "a rigid motion",
        "affine": "an affine motion",
        "deformable": "an affine motion and a smooth deformation",
    }
    return (
        f"{one.moving} was registered to {one.fixed} by {ways.get(one.model, one.model)} "
        f"that maximises normalised mutual information ({figures.information:.2f} nat shared); "
        f"rotation {figures.angle_degrees:.1f} degrees, overlap {figures.overlap:.0%}, "
        f"{figures.gain:.1f} times the agreement of chance; the way back differs by "
        f"{figures.inverse_mm:.2f} mm, parts of the image by {figures.residual_mm:.2f} mm."
    )


def _figures(one: Registration) -> list[Measurement]:
    figures = one.figures
    if figures is None:
        return []
    name = (f"{one.moving} to {one.fixed}, {one.model}",)
    return [
        Measurement(code, value, unit, parameters=name)
        for code, value, unit in (
            (REGISTRATION_OVERLAP, 100 * figures.overlap, PERCENT),
            (REGISTRATION_GAIN, figures.gain, NO_UNITS),
            (REGISTRATION_INVERSE, figures.inverse_mm, MILLIMETRE),
            (REGISTRATION_RESIDUAL, figures.residual_mm, MILLIMETRE),
            (REGISTRATION_ANGLE, figures.angle_degrees, DEGREE),
        )
    ]
