"""The same analysis on MONAI's own tools: its Spacing, its sliding windows, every class brought back to full size."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers.utils import sliding_window_inference
from monai.transforms.spatial.array import Spacing
from numpy.typing import NDArray
from torch.nn import functional

from medaet.compute.resample import Grid
from medaet.compute.runtime import Runtime
from medaet.compute.sliding import Network
from medaet.dicom.volume import Volume
from medaet.plugin.recipe import Options, Recipe

BATCH = 4
"""Windows in one call of the network, as MONAI's bundles have it."""


class MonaiRuntime(Runtime):
    """Segments as a MONAI bundle's inference.json says: resample, slide, softmax, invert, argmax."""

    def segment(  # type: ignore[override] # networks in the benchmarks are torch modules, and channels are one
        self,
        network: Network,
        volume: Volume,
        *,
        spacing_mm: tuple[float, float, float],
        **options: Unpack[Options],
    ) -> NDArray[np.uint8]:
        """Segment a volume; see `Runtime.segment`."""
        recipe = Recipe(spacing_mm=spacing_mm, **options)
        image = torch.from_numpy(volume.voxels.astype(np.float32))[None].to(self.device)
        with torch.inference_mode():
            if recipe.alignment == "edges":
                found = _by_size(image, volume.spacing_mm, network, recipe)
            else:
                found = _by_spacing(image, volume.spacing_mm, network, recipe)
        return found.cpu().numpy()


def _by_size(
    image: torch.Tensor, spacing_mm: Sequence[float], network: Network, recipe: Recipe
) -> torch.Tensor:
    shape = image.shape[1:]
    small = Grid.of_spacing(shape, spacing_mm, recipe.spacing_mm).shape
    resized = functional.interpolate(image[None], size=small, mode="trilinear")
    scores = _scores(recipe.intensity(resized), network, recipe)
    return functional.interpolate(scores, size=shape, mode="trilinear")[0].argmax(0).to(torch.uint8)


def _by_spacing(
    image: torch.Tensor, spacing_mm: Sequence[float], network: Network, recipe: Recipe
) -> torch.Tensor:
    spacing = Spacing(recipe.spacing_mm, mode="bilinear")
    placed = MetaTensor(image, affine=torch.diag(torch.tensor([*spacing_mm, 1.0])))
    small = spacing(placed)
    scores = _scores(recipe.intensity(small.as_tensor())[None], network, recipe)[0]
    inverted = spacing.inverse(
        MetaTensor(scores, meta=small.meta, applied_operations=small.applied_operations)
    )
    labels: torch.Tensor = inverted.as_tensor().argmax(0).to(torch.uint8)
    return labels


def _scores(image: torch.Tensor, network: Network, recipe: Recipe) -> torch.Tensor:
    logits = sliding_window_inference(
        image,
        recipe.window,
        recipe.batch or BATCH,
        network,
        overlap=recipe.overlap,
        mode="gaussian",
    )
    return torch.softmax(torch.as_tensor(logits), dim=1)
