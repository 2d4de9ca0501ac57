"""Which SOP classes and transfer syntaxes the SCP accepts; docs/conformance.md is made of these tables."""

from collections.abc import Iterable
from functools import lru_cache

from pydicom import uid
from pydicom.uid import UID

from medaet.dicom.identity import checked_uid
from medaet.errors import InstanceError

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model (PS3.4 Annex J)."""

STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"

REFUSED_STORAGE: dict[str, str] = {
    "1.2.840.10008.1.3.10": "Media Storage Directory",
    "1.2.840.10008.5.1.1.27": "Stored Print",
    "1.2.840.10008.5.1.4.38.1": "Hanging Protocol",
    "1.2.840.10008.5.1.4.39.1": "Color Palette",
    "1.2.840.10008.5.1.4.43.1": "Generic Implant Template",
    "1.2.840.10008.5.1.4.44.1": "Implant Assembly Template",
    "1.2.840.10008.5.1.4.45.1": "Implant Template Group",
    "1.2.840.10008.5.1.4.1.1.200.1": "CT Defined Procedure Protocol",
    "1.2.840.10008.5.1.4.1.1.200.3": "Protocol Approval",
    "1.2.840.10008.5.1.4.1.1.200.7": "XA Defined Procedure Protocol",
    "1.2.840.10008.5.1.4.1.1.201.1": "Inventory",
}
"""Classes that are stored but belong to no patient's study (PS3.4 Annex GG), and DICOMDIR, which names files."""

NATIVE: tuple[UID, ...] = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian)
"""Transfer syntaxes between which an SCU converts without loss."""

TRANSFER_SYNTAXES: tuple[UID, ...] = (
    *NATIVE,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    UID("1.2.840.10008.1.2.1.98"),  # Encapsulated Uncompressed Explicit VR Little Endian
    uid.RLELossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    UID("1.2.840.10008.1.2.4.110"),  # JPEG XL Lossless
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
    UID("1.2.840.10008.1.2.4.111"),  # JPEG XL JPEG Recompression
    UID("1.2.840.10008.1.2.4.112"),  # JPEG XL
    uid.JPEG2000MCLossless,
    uid.JPEG2000MC,
    uid.MPEG2MPML,
    uid.MPEG2MPHL,
    uid.MPEG4HP41,
    uid.MPEG4HP41BD,
    uid.MPEG4HP422D,
    uid.MPEG4HP423D,
    uid.MPEG4HP42STEREO,
    uid.HEVCMP51,
    uid.HEVCM10P51,
)
"""What the SCP takes. Storing needs no decoder; only syntaxes that keep pixels elsewhere (JPIP, SMPTE) are left out."""

_NATIVE = frozenset(map(str, NATIVE))
_TAKEN = frozenset(map(str, TRANSFER_SYNTAXES))


@lru_cache(maxsize=1024)
def is_stored(sop_class_uid: str) -> bool:
    """Whether the SCP takes instances of a SOP class.

    Every storage class of the standard that belongs to a study is taken, and every UID that the standard's
    registry does not know: private classes, and those that are newer than this software.

    Source:
        PS3.4 Annex B, PS3.6 Annex A.
    """
    try:
        name = UID(checked_uid(sop_class_uid, "Abstract Syntax"))
    except InstanceError:
        return False
    if sop_class_uid in REFUSED_STORAGE:
        return False
    if name.name == sop_class_uid or not name.name:  # not in the registry, or there without a name
        return True
    return name.type == "SOP Class" and "Storage" in name.name and "Commitment" not in name.name


def usable(
    abstract_syntax: str, proposed: Iterable[str], *, commitment: bool = False
) -> list[str] | None:
    """Choose among the transfer syntaxes that a requestor proposes for one abstract syntax.

    The requestor's order is kept: its first is the one it can send without recoding.

    Args:
        abstract_syntax: Any text that came from the peer.
        proposed: The transfer syntaxes, in the requestor's order.
        commitment: Whether the Storage Commitment Push Model is offered too.

    Returns:
        Those that may be used; None when the abstract syntax is not supported at all.
    """
    if abstract_syntax == VERIFICATION or (commitment and abstract_syntax == STORAGE_COMMITMENT):
        return [syntax for syntax in proposed if syntax in _NATIVE]
    if is_stored(abstract_syntax):
        return [syntax for syntax in proposed if syntax in _TAKEN]
    return None
