"""The Image Pixel module of a greyscale image (PS3.3 §C.7.6.3), its padding, and the modality LUT that goes with it."""

from dataclasses import dataclass
from functools import lru_cache

from medaet.dicom.values import Elements
from medaet.errors import InstanceError

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
        """Length of the pixels of one frame when they are not compressed."""
        return self.rows * self.columns * self.bits_allocated // 8

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest value that the stored bits can hold."""
        low = -(1 << self.bits_stored - 1) if self.is_signed else 0
        return low, low + (1 << self.bits_stored) - 1


def read_pixels(elements: Elements) -> PixelDescription:
    """Read how the pixels are stored.

    Raises:
        InstanceError: the header contradicts itself.
    """
    allocated = elements.integer("BitsAllocated")
    stored = elements.integer("BitsStored", allocated)
    return _described(
        elements.integer("Rows"),
        elements.integer("Columns"),
        elements.ascii("PhotometricInterpretation"),
        (allocated, stored, elements.integer("HighBit", stored - 1)),
        elements.integer("PixelRepresentation", 0) == 1,
    )


@lru_cache(maxsize=64)
def _described(
    rows: int, columns: int, photometric: str, bits: tuple[int, int, int], signed: bool
) -> PixelDescription:
    """Return one description for all slices that are alike."""
    return PixelDescription(rows, columns, photometric, *bits, signed)


def read_padding(elements: Elements, pixels: PixelDescription) -> tuple[int, int] | None:
    """Return the range of stored values that are padding (PS3.3 §C.7.5.1.1.2)."""
    ends = [
        int.from_bytes(raw, elements.byte_order, signed=pixels.is_signed)
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
        if (raw := elements.values.get(keyword))
    ]
    return (min(ends), max(ends)) if ends else None


def read_rescale(elements: Elements) -> tuple[float, float]:
    """Return slope and intercept (PS3.3 §C.11.1).

    Raises:
        InstanceError: the values are not rescaled, or all to one.
    """
    if "ModalityLUTSequence" in elements.values:
        raise InstanceError(
            "values behind a Modality LUT Sequence cannot be read, only rescaled ones"
        )
    slope = (elements.decimals("RescaleSlope") or (1.0,))[0]
    intercept = (elements.decimals("RescaleIntercept") or (0.0,))[0]
    if slope == 0:
        raise InstanceError("RescaleSlope is 0, so that every voxel would be the same")
    return slope, intercept
