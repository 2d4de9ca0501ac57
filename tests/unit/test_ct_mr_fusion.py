"""Bone around a brain and the space within it, on heads whose every part is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from medaet import Volume
from medaet.plugin.registry import discover
from medaet.testing.head import head, part_mask
from medaet_plugins.ct_mr_fusion.anatomy import Surroundings

WHERE = np.eye(4)


@pytest.fixture(scope="module")
def ct() -> Volume:
    return head("CT", spacing_mm=(3.0, 1.5, 1.5), seed=3)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def test_skull_is_the_bone_and_the_space_within_it_all_the_rest(ct: Volume) -> None:
    brain = part_mask("brain", ct, WHERE)
    skull = part_mask("skull", ct, WHERE) & ~brain
    found = Surroundings.of(ct, brain)
    assert dice(found.skull, skull) > 0.95
    assert dice(found.inside, brain) > 0.98
    assert found.brain_in_bone < 0.01
    assert not (found.inside & found.skull).any()


def test_space_reaches_beyond_a_brain_that_shrank_but_never_through_bone(ct: Volume) -> None:
    brain = part_mask("brain", ct, WHERE)
    small = np.eye(4)
    small[:3, :3] *= 0.95
    found = Surroundings.of(ct, part_mask("brain", ct, small))
    assert dice(found.inside, brain) > 0.97
    beyond = found.inside & ~(brain | part_mask("skull", ct, WHERE))
    assert not beyond.any()


def test_brain_that_lies_in_bone_tells_of_a_wrong_registration(ct: Volume) -> None:
    away = np.eye(4)
    away[0, 3] = 12
    assert Surroundings.of(ct, part_mask("brain", ct, away)).brain_in_bone > 0.02


def test_without_a_brain_nothing_is_found(ct: Volume) -> None:
    found = Surroundings.of(ct, np.zeros(ct.voxels.shape, bool))
    assert not found.skull.any()
    assert not found.inside.any()


def test_manifest_takes_a_ct_and_an_mr_of_one_patient_and_registers_them() -> None:
    analysis = discover().analyses["ct-mr-fusion"]
    assert list(analysis.inputs) == ["ct", "mr"]
    assert analysis.partners["mr"].where == "patient"
    assert analysis.alignments["mr"].required
