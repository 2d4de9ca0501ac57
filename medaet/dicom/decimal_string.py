"""Numbers as decimal strings (PS3.5 §6.2, VR DS)."""

from collections.abc import Iterable

from pydicom.valuerep import format_number_as_ds

LONGEST = 16


def decimal_string(number: float) -> str:
    """Return a number as a decimal string of at most 16 characters, as exactly as these allow.

    pydicom counts the digits before it rounds, and makes 17 characters of 99.99999999999997.
    """
    text = str(format_number_as_ds(float(number)))
    if len(text) <= LONGEST:
        return text
    return str(format_number_as_ds(float(f"{number:.10g}")))


def decimal_strings(numbers: Iterable[float]) -> tuple[str, ...]:
    """Return numbers as decimal strings; see `decimal_string`."""
    return tuple(map(decimal_string, numbers))
