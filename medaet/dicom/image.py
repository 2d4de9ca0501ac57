"""One image of a classic series: where it lies in the patient, and how its pixels are stored."""

from dataclasses import dataclass
from pathlib import Path

from medaet.dicom.elements import Elements, PixelElement, read_head
from medaet.dicom.geometry import Plane
from medaet.dicom.identity import checked_uid
from medaet.errors import GeometryError, InstanceError

GREYSCALE = ("MONOCHROME1", "MONOCHROME2")
BITS_ALLOCATED = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The Image Pixel module of a greyscale image (PS3.3 §C.7.6.3).

    Attributes:
        photometric_interpretation: "MONOCHROME1" or "MONOCHROME2".
        bits_stored: How many of the allocated bits hold the value; the others may hold anything.
        high_bit: The most significant of them, counted from 0.
    """

    rows: int
    columns: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool

    def __post_init__(self) -> None:
        if not (self.rows and self.columns):
            raise InstanceError("Rows or Columns is 0")
        if self.bits_allocated not in BITS_ALLOCATED:
            raise InstanceError(f"BitsAllocated is {self.bits_allocated}, expected 8, 16 or 32")
        if not 0 < self.bits_stored <= self.high_bit + 1 <= self.bits_allocated:
            raise InstanceError(
                f"BitsStored {self.bits_stored} and HighBit {self.high_bit} do not fit into "
                f"BitsAllocated {self.bits_allocated}"
            )

    @property
    def size_bytes(self) -> int:
        """Length of the pixels when they are not compressed."""
        return self.rows * self.columns * self.bits_allocated // 8


@dataclass(frozen=True, slots=True)
class Image:
    """One single-frame image that can be a slice of a volume.

    Attributes:
        slope: Rescale Slope, 1 when absent.
        intercept: Rescale Intercept, 0 when absent.
        pixel_data: Where the pixels lie in the file; in the data set when that is deflated.
    """

    path: Path
    plane: Plane
    series_instance_uid: str
    frame_of_reference_uid: str
    modality: str
    transfer_syntax_uid: str
    pixels: PixelDescription
    slope: float
    intercept: float
    pixel_data: PixelElement

    @property
    def name(self) -> str:
        """The instance, as messages name it."""
        return f"SOP Instance UID {self.plane.sop_instance_uid}"


def read_image(path: Path) -> Image:
    """Read what a file says about its image, without the pixels.

    Raises:
        GeometryError: the instance is no plane of a volume: it has several frames or colours, or no place.
        InstanceError: the file cannot be read, or contradicts itself.
    """
    elements = read_head(path)
    sop_instance_uid = checked_uid(_ascii(elements, "SOPInstanceUID"), "SOPInstanceUID")
    try:
        return _image(path, sop_instance_uid, elements)
    except (GeometryError, InstanceError) as error:
        raise type(error)(f"{error} (SOP Instance UID {sop_instance_uid})") from error


def _image(path: Path, sop_instance_uid: str, elements: Elements) -> Image:
    _check_kind(elements)
    if elements.pixel_data is None:
        raise InstanceError("the instance has no PixelData; send it with its pixels")
    slope, intercept = _rescale(elements)
    return Image(
        path=path,
        plane=_plane(sop_instance_uid, elements),
        series_instance_uid=_ascii(elements, "SeriesInstanceUID"),
        frame_of_reference_uid=_ascii(elements, "FrameOfReferenceUID"),
        modality=elements.text("Modality"),
        transfer_syntax_uid=elements.transfer_syntax_uid,
        pixels=_pixels(elements),
        slope=slope,
        intercept=intercept,
        pixel_data=elements.pixel_data,
    )


def _check_kind(elements: Elements) -> None:
    frames = elements.decimals("NumberOfFrames") or (1.0,)
    if frames[0] > 1:
        raise GeometryError(
            f"the instance holds {frames[0]:.0f} frames; only single-frame CT and MR series are "
            "read, so send the classic form of the series"
        )
    if elements.integer("SamplesPerPixel", 1) != 1 or _photometric(elements) not in GREYSCALE:
        raise GeometryError(
            f"the image is {_photometric(elements) or 'of no known colour'}, not greyscale"
        )


def _photometric(elements: Elements) -> str:
    return _ascii(elements, "PhotometricInterpretation")


def _ascii(elements: Elements, keyword: str) -> str:
    return elements.values.get(keyword, b"").decode("ascii", "replace").strip(" \0")


def _plane(sop_instance_uid: str, elements: Elements) -> Plane:
    spacing = _exactly(2, elements, "PixelSpacing")
    if min(spacing) <= 0:
        raise GeometryError("PixelSpacing is not positive")
    return Plane(
        sop_instance_uid=sop_instance_uid,
        position=_exactly(3, elements, "ImagePositionPatient"),
        orientation=_exactly(6, elements, "ImageOrientationPatient"),
        pixel_spacing=spacing,
        thickness_mm=_thickness_mm(elements),
    )


def _exactly(count: int, elements: Elements, keyword: str) -> tuple[float, ...]:
    values = elements.decimals(keyword)
    if not values:
        raise GeometryError(f"the instance has no {keyword}: it is no plane of a volume")
    if len(values) != count:
        raise GeometryError(f"{keyword} holds {len(values)} numbers instead of {count}")
    return values


def _thickness_mm(elements: Elements) -> float:
    """Return Slice Thickness, or Spacing Between Slices, which some scanners use for the gap; 0 without both."""
    for keyword in ("SliceThickness", "SpacingBetweenSlices"):
        values = elements.decimals(keyword)
        if values and values[0] > 0:
            return values[0]
    return 0.0


def _pixels(elements: Elements) -> PixelDescription:
    allocated = elements.integer("BitsAllocated")
    stored = elements.integer("BitsStored", allocated)
    return PixelDescription(
        rows=elements.integer("Rows"),
        columns=elements.integer("Columns"),
        photometric_interpretation=_photometric(elements),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=elements.integer("HighBit", stored - 1),
        is_signed=elements.integer("PixelRepresentation", 0) == 1,
    )


def _rescale(elements: Elements) -> tuple[float, float]:
    """Return slope and intercept (PS3.3 §C.11.1)."""
    if "ModalityLUTSequence" in elements.values:
        raise InstanceError(
            "values behind a Modality LUT Sequence cannot be read, only rescaled ones"
        )
    slope = (elements.decimals("RescaleSlope") or (1.0,))[0]
    intercept = (elements.decimals("RescaleIntercept") or (0.0,))[0]
    if slope == 0:
        raise InstanceError("RescaleSlope is 0, so that every voxel would be the same")
    return slope, intercept
