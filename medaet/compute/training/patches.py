"""Patches drawn from cached cases: which case, where, and by which random numbers, all decided by their number.

Patch i of step s depends on the seed, s and i alone. So a run that is resumed goes on with the very patches it would
have drawn, and two processes that share a step's patches draw what one would.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from medaet.compute.trained.plan import Plan, Three
from medaet.compute.training.cache import Cached
from medaet.config.training import TrainingConfig

Voxel = TypeVar("Voxel", bound=np.generic)

JITTER = 0.3
"""A centred structure is off the middle by up to this fraction of the patch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Patches before augmentation, with a margin for turning and shrinking.

    Attributes:
        images: float16 (item, 1, *crop), as they are kept; tissue numbers in place of intensities where `synthetic`.
        labels: uint8, same shape.
        synthetic: Whether an item is to become a synthetic image.
        seeds: Of each item's further random numbers.
    """

    images: torch.Tensor
    labels: torch.Tensor
    synthetic: tuple[bool, ...]
    seeds: tuple[int, ...]

    def to(self, device: torch.device) -> "Batch":
        """Copy to a device, without waiting where the memory is pinned."""
        if device.type == "cuda":
            images, labels = self.images.pin_memory(), self.labels.pin_memory()
        else:
            images, labels = self.images, self.labels
        return Batch(
            images.to(device, non_blocking=True),
            labels.to(device, non_blocking=True),
            self.synthetic,
            self.seeds,
        )


class Patches:
    """Draws patches.

    Args:
        cases: To draw from.
        plan: Their grid and patch.
        config: Shares and scales.
    """

    def __init__(self, cases: Sequence[Cached], plan: Plan, config: TrainingConfig) -> None:
        self._cases = cases
        self._plan = plan
        self._foreground = config.training.foreground
        self._synthetic = config.synthesis.share
        self._seed = config.seed
        largest = max(config.augment.scale[1], 1.0)
        turned = 1.0 if config.augment.rotation_degrees == 0 else 1.15
        self.crop: Three = _three(
            [
                int(np.ceil(side * largest * (turned if axis else 1.0)))
                for axis, side in enumerate(plan.patch)
            ]
        )

    def batches(self, parts: Sequence[tuple[int, Sequence[int]]]) -> Iterator[Batch]:
        """Draw batches one after the other, each while the one before is used.

        Args:
            parts: Step and item numbers of each batch.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="patches") as pool:
            waiting = [pool.submit(self.batch, *one) for one in parts[:2]]
            for number in range(len(parts)):
                ready = waiting.pop(0).result()
                if number + 2 < len(parts):
                    waiting.append(pool.submit(self.batch, *parts[number + 2]))
                yield ready

    def batch(self, step: int, items: Sequence[int]) -> Batch:
        """Draw some patches of a step."""
        drawn = [self._item(np.random.default_rng((self._seed, step, item))) for item in items]
        images, labels, synthetic, seeds = zip(*drawn, strict=True)
        return Batch(
            torch.from_numpy(np.stack(images)[:, None]),
            torch.from_numpy(np.stack(labels)[:, None]),
            tuple(synthetic),
            tuple(seeds),
        )

    def _item(
        self, random: np.random.Generator
    ) -> tuple[NDArray[np.float16], NDArray[np.uint8], bool, int]:
        case = self._cases[int(random.integers(len(self._cases)))]
        corner = self._corner(case, random)
        synthetic = case.tissue is not None and bool(random.random() < self._synthetic)
        source = case.tissue if synthetic and case.tissue is not None else case.image
        seed = int(random.integers(2**62))
        return (
            _cut(source, corner, self.crop).astype(np.float16, copy=False),
            _cut(case.labels, corner, self.crop),
            synthetic,
            seed,
        )

    def _corner(self, case: Cached, random: np.random.Generator) -> Three:
        """Place a patch, around a structure or anywhere, inside the scan as inference's windows are."""
        patch = np.asarray(self._plan.patch)
        shape = np.asarray(case.shape)
        shown = [places for places in case.places if len(places)]
        if shown and random.random() < self._foreground:
            places = shown[int(random.integers(len(shown)))]
            middle = (
                places[int(random.integers(len(places)))]
                + random.uniform(-JITTER, JITTER, 3) * patch
            )
        else:
            middle = random.uniform(0, shape, 3)
        start = np.clip(np.rint(middle - patch / 2), 0, shape - patch)
        return _three([int(n) for n in start - (np.asarray(self.crop) - patch) // 2])


def _cut(array: NDArray[Voxel], corner: Three, size: Three) -> NDArray[Voxel]:
    """Cut a box out; beyond the array its border goes on."""
    index = [
        np.clip(np.arange(start, start + length), 0, limit - 1)
        for start, length, limit in zip(corner, size, array.shape, strict=True)
    ]
    inside = tuple(slice(int(each[0]), int(each[-1]) + 1) for each in index)
    part = np.asarray(array[inside])
    for axis, each in enumerate(index):
        if part.shape[axis] != len(each):
            part = np.take(part, each - each[0], axis=axis)
    return part


def _three(values: Sequence[int]) -> Three:
    first, second, third = values
    return first, second, third
