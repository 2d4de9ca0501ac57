"""The features of the Image Biomarker Standardisation Initiative: their names, codes and units.

Codes and meanings are those of PS3.16 CID 7467 to 7469, 7475 to 7479, 7500 and 7501 where DICOM lists them, else of
the IBSI reference manual. IBSI gives one identifier to both of a pair of points on the intensity-volume histogram;
those four carry codes of our own, which say the point.

Source:
    PS3.16 CID 218; IBSI reference manual, Zwanenburg et al., arXiv 1612.07003.
"""

from dataclasses import dataclass
from enum import StrEnum

from medaet.dicom.codes import HOUNSFIELD, NO_UNITS, Code
from medaet.dicom.ibsi_table import TABLE

SCHEME = "IBSI"
OWN_SCHEME = "99MEDAET"


class Aggregation(StrEnum):
    """How directional matrices and those of slices become one number.

    Zones, tone differences and dependences have no directions: for them both members of a pair are the same.

    Source:
        IBSI reference manual, Features, Grey level co-occurrence based features, Aggregating features.
    """

    SLICE_AVERAGED = "2d-averaged"
    SLICE_MERGED = "2d-merged"
    DIRECTION_MERGED = "2.5d-averaged"
    VOLUME_MERGED = "2.5d-merged"
    AVERAGED_3D = "3d-averaged"
    MERGED_3D = "3d-merged"

    @property
    def space(self) -> str:
        """What the matrices are made of: "2d", "2.5d" or "3d"."""
        return self.value.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of the catalogue.

    Attributes:
        tag: Its name in IBSI's tables of reference values, without aggregation; unique.
        family: "morphology", "local", "statistics", "histogram", "ivh", "glcm", "glrlm", "glszm", "gldzm", "ngtdm" or
            "ngldm".
        code: What a report calls it.
        dimension: "1", a power of mm, "value" and its kin for what has the unit of the voxel values, or "bin" for an
            intensity of the intensity-volume histogram, which is a voxel value or the number of a bin.
    """

    tag: str
    family: str
    code: Code
    dimension: str

    @property
    def has_aggregations(self) -> bool:
        """Whether the feature comes from matrices, of which there are several."""
        return self.family in TEXTURES

    def unit(self, modality: str) -> Code:
        """Return the UCUM unit on a modality: Hounsfield units on CT, no unit for MR intensities."""
        return _unit(self.dimension, modality)


_LENGTHS = {
    "mm": Code("mm", "UCUM", "millimeter"),
    "mm2": Code("mm2", "UCUM", "square millimeter"),
    "mm3": Code("mm3", "UCUM", "cubic millimeter"),
    "/mm": Code("/mm", "UCUM", "per millimeter"),
}
_HOUNSFIELD_POWERS = {
    "value": HOUNSFIELD,
    "bin": HOUNSFIELD,
    "value2": Code("[hnsf'U]2", "UCUM", "squared Hounsfield unit"),
    "value.mm3": Code("[hnsf'U].mm3", "UCUM", "Hounsfield unit times cubic millimeter"),
}
_AGGREGATION_CODES = {
    Aggregation.SLICE_AVERAGED: ("BTW3", "8QNN"),
    Aggregation.SLICE_MERGED: ("SUJT", "8QNN"),
    Aggregation.DIRECTION_MERGED: ("JJUI", "62GR"),
    Aggregation.VOLUME_MERGED: ("ZW7Z", "62GR"),
    Aggregation.AVERAGED_3D: ("ITBB", "KOBO"),
    Aggregation.MERGED_3D: ("IAZD", "KOBO"),
}
_AGGREGATION_MEANINGS = {
    "BTW3": "2D, averaged over slices and directions",
    "SUJT": "2D, directions merged, averaged over slices",
    "JJUI": "2.5D, slices merged, averaged over directions",
    "ZW7Z": "2.5D, slices and directions merged",
    "ITBB": "3D, averaged over directions",
    "IAZD": "3D, directions merged",
    "8QNN": "2D, averaged over slices",
    "62GR": "2.5D, slices merged",
    "KOBO": "3D",
}
DIRECTIONAL = frozenset({"glcm", "glrlm"})
TEXTURES = frozenset({*DIRECTIONAL, "glszm", "gldzm", "ngtdm", "ngldm"})


def aggregation_code(feature: Feature, aggregation: Aggregation) -> Code:
    """Return the IBSI code of an aggregation, as the method of a measurement."""
    value = _AGGREGATION_CODES[aggregation][feature.family not in DIRECTIONAL]
    return Code(value, SCHEME, _AGGREGATION_MEANINGS[value])


def _unit(dimension: str, modality: str) -> Code:
    if dimension in _LENGTHS:
        return _LENGTHS[dimension]
    if modality == "CT" and dimension in _HOUNSFIELD_POWERS:
        return _HOUNSFIELD_POWERS[dimension]
    return _LENGTHS["mm3"] if dimension == "value.mm3" else NO_UNITS


def _read(table: str) -> dict[str, Feature]:
    features: dict[str, Feature] = {}
    family = ""
    for line in table.strip().splitlines():
        if line.startswith("["):
            family = line.strip("[]")
            continue
        tag, value, dimension, meaning = line.split(maxsplit=3)
        scheme = OWN_SCHEME if "-" in value else SCHEME
        features[tag] = Feature(tag, family, Code(value, scheme, meaning), dimension)
    return features


FEATURES = _read(TABLE)
"""Every feature by its tag, family by family, in the order of the manual."""

FAMILIES = tuple(dict.fromkeys(feature.family for feature in FEATURES.values()))
