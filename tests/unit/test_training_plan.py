"""What is planned from the data, and patches that depend on their number alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medaet.compute.trained.intensity import Intensity
from medaet.compute.trained.network import build
from medaet.compute.trained.plan import ORIENTATION, Plan
from medaet.compute.training.augment import Augment
from medaet.compute.training.cache import Cached
from medaet.compute.training.fingerprint import Fingerprint
from medaet.compute.training.loop import rate
from medaet.compute.training.patches import Patches
from medaet.compute.training.planning import CPU, plan, strides
from medaet.compute.training.scores import score
from medaet.compute.training.synthesis import synthetic
from medaet.compute.training.tissue import label_of, parted
from medaet.compute.training.validate import Judged, agreement_limits, interval
from medaet.config.training import TrainingConfig, parse_training
from medaet.plugin.axes import towards


def _config(**more: object) -> TrainingConfig:
    raw = {"name": "x", "data": [{"kind": "pairs", "path": "."}], "structures": [{"name": "Ball"}]}
    return parse_training({**raw, **more}, Path(), "train.toml")


def _print(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Fingerprint:
    values = np.linspace(-900, 100, 1001, dtype=np.float32)
    return Fingerprint(shape, spacing_mm, (9, 1), (1,), values, "", "people")


def _plan(**more: object) -> Plan:
    return plan(_config(**more), [_print((48, 512, 512), (5.0, 0.57, 0.57))], "CT", CPU)


def _cached(plan_: Plan) -> Cached:
    random = np.random.default_rng(0)
    labels = np.zeros((40, 110, 110), dtype=np.uint8)
    labels[10:20, 40:60, 50:80] = 1
    image = (random.normal(0, 0.2, labels.shape) + labels).astype(np.float32)
    places = np.argwhere(labels).astype(np.int32)
    assert all(side >= patch for side, patch in zip(labels.shape, plan_.patch, strict=True))
    return Cached(
        "a", image.astype(np.float16), labels, parted(image, labels, 4, structures=1), (places,)
    )


def test_plan_fits_a_chest_ct_to_two_cores() -> None:
    found = _plan()
    assert found.spacing_mm == (5.0, 2.5, 2.5)
    assert found.patch == (32, 96, 96)
    assert found.strides == ((1, 2, 2), (2, 2, 2), (2, 2, 2))
    assert (found.norm, found.mirror, found.parts) == ("batch", (2,), (1,))
    assert found.intensity == (-895, 400)


def test_plan_follows_the_configuration_where_it_says_something() -> None:
    found = _plan(plan={"spacing_mm": [3, 3, 3], "patch": [16, 16, 16], "intensity": "z-score"})
    assert (found.spacing_mm, found.patch, found.intensity) == ((3, 3, 3), (16, 16, 16), None)
    assert found.norm == "instance"


def test_plan_does_not_mirror_structures_that_have_a_side() -> None:
    left = {"name": "Left lung", "modifier": {"value": "7771000", "meaning": "Left"}}
    assert _plan(structures=[left]).mirror == ()


def test_plan_survives_its_file(tmp_path: Path) -> None:
    _plan().write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == _plan()


def test_strides_wait_until_voxels_are_isotropic() -> None:
    assert strides((5.0, 1.0, 1.0), (16, 64, 64), 4) == ((1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2))


@pytest.mark.parametrize("name", ["unet", "dynunet", "segresnet"])
def test_every_planned_network_answers_on_the_patch(name: str) -> None:
    made = _plan(plan={"network": name, "patch": [8, 16, 16], "channels": [8, 16, 32]})
    with torch.inference_mode():
        assert build(made, seed=1).eval()(torch.zeros(1, 1, 8, 16, 16)).shape == (1, 2, 8, 16, 16)


def test_a_patch_depends_on_seed_step_and_number_alone() -> None:
    made = _plan()
    augment = Augment(made, _config().augment, 4)
    one, two = (Patches([_cached(made)], made, _config()) for _ in range(2))
    together = augment(one.batch(3, range(2)))
    apart = [augment(two.batch(3, [number])) for number in (0, 1)]
    for part in (0, 1):
        assert torch.equal(together[part], torch.cat([each[part] for each in apart]))
    assert not torch.equal(together[0], augment(one.batch(4, range(2)))[0])


def test_augmented_image_and_label_stay_together() -> None:
    made = _plan()
    settings = _config(augment={"noise": 0.0, "blur": 0.0, "low_resolution": 0.0}).augment
    patches = Patches([_cached(made)], made, _config(training={"foreground": 1.0}))
    images, labels = Augment(made, settings, 4)(patches.batch(0, range(4)))
    inside, outside = images[labels > 0], images[labels == 0]
    assert inside.numel() > 1000
    assert inside.mean() > outside.mean() + 0.5
    assert set(labels.flatten().tolist()) == {0.0, 1.0}


def test_a_synthetic_image_keeps_the_structure_and_no_contrast() -> None:
    made = _plan()
    config = _config(synthesis={"share": 1.0}, training={"foreground": 1.0})
    batch = Patches([_cached(made)], made, config).batch(0, range(6))
    assert all(batch.synthetic)
    images, labels = Augment(made, config.augment, 4)(batch)
    signs = [
        bool(image[label > 0].mean() > image[label == 0].mean())
        for image, label in zip(images, labels, strict=True)
    ]
    assert len(set(signs)) == 2  # the structure is brighter in some and darker in others


def test_synthetic_images_have_mean_zero_and_spread_one() -> None:
    tissue = torch.zeros(1, 1, 8, 16, 16)
    tissue[..., 4:12, 4:12] = 5
    image = synthetic(tissue, np.random.default_rng(1), torch.Generator().manual_seed(1))
    assert abs(float(image.mean())) < 1e-4
    assert float(image.std()) == pytest.approx(1, abs=1e-4)


def test_tissue_remembers_which_structure_it_belongs_to() -> None:
    cached = _cached(_plan())
    assert cached.tissue is not None
    assert np.array_equal(label_of(cached.tissue, 4), cached.labels)


def test_turning_there_and_back_changes_nothing() -> None:
    voxels = np.arange(24).reshape(2, 3, 4)
    affine = np.array([[0, 0, -3.0, 7], [0, -2.0, 0, 5], [1.0, 0, 0, 9], [0, 0, 0, 1]])
    turn = towards(ORIENTATION, affine)
    turned = turn.apply(voxels)
    assert np.array_equal(turn.undo(turned), voxels)
    new = turn.affine(affine, voxels.shape)
    assert np.allclose(np.diag(np.sign(new[:3, :3])), 1)
    at = tuple(int(one) for one in np.argwhere(turned == voxels[1, 2, 3])[0])
    assert np.allclose(new @ (*at[::-1], 1), affine @ (3, 2, 1, 1))


def test_intensity_maps_a_window_to_the_ends_and_scores_to_zero_mean() -> None:
    assert Intensity((-1000, 400))(torch.tensor([-2000.0, -300.0, 3000.0])).tolist() == [-1, 0, 1]
    scored = Intensity(None)(torch.rand(1, 8, 8, 8) * 700)
    assert float(scored.mean()) == pytest.approx(0, abs=1e-5)


def test_rate_rises_in_the_warm_up_and_falls_to_nothing() -> None:
    rules = _config(training={"warmup_steps": 4, "learning_rate": 1.0}).training
    rates = [rate(rules, step, 104) for step in range(105)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[54] == pytest.approx(0.5)
    assert rates[104] == pytest.approx(0)


def test_scores_of_boxes_are_those_worked_out_by_hand() -> None:
    truth = np.zeros((10, 20, 20), dtype=np.bool_)
    truth[2:8, 5:15, 5:15] = True
    found = np.zeros_like(truth)
    found[2:8, 5:15, 6:16] = True
    one = score(found, truth, (2.0, 1.0, 1.0), 1.0)
    assert one.dice == pytest.approx(0.9)
    assert one.surface_dice == pytest.approx(1.0)
    assert one.hd95_mm == pytest.approx(1.0)
    assert one.volume_ml == pytest.approx(1.2)
    assert one.bias_percent == pytest.approx(0)
    nothing = score(np.zeros_like(truth), truth, (2.0, 1.0, 1.0), 1.0)
    assert (nothing.dice, nothing.bias_percent) == (0, -100)
    assert np.isnan(nothing.hd95_mm)


def test_intervals_count_patients_not_scans() -> None:
    scores = [score(np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), (1, 1, 1), 1.0)]
    rows = [
        Judged(f"c{n}", patient, "test", "people", {}, {"Ball": scores[0]})
        for n, patient in enumerate(["p", "p", "q"])
    ]
    found = interval(rows, [0.0, 1.0, 1.0], seed=1)
    assert (found.mean, found.patients) == (0.75, 2)
    assert (found.low, found.high) == (0.5, 1.0)
    assert agreement_limits(rows, "Ball") == (0, 0, 0)
