"""Coded concepts proposed for the label names that models carry; an administrator confirms or replaces them.

Concepts come from the context groups of PS3.16 as pydicom carries them, so nothing is invented here: a name that is not
found there gets a code of our own scheme, and is shown as such.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache

from pydicom.sr.codedict import codes

from medaet.dicom.codes import (
    ANATOMICAL_STRUCTURE,
    LEFT,
    MORPHOLOGIC_ABNORMALITY,
    RIGHT,
    TISSUE,
    Code,
)

PRIVATE_SCHEME = "99MEDAET"
"""Coding scheme of labels for which no concept is known (PS3.16 §8.2)."""

SIDES = {"left": LEFT, "l": LEFT, "lt": LEFT, "right": RIGHT, "r": RIGHT, "rt": RIGHT}
ABNORMAL = (
    "tumor", "tumour", "cancer", "lesion", "nodule", "cyst", "metastasis", "neoplasm", "edema", "oedema", "necrosis",
    "hemorrhage", "infarction", "calcification", "aneurysm", "enhancing", "core", "carcinoma",
)  # fmt: skip
TISSUES = ("fat", "muscle", "skin", "fluid", "csf", "white matter", "grey matter", "gray matter")

SYNONYMS = {
    "autochthon": "erector spinae muscle",
    "urinary bladder": "bladder",
    "clavicula": "clavicle",
    "colon": "colon",
    "costal cartilages": "costal cartilage",
    "lung lower lobe": "lower lobe of lung",
    "lung middle lobe": "middle lobe of right lung",
    "lung upper lobe": "upper lobe of lung",
    "small bowel": "small intestine",
    "thyroid gland": "thyroid",
    "tumour": "neoplasm",
    "tumor": "neoplasm",
    "cancer": "neoplasm",
    "enhancing tumor": "neoplasm",
    "tumor core": "neoplasm",
    "whole tumor": "neoplasm",
    "iliac vena": "iliac vein",
    "heart atrium": "atrium",
    "heart ventricle": "heart ventricle",
    "kidney cyst": "cyst",
    "lung vessels": "pulmonary artery",
    "rib": "rib",
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a label name probably means.

    Attributes:
        code: Of SNOMED CT where the name is known, else of our own scheme.
        category: Structure, tissue or abnormality.
        modifier: Left or right, where the name says so and the concept does not.
    """

    code: Code
    category: Code = ANATOMICAL_STRUCTURE
    modifier: Code | None = None

    @property
    def known(self) -> bool:
        """Whether the name was found among the concepts of the standard."""
        return self.code.scheme != PRIVATE_SCHEME


def propose(label: str) -> Proposal:
    """Propose a coded concept for a label name such as "kidney_left" or "Vertebra L1"."""
    words = re.findall(r"[a-z]+|[0-9]+", _split_camel(label).lower())
    sides = [SIDES[word] for word in words if word in SIDES]
    rest = [word for word in words if word not in SIDES]
    code = _looked_up(" ".join(words)) if sides else None
    modifier = None
    if code is None:
        code = _looked_up(" ".join(rest))
        modifier = sides[0] if sides else None
    name = " ".join(words)
    return Proposal(code or _private(label), _category(name), modifier)


def _category(name: str) -> Code:
    if any(word in name.split() for word in ABNORMAL):
        return MORPHOLOGIC_ABNORMALITY
    return TISSUE if any(word in name for word in TISSUES) else ANATOMICAL_STRUCTURE


def _looked_up(name: str) -> Code | None:
    """Find a concept by its name, the plural, an order of words, or as one structure of a numbered row."""
    for one in _spellings(SYNONYMS.get(name, name)):
        keyword = _keywords().get(re.sub(r"[^a-z0-9]", "", one))
        if keyword:
            found = getattr(codes.SCT, keyword)
            return Code(str(found.value), "SCT", str(found.meaning)[:64])
    return None


def _spellings(name: str) -> list[str]:
    spellings = [name, name.removesuffix("s"), f"{name} structure"]
    vertebra = re.fullmatch(r"vertebrae? ([a-z]) ?(\d+)", name)
    if vertebra:
        spellings.append(f"{vertebra[1]}{vertebra[2]} vertebra")
    rib = re.fullmatch(r"rib (\d+)", name)
    if rib:
        ordinal = ORDINALS[int(rib[1])] if int(rib[1]) < len(ORDINALS) else ""
        spellings += [f"{ordinal} rib", "rib"]
    words = name.split()
    if len(words) > 1:  # "hepatic vessel" and "vessel hepatic", "gland adrenal" and "adrenal gland"
        spellings.append(" ".join(reversed(words)))
    return spellings


ORDINALS = (
    "", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth",
)  # fmt: skip


@cache
def _keywords() -> dict[str, str]:
    return {re.sub(r"[^a-z0-9]", "", one.lower()): one for one in codes.SCT.dir()}


def _private(label: str) -> Code:
    """Make a code of our own: readable where it fits 16 characters, else told apart by a digest."""
    plain = re.sub(r"[^A-Z0-9]+", "_", label.upper()).strip("_") or "LABEL"
    if len(plain) > 16:
        plain = f"{plain[:9]}_{hashlib.sha256(label.encode()).hexdigest()[:6].upper()}"
    return Code(plain, PRIVATE_SCHEME, label[:64])


def _split_camel(label: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)
