"""The names DICOM gives things: UIDs and AE titles, checked, and the facts about a series that selectors ask for."""

import hashlib
import re
from dataclasses import dataclass

from medaet.errors import InstanceError

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
MAXIMUM_UID_LENGTH = 64


def checked_uid(text: str, keyword: str) -> str:
    """Return `text` when it has the form of a UID.

    Components with leading zeros and unregistered roots are let through, because real scanners send them;
    anything but digits and single dots is not.

    Args:
        text: The value, without padding.
        keyword: The attribute it came from, for the message.

    Raises:
        InstanceError: the value is empty, too long or holds other characters.

    Source:
        PS3.5 §9.1.
    """
    if len(text) <= MAXIMUM_UID_LENGTH and _UID.fullmatch(text):
        return text
    raise InstanceError(
        f"{keyword} is not a UID: expected 1 to {MAXIMUM_UID_LENGTH} digits and dots, "
        f"got {len(text)} characters"
    )


def hashed(text: str) -> str:
    """Return the SHA-256 of a name in hexadecimal: safe as a file name, whatever the peer sent."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class InstanceRef:
    """Which SOP instance it is, of which series and study."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str


@dataclass(frozen=True, slots=True)
class InstanceHeader:
    """What the tables keep of one SOP instance; no patient attribute is among it.

    Attributes:
        series_attributes: Values by which selectors and routes choose, under their PS3.6 keywords.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str
    series_attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What a selector may know of a series.

    Attributes:
        image_type: Values of Image Type (PS3.3 §C.7.6.1.1.2), upper case.
        slices: Number of slices received: instances, or frames of multi-frame ones.
        references: Series Instance UIDs that a SEG or RTSTRUCT refers to; empty for images.
    """

    series_instance_uid: str
    modality: str
    body_part: str = ""
    series_description: str = ""
    study_description: str = ""
    protocol_name: str = ""
    image_type: tuple[str, ...] = ()
    sop_class_uids: tuple[str, ...] = ()
    slices: int = 0
    references: tuple[str, ...] = ()
