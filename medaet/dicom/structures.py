"""Named structures with their codes: what the numbers of a label map mean, and which code a word has."""

import csv
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from medaet.dicom.codes import (
    ANATOMICAL_STRUCTURE,
    BODY_SUBSTANCE,
    LEFT,
    MORPHOLOGIC_ABNORMALITY,
    PHYSICAL_OBJECT,
    RIGHT,
    TISSUE,
    Code,
)

TABLE = "structures.csv"

_CATEGORIES = {
    "structure": ANATOMICAL_STRUCTURE,
    "tissue": TISSUE,
    "substance": BODY_SUBSTANCE,
    "morphology": MORPHOLOGIC_ABNORMALITY,
    "object": PHYSICAL_OBJECT,
}
_SIDES: Mapping[str, Code | None] = {"": None, "_left": LEFT, "_right": RIGHT}


@dataclass(frozen=True, slots=True)
class Structure:
    """What a segment is.

    Attributes:
        name: What a person reads, at most 64 characters.
        code: What it is (Segmented Property Type).
        category: What sort of thing it is (Segmented Property Category, PS3.16 CID 7150).
        modifier: A refinement of `code`, such as its laterality (PS3.16 CID 244).
        anatomic_region: Where it lies, when `code` does not say it.
        group: Structures of one group are shown in similar colours: "bone", "artery" and so on; empty for none.
    """

    name: str
    code: Code
    category: Code = ANATOMICAL_STRUCTURE
    modifier: Code | None = None
    anatomic_region: Code | None = None
    group: str = ""


def structure(key: str) -> Structure:
    """Return a structure of the table by its key, such as "kidney_left".

    Raises:
        KeyError: there is none; the message names similar ones.
    """
    found = structures().get(key)
    if found is None:
        similar = difflib.get_close_matches(key, structures(), n=3)
        raise KeyError(
            f"no structure {key!r} is in the table"
            + (f"; did you mean {' or '.join(similar)}?" if similar else "")
            + "; `medaet codes WORD` searches it"
        )
    return found


def search(words: str) -> dict[str, Structure]:
    """Return the structures, by key, whose key, name, code or place holds every one of some words."""
    wanted = words.lower().replace("_", " ").split()
    return {
        key: one
        for key, one in structures().items()
        if all(word in _haystack(key, one) for word in wanted)
    }


@cache
def structures() -> Mapping[str, Structure]:
    """Return the whole table, by key.

    Source:
        PS3.16 CID 7150, CID 7151 and the SNOMED CT hierarchy of body structures; the file names its own sources.
    """
    text = files("medaet.dicom").joinpath("data", TABLE).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {key: one for row in csv.DictReader(lines) for key, one in _of_row(row)}


def _of_row(row: Mapping[str, str]) -> Iterator[tuple[str, Structure]]:
    """Yield a structure, and where its sides are told apart the left and the right one too."""
    region = Code(row["region"], "SCT", row["region_meaning"]) if row["region"] else None
    for side, modifier in _SIDES.items() if "{}" in row["name"] else [("", None)]:
        key = row["name"].replace("{}", side)
        yield (
            key,
            Structure(
                name=_name(key, row["meaning"], modifier, has_region=region is not None),
                code=Code(row["code"], "SCT", row["meaning"]),
                category=_CATEGORIES[row["category"]],
                modifier=modifier,
                anatomic_region=region,
                group=row["group"],
            ),
        )


def _name(key: str, meaning: str, side: Code | None, *, has_region: bool) -> str:
    """Return "Left kidney" where the code says what it is, else the words of the key, "Liver tumor"."""
    if has_region:
        words = key.replace("_", " ")
        return words[0].upper() + words[1:]
    return f"{side.meaning} {meaning[0].lower()}{meaning[1:]}" if side else meaning


def _haystack(key: str, one: Structure) -> str:
    place = one.anatomic_region.meaning if one.anatomic_region else ""
    words = (key.replace("_", " "), one.name, one.code.value, one.code.meaning, place, one.group)
    return " ".join(words).lower()
