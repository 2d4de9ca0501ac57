"""The training loop beside a plain MONAI one: same scans, network, batches, augmentations, optimiser and schedule.

Both compute with one thread and begin each round with other weights. On a shared machine the clock says much about the
others, so processor time stands beside it; of `medaet train` that holds the thread that draws the next patches.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data.dataloader import DataLoader
from monai.data.dataset import CacheDataset
from monai.losses.dice import DiceCELoss
from monai.transforms.compose import Compose
from monai.transforms.croppad.dictionary import RandCropByLabelClassesd
from monai.transforms.intensity.dictionary import (
    RandAdjustContrastd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
)
from monai.transforms.spatial.dictionary import RandAffined, RandSimulateLowResolutiond
from monai.utils.misc import set_determinism
from torch import nn

from medaet.compute.trained.network import build
from medaet.compute.training.augment import Augment
from medaet.compute.training.cache import Cached
from medaet.compute.training.loop import Loop, look
from medaet.compute.training.patches import Patches
from medaet.compute.training.place import Place
from medaet.compute.training.prepare import Prepared, prepare
from medaet.compute.training.scores import dice
from medaet.config.training import parse_training
from tests.benchmarks.rounds import interleaved, show

SHAPE, BALLS, SCANS = (32, 80, 80), 4, 10
PATCH = (16, 48, 48)
EPOCHS, STEPS, ROUNDS = 25, 10, 3
RATE, SEED = 3e-3, 1
ALWAYS = 1.0
PARTS_ROUNDS = 5


def _write_scans(folder: Path) -> None:
    """Write noisy scans with balls of two brightnesses, of which one is the structure."""
    import nibabel

    places = np.moveaxis(np.indices(SHAPE), 0, -1)
    for number in range(SCANS):
        random = np.random.default_rng(number)
        level, label = np.full(SHAPE, -200.0), np.zeros(SHAPE, np.uint8)
        for ball in range(BALLS):
            middle = random.uniform(12, np.asarray(SHAPE) - 12)
            inside = (((places - middle) / (6, 14, 14)) ** 2).sum(-1) < 1
            level[inside] = -50 if ball % 2 else 250
            label[inside] = ball % 2
        values = level + random.normal(0, 60, SHAPE)
        for kind, array in (("images", values.astype(np.int16)), ("labels", label)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            image = nibabel.Nifti1Image(array.transpose(2, 1, 0), np.diag([-1.0, -1.0, 2.0, 1.0]))
            nibabel.save(image, folder / kind / f"{number}.nii.gz")


def _prepared(folder: Path) -> Prepared:
    _write_scans(folder)
    raw = {
        "name": "bench",
        "modality": "CT",
        "seed": SEED,
        "validation_share": 0.0,
        "test_share": 0.4,
        "data": [{"kind": "pairs", "path": "."}],
        "structures": [{"name": "Ball", "label": 1}],
        "plan": {"patch": list(PATCH), "spacing_mm": [2.0, 1.0, 1.0]},
        "training": {
            "epochs": EPOCHS,
            "steps_per_epoch": STEPS,
            "learning_rate": RATE,
            "ema": 0.0,
            "warmup_steps": 1,
        },
    }
    return prepare(parse_training(raw, folder, "bench"), folder / "run", "cpu")


def _ours(run: Prepared, folder: Path) -> nn.Module:
    for old in folder.glob("*.pt"):
        old.unlink()
    folder.mkdir(exist_ok=True)
    loop = Loop(run.plan, run.config, run.loop_cases, Place(), folder)
    for _ in loop.run():
        pass
    return loop.weights


def _transforms(run: Prepared, crop: Sequence[int]) -> Compose:
    settings, both = run.config.augment, ["image", "label"]
    turn = math.radians(settings.rotation_degrees)
    return Compose(
        [
            RandCropByLabelClassesd(
                both, "label", crop, ratios=[1, 2], num_classes=2, num_samples=1
            ),
            RandAffined(
                both,
                prob=ALWAYS,
                rotate_range=(turn, turn / 2, turn / 2),
                scale_range=((-0.2, 0.25),) * 3,
                mode=["bilinear", "nearest"],
                padding_mode="border",
                spatial_size=run.plan.patch,
            ),
            RandAdjustContrastd("image", prob=ALWAYS, gamma=settings.gamma),
            RandScaleIntensityd("image", factors=0.25, prob=ALWAYS),
            RandShiftIntensityd("image", offsets=settings.shift, prob=ALWAYS),
            RandGaussianSmoothd("image", (0.4, 1.2), (0.4, 1.2), (0.4, 1.2), prob=settings.blur),
            RandSimulateLowResolutiond("image", prob=settings.low_resolution, zoom_range=(0.33, 1)),
            RandGaussianNoised("image", prob=ALWAYS, std=settings.noise),
        ]
    )


def _loader(run: Prepared, cases: Sequence[Cached]) -> "DataLoader[dict[str, torch.Tensor]]":
    crop = Patches(cases, run.plan, run.config).crop
    data = [
        {
            "image": torch.from_numpy(one.image.astype(np.float32))[None],
            "label": torch.from_numpy(np.asarray(one.labels))[None].float(),
        }
        for one in cases
    ]
    batch = run.plan.batch
    drawn = [data[number % len(data)] for number in range(STEPS * batch)]
    return DataLoader(
        CacheDataset(drawn, _transforms(run, crop), progress=False),
        batch_size=batch,
        shuffle=True,
        num_workers=0,
    )


def _monai(run: Prepared, cases: Sequence[Cached]) -> nn.Module:
    loader = _loader(run, cases)
    network = build(run.plan, seed=run.config.seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS * STEPS)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
    for _ in range(EPOCHS):
        for one in loader:
            optimiser.zero_grad()
            loss_of(network(one["image"]), one["label"]).backward()
            optimiser.step()
            schedule.step()
    return network


def _score(network: nn.Module, run: Prepared, cases: Sequence[Cached]) -> float:
    network.eval()
    found = [look(network, one, run.plan, torch.device("cpu")).numpy() for one in cases]
    each = [dice(labels, one.labels, 1)[0] for labels, one in zip(found, cases, strict=True)]
    return statistics.mean(each)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Prepared]:
    """Prepare a run, and compute with one thread from then on."""
    threads = torch.get_num_threads()
    prepared = _prepared(tmp_path)  # which takes a thread for each core
    torch.set_num_threads(1)
    yield prepared
    torch.set_num_threads(threads)


@pytest.mark.filterwarnings("ignore")  # of MONAI, about its own arguments
def test_an_epoch_beside_monai(run: Prepared, tmp_path: Path) -> None:
    train, test = run.cached("train"), run.cached("test")
    scores: dict[str, list[float]] = {"plain MONAI": [], "medaet train": []}

    cases: dict[str, Callable[[Prepared], nn.Module]] = {
        "plain MONAI": lambda seeded: _monai(seeded, train),
        "medaet train": lambda seeded: _ours(seeded, tmp_path / "loop"),
    }
    clock: dict[str, list[float]] = {name: [] for name in cases}
    processor: dict[str, list[float]] = {name: [] for name in cases}

    def once(name: str) -> None:
        config = run.config.model_copy(update={"seed": SEED + len(clock[name])})
        seeded = replace(run, config=config)
        set_determinism(config.seed)
        began, used = time.perf_counter(), time.process_time()
        network = cases[name](seeded)
        clock[name].append((time.perf_counter() - began) / EPOCHS)
        processor[name].append((time.process_time() - used) / EPOCHS)
        scores[name].append(_score(network, run, test))

    interleaved({name: partial(once, name) for name in cases}, rounds=ROUNDS)
    show("seconds of an epoch", clock, reference="plain MONAI")
    show("processor seconds of an epoch", processor, reference="plain MONAI")
    for name, each in scores.items():
        spread = ", ".join(f"{one:.3f}" for one in each)
        print(f"{name}: Dice on {len(test)} held-out scans {statistics.mean(each):.3f} ({spread})")


@pytest.mark.filterwarnings("ignore")
def test_where_an_epoch_beside_monai_goes(run: Prepared, tmp_path: Path) -> None:
    """Time the halves of both loops apart: making batches, and learning from one batch again and again."""
    train = run.cached("train")
    loop = Loop(run.plan, run.config, run.loop_cases, Place(), tmp_path / "loop")
    loader = _loader(run, train)
    network = build(run.plan, seed=SEED)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
    parts = [(step, range(run.plan.batch)) for step in range(STEPS)]
    augment = Augment(run.plan, run.config.augment, 0)
    patches = Patches(train, run.plan, run.config)
    images, labels = augment(next(patches.batches(parts)))

    def theirs_learn() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad()
            loss_of(network(images), labels).backward()
            optimiser.step()

    def ours_learn() -> None:
        for _ in range(STEPS):
            loop._optimiser.zero_grad()
            loop._forward(images, labels).backward()  # type: ignore[no-untyped-call]
            loop._optimiser.step()

    seconds = interleaved(
        {
            "plain MONAI: batches": lambda: list(loader),
            "medaet train: batches": lambda: [augment(one) for one in patches.batches(parts)],
            "plain MONAI: network": theirs_learn,
            "medaet train: network": ours_learn,
        },
        rounds=PARTS_ROUNDS,
    )
    show(f"seconds of {STEPS} steps", seconds, reference="plain MONAI: network")
