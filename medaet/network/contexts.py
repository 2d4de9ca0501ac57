"""Presentation contexts (PS3.8 §7.1.1.13): what the storage SCP accepts and the SCU proposes."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from pydicom import uid
from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context

from medaet.dicom.identity import checked_uid
from medaet.errors import InstanceError

VERIFICATION = "1.2.840.10008.1.1"
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

MAXIMUM_CONTEXTS = 128
"""Presentation context IDs are the odd numbers from 1 to 255 (PS3.8 §9.3.2.2)."""


class RequestedContext(Protocol):
    """One proposal of an association request."""

    abstract_syntax: str
    transfer_syntax: Sequence[str]


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


def supported(requested: Iterable[RequestedContext]) -> list[PresentationContext]:
    """Choose what to support in one association, from what its requestor proposes.

    The requestor's order of transfer syntaxes is kept: its first is the one it can send without recoding.

    Args:
        requested: The proposals of the A-ASSOCIATE-RQ.

    Returns:
        One context for each accepted abstract syntax, with the transfer syntaxes that may be chosen for it.
    """
    wanted: dict[str, dict[str, None]] = {}
    for context in requested:
        abstract_syntax = str(context.abstract_syntax)
        proposed = [str(syntax) for syntax in context.transfer_syntax]
        if abstract_syntax == VERIFICATION:
            usable = [syntax for syntax in proposed if syntax in NATIVE]
        elif is_stored(abstract_syntax):
            usable = [syntax for syntax in proposed if syntax in TRANSFER_SYNTAXES]
        else:
            continue
        wanted.setdefault(abstract_syntax, {}).update(dict.fromkeys(usable))
    return [build_context(name, list(syntaxes)) for name, syntaxes in wanted.items() if syntaxes]


def proposed(kinds: Iterable[tuple[str, str]]) -> list[PresentationContext]:
    """List the contexts to propose for sending instances.

    Uncompressed instances get a context for each native transfer syntax, so that the peer's acceptance of one
    says which; a compressed instance can only go as it is.

    Args:
        kinds: SOP Class UID and Transfer Syntax UID of each instance.

    Returns:
        At most 128 contexts, each with one transfer syntax.
    """
    pairs: dict[tuple[str, str], None] = {}
    for sop_class_uid, transfer_syntax_uid in kinds:
        pairs[sop_class_uid, transfer_syntax_uid] = None
        if transfer_syntax_uid in NATIVE:
            pairs.update(dict.fromkeys((sop_class_uid, str(syntax)) for syntax in NATIVE))
    return [build_context(*pair) for pair in list(pairs)[:MAXIMUM_CONTEXTS]]
