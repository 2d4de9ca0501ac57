"""The table of structures: complete, well-formed, searchable, and in agreement with the codes that pydicom knows."""

import re

import pytest
from pydicom.sr.codedict import Collection

from medaet.dicom.codes import LEFT, MORPHOLOGIC_ABNORMALITY, RIGHT
from medaet.dicom.structures import search, structure, structures


def test_structure_of_a_side_has_the_code_of_the_organ_and_a_modifier() -> None:
    left, right, both = (structure(key) for key in ("kidney_left", "kidney_right", "kidney"))
    assert left.code == right.code == both.code
    assert (left.modifier, right.modifier, both.modifier) == (LEFT, RIGHT, None)
    assert [one.name for one in (left, right, both)] == ["Left kidney", "Right kidney", "Kidney"]


def test_structure_of_a_lesion_says_where_it_lies() -> None:
    tumour = structure("liver_tumor")
    assert tumour.category == MORPHOLOGIC_ABNORMALITY
    assert tumour.anatomic_region == structure("liver").code
    assert tumour.name == "Liver tumor"


def test_table_holds_every_structure_of_a_whole_body_model() -> None:
    keys = {f"vertebrae_{name}" for name in ("C1", "C7", "T1", "T12", "L1", "L5", "S1")}
    keys |= {f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13)}
    keys |= {
        "spleen",
        "lung_upper_lobe_left",
        "heart_atrium_left",
        "urinary_bladder",
        "autochthon_left",
    }
    assert keys <= set(structures())


def test_table_has_one_structure_for_a_code_modifier_and_place_within_a_category() -> None:
    seen: dict[object, str] = {}
    doubled = []
    for key, one in structures().items():
        what = (one.code.value, one.modifier, one.anatomic_region, one.category)
        if what in seen:
            doubled.append({key, seen[what]})
        seen[what] = key
    assert doubled == [{"phalanges_feet", "phalanges_hand"}]


def test_table_agrees_with_the_meanings_that_pydicom_knows() -> None:
    known = {code.value: code.meaning for code in Collection("SCT").concepts.values()}
    differ = {
        key: (one.code.meaning, known[one.code.value])
        for key, one in structures().items()
        if one.code.value in known and not _words(one.code.meaning) & _words(known[one.code.value])
    }
    # Synonyms of one concept, as SNOMED CT lists them.
    assert set(differ.values()) <= {
        ("Tarsal bones", "Tarsus"),
        ("Metacarpal bones", "Metacarpus"),
        ("Blood vessel", "Endo-vascular"),
        ("Neoplasm", "Tumor"),
        ("Stomach", "Gastric"),
        ("Spleen", "Splenic structure (body structure)"),
        ("Adipose tissue", "Fat"),
        ("Fat", "Adipose tissue"),
    }


def _words(text: str) -> set[str]:
    """Return the first five letters of each word: aorta and aortic share theirs."""
    return {word[:4] for word in re.findall(r"[a-z]+", text.lower())}


def test_structure_that_is_not_there_names_similar_ones() -> None:
    with pytest.raises(KeyError, match="did you mean kidney_left"):
        structure("kidney_lefd")


def test_search_wants_every_word() -> None:
    assert set(search("upper lobe left")) == {"lung_upper_lobe_left"}
    assert "liver_tumor" in search("liver")
    assert set(search("64033007 right")) == {"kidney_right"}
    assert search("no such thing") == {}
