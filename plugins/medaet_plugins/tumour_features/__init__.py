"""Radiomic features of what somebody has drawn: a CT or MR and a Segmentation or RT Structure Set of it."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel, Field

from medaet import (
    Analysis,
    AnalysisRuntime,
    Code,
    FeatureSettings,
    Findings,
    Measurement,
    Segment,
    SeriesSelector,
    Settings,
    Volume,
    hookimpl,
)
from medaet.dicom.ibsi import FAMILIES
from medaet.dicom.region import Region
from medaet.errors import GeometryError

CT_RANGE = (-1000.0, 400.0)
CT_BIN_WIDTH = 25.0
MR_BINS = 32
MR_IVH_BINS = 1000
MR_OUTLIER_SIGMAS = 3.0
NOTE = (
    "Features follow the IBSI reference manual (arXiv 1612.07003); they depend on scanner, protocol and contour: "
    "compare them only under the same settings."
)


class FeatureOptions(Settings):
    """What a site may choose.

    Attributes:
        spacing_mm: Edge of the cubes that image and regions are interpolated to.
        families: Families of features.
        labels: Labels of the regions to measure, without regard to case; none for all of them.
    """

    spacing_mm: float = Field(default=2.0, gt=0.1, le=20)
    families: tuple[str, ...] = FAMILIES
    labels: tuple[str, ...] = ()


class TumourFeatures(Analysis):
    """Measures the regions of a Segmentation or an RT Structure Set on the series it refers to."""

    name: ClassVar[str] = "tumour-features"
    version: ClassVar[str] = "1.0.0"
    title: ClassVar[str] = "Radiomic features"
    intended_use: ClassVar[str] = (
        "Measures radiomic features of regions that were drawn on CT or MR, for research. Not for diagnostic use."
    )
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "image": SeriesSelector(modality=("CT", "MR")),
        "regions": SeriesSelector(modality=("SEG", "RTSTRUCT"), refers_to="image"),
    }
    family: ClassVar[Code] = Code("123101", "DCM", "Neighborhood Analysis")
    memory_mb: ClassVar[int] = 2000
    Settings: ClassVar[type[BaseModel]] = FeatureOptions

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Ask for the features of every region; they are computed on the runtime's device."""
        options = self.settings
        assert isinstance(options, FeatureOptions)
        volume = inputs["image"]
        wanted = {label.casefold() for label in options.labels}
        regions = [one for one in volume.regions if not wanted or one.label.casefold() in wanted]
        if not regions:
            there = ", ".join(one.label for one in volume.regions) or "none"
            raise GeometryError(f"no region to measure; the objects draw {there}")
        runtime.progress(0.1, f"{len(regions)} regions")
        settings = processing(volume.modality, options.spacing_mm)
        return Findings(
            segments=[_segment(one) for one in regions],
            measurements=[
                Measurement.features(of=one.label, families=options.families, settings=settings)
                for one in regions
            ],
            remarks=[_origin(regions), NOTE],
        )


def processing(modality: str, spacing_mm: float) -> FeatureSettings:
    """Return the image processing for a modality, after configurations C and D of the IBSI reference manual.

    Args:
        modality: "CT", whose values are calibrated, or "MR", whose values are not.
        spacing_mm: Edge of the interpolated voxels.
    """
    cube = (spacing_mm, spacing_mm, spacing_mm)
    if modality == "CT":
        return FeatureSettings(
            spacing_mm=cube, rounded=True, value_range=CT_RANGE, bin_width=CT_BIN_WIDTH
        )
    return FeatureSettings(
        spacing_mm=cube, outlier_sigmas=MR_OUTLIER_SIGMAS, bins=MR_BINS, ivh_bins=MR_IVH_BINS
    )


def _segment(region: Region) -> Segment:
    return Segment(
        region.label,
        region.mask,
        region.code,
        category=region.category,
        anatomic_region=region.anatomic_region,
    )


def _origin(regions: Sequence[Region]) -> str:
    uids = ", ".join(dict.fromkeys(one.sop_instance_uid for one in regions))
    return f"Regions drawn by SOP Instance UID {uids}."


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer the analysis of this plugin."""
    return [TumourFeatures]
