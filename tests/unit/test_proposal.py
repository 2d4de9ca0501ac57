"""Coded concepts proposed for label names."""

import pytest

from medaet.codes import ANATOMICAL_STRUCTURE, LEFT, MORPHOLOGIC_ABNORMALITY, RIGHT
from medaet.plugin.proposal import propose


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("spleen", "78961009"),
        ("Liver", "10200004"),
        ("urinary_bladder", "89837001"),
        ("vertebrae_L5", "49668003"),
        ("rib_left_1", "113197003"),
        ("lung_upper_lobe_left", "45653009"),
        ("tumor", "108369006"),
    ],
)
def test_propose_finds_the_concept_of_a_name(label: str, value: str) -> None:
    assert propose(label).code.value == value


def test_propose_takes_the_side_for_a_modifier() -> None:
    assert propose("kidney_left").modifier == LEFT
    assert propose("RightKidney").modifier == RIGHT
    assert propose("spleen").modifier is None


def test_propose_tells_abnormalities_from_structures() -> None:
    assert propose("liver tumor").category == MORPHOLOGIC_ABNORMALITY
    assert propose("liver").category == ANATOMICAL_STRUCTURE


def test_propose_gives_an_unknown_name_a_code_of_our_own() -> None:
    found = propose("portal_vein_and_splenic_vein")
    assert not found.known
    assert found.code.scheme == "99MEDAET"
    assert found.code.meaning == "portal_vein_and_splenic_vein"
    assert found.code != propose("portal_vein_and_other_vein").code
