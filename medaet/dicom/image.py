"""One image that can be a slice of a volume: where it lies in the patient, and how its pixels are stored."""

from dataclasses import dataclass, replace
from pathlib import Path

from medaet.dicom.elements import read_head
from medaet.dicom.functional_groups import frame_elements
from medaet.dicom.geometry import Plane
from medaet.dicom.identity import checked_uid
from medaet.dicom.pixel_module import (
    PixelDescription,
    read_padding,
    read_pixels,
    read_rescale,
)
from medaet.dicom.values import Elements, PixelElement
from medaet.errors import GeometryError, InstanceError

GREYSCALE = ("MONOCHROME1", "MONOCHROME2")
MAXIMUM_FRAMES = 100_000

OVERVIEWS = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM"})
"""Image Type values of images that no volume is made of (PS3.3 §C.8.2.1.1.1)."""

MARKS = (
    *("FrameType", "ImageType", "StackID", "EchoNumbers", "EchoTime", "EffectiveEchoTime"),
    *("InversionTime", "DiffusionBValue", "KVP", "ConvolutionKernel"),
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "AcquisitionNumber"),
)
"""What tells the volumes of one series apart, in the order in which it is tried."""

SEQUENCE_IN_TIME = (
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "AcquisitionNumber"),
    *("TriggerTime", "NominalCardiacTriggerDelayTime", "AcquisitionTime", "ContentTime"),
    "InstanceNumber",
)
"""What puts images of one position into order."""


class NoPlaneError(GeometryError):
    """The instance is something else than a plane of a volume, such as a report in colours, and may be left out."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image, or one frame of a multi-frame image, that can be a slice of a volume.

    Attributes:
        frames: How many frames the instance holds; which one this is, `plane.frame` says.
        slope: Rescale Slope, 1 when absent.
        intercept: Rescale Intercept, 0 when absent.
        pixel_data: Where the pixels of all frames lie in the file; in the data set when that is deflated.
        padding: Least and greatest stored value that stands for "no measurement" (PS3.3 §C.7.5.1.1.2); None without.
        elements: What else the header says; without its content.
    """

    path: Path
    plane: Plane
    sop_class_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    modality: str
    transfer_syntax_uid: str
    pixels: PixelDescription
    slope: float
    intercept: float
    pixel_data: PixelElement
    frames: int
    padding: tuple[int, int] | None
    elements: Elements

    @property
    def name(self) -> str:
        """The instance, as messages name it."""
        return f"SOP Instance UID {self.plane.name}"

    @property
    def image_type(self) -> tuple[str, ...]:
        """Values of Frame Type, or of Image Type."""
        keyword = "FrameType" if "FrameType" in self.elements.values else "ImageType"
        return tuple(part.strip().upper() for part in self.elements.ascii(keyword).split("\\"))

    @property
    def is_lossy(self) -> bool:
        """Whether the pixels were ever compressed with loss (PS3.3 §C.7.6.1.1.5)."""
        return self.elements.ascii("LossyImageCompression") == "01"

    @property
    def time(self) -> tuple[float, ...]:
        """Sort key among images of one position."""
        return tuple(self.elements.rank(keyword) for keyword in SEQUENCE_IN_TIME)

    def mark(self, keyword: str) -> str:
        """Return one of `MARKS`, "" when absent."""
        return self.elements.mark(keyword)


def read_images(path: Path) -> list[Image]:
    """Read what a file says about its images, without the pixels.

    Returns:
        One image for each frame, in the order of the frames.

    Raises:
        NoPlaneError: the instance is something else than a plane, or planes, of a volume.
        GeometryError: its place is wrong.
        InstanceError: the file cannot be read, or contradicts itself.
    """
    elements = read_head(path)
    sop_instance_uid = checked_uid(elements.ascii("SOPInstanceUID"), "SOPInstanceUID")
    try:
        _check_kind(elements)
        frames = _frames(elements)
        if not frames:
            return [image_of(path, elements, Frame(sop_instance_uid, 0, 1))]
        return [
            image_of(path, one, Frame(sop_instance_uid, number, len(frames)))
            for number, one in enumerate(frames, 1)
        ]
    except (GeometryError, InstanceError) as error:
        raise type(error)(f"{error} (SOP Instance UID {sop_instance_uid})") from error


@dataclass(frozen=True, slots=True)
class Frame:
    """Which frame of which instance: number 0 where there is only one."""

    sop_instance_uid: str
    number: int
    count: int


def _check_kind(elements: Elements) -> None:
    if elements.integer("SamplesPerPixel", 1) != 1 or _photometric(elements) not in GREYSCALE:
        raise NoPlaneError(
            f"the image is {_photometric(elements) or 'of no known colour'}, not greyscale"
        )


def _frames(elements: Elements) -> list[Elements]:
    """Return the elements of each frame of a multi-frame image; none for a classic image."""
    count = int((elements.decimals("NumberOfFrames") or (1.0,))[0])
    if not elements.per_frame:
        if count > 1:
            raise NoPlaneError(
                f"the instance holds {count} frames without places in the patient: it is no volume"
            )
        return []
    if not 0 < count <= MAXIMUM_FRAMES:
        raise InstanceError(f"NumberOfFrames is {count}, expected 1 to {MAXIMUM_FRAMES}")
    found = frame_elements(elements)
    if len(found) != count:
        raise InstanceError(
            f"the instance has {count} frames, but functional groups for {len(found)}"
        )
    return found


def image_of(path: Path, elements: Elements, frame: Frame) -> Image:
    """Return the image that the elements of an instance, or of one of its frames, describe; see `read_images`."""
    if elements.pixel_data is None:
        raise InstanceError("the instance has no PixelData; send it with its pixels")
    if elements.pixel_data.vr not in ("OB", "OW"):
        raise InstanceError("the pixels are real numbers; only whole ones are read")
    plane = _plane(frame, elements)
    slope, intercept = read_rescale(elements)
    pixels = read_pixels(elements)
    return Image(
        path=path,
        plane=plane,
        sop_class_uid=elements.ascii("SOPClassUID"),
        series_instance_uid=elements.ascii("SeriesInstanceUID"),
        frame_of_reference_uid=elements.ascii("FrameOfReferenceUID"),
        modality=elements.ascii("Modality"),
        transfer_syntax_uid=elements.transfer_syntax_uid,
        pixels=pixels,
        slope=slope,
        intercept=intercept,
        pixel_data=elements.pixel_data,
        frames=frame.count,
        padding=read_padding(elements, pixels),
        elements=replace(elements, content=b""),
    )


def _photometric(elements: Elements) -> str:
    return elements.ascii("PhotometricInterpretation")


def _plane(frame: Frame, elements: Elements) -> Plane:
    has_no_place = not (
        elements.values.get("ImagePositionPatient")
        or elements.values.get("ImageOrientationPatient")
    )
    if has_no_place:
        raise NoPlaneError(
            "the instance has no ImagePositionPatient and no ImageOrientationPatient: "
            "it is no plane of a volume"
        )
    spacing = _exactly(2, elements, "PixelSpacing")
    if min(spacing) <= 0:
        raise GeometryError("PixelSpacing is not positive")
    return Plane(
        sop_instance_uid=frame.sop_instance_uid,
        frame=frame.number,
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
