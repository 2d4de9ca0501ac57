"""Coded concepts as data sets hold them."""

from collections.abc import Sequence

from pydicom import Dataset

from medaet.dicom.codes import Code


def code_of(sequence: Sequence[Dataset] | None) -> Code | None:
    """Return the first item of a code sequence; None when there is none, or it is no valid code (PS3.3 §8.8)."""
    if not sequence:
        return None
    item = sequence[0]
    value = str(item.get("CodeValue") or "")
    try:
        return Code(
            value,
            str(item.get("CodingSchemeDesignator") or ""),
            str(item.get("CodeMeaning") or "")[:64],
        )
    except ValueError:
        return None
