"""Intensities: equal to MONAI's transforms on real series."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.transforms.intensity.array import (
    NormalizeIntensity,
    ScaleIntensity,
    ScaleIntensityRange,
    ScaleIntensityRangePercentiles,
)

from medaet.compute.intensity import Normalised, Percentiles, Scaled, Window, percentile
from medaet.dicom.volume import read_volume

Mapping = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module", params=["chest_ct", "brain_mr", "head_mr_pd_native"])
def image(request: pytest.FixtureRequest, scans: Path) -> torch.Tensor:
    volume = read_volume(sorted((scans / request.param).glob("*.dcm")))
    return torch.from_numpy(volume.voxels.astype(np.float32))[None]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Window(-160, 240), ScaleIntensityRange(-160, 240, 0, 1, clip=True)),
        (Window(-1000, 400, -1, 1), ScaleIntensityRange(-1000, 400, -1, 1, clip=True)),
        (Scaled(-1, 1), ScaleIntensity(-1, 1, channel_wise=True)),
        (Percentiles(), ScaleIntensityRangePercentiles(0.5, 99.5, 0, 1, clip=True)),
        (
            Percentiles(2, 98, -1, 1, clip=False),
            ScaleIntensityRangePercentiles(2, 98, -1, 1, channel_wise=True),
        ),
        (Normalised(), NormalizeIntensity(channel_wise=True)),
        (Normalised(nonzero=True), NormalizeIntensity(nonzero=True, channel_wise=True)),
    ],
    ids=["window", "window to -1", "scaled", "percentiles", "percentiles 2", "z", "z nonzero"],
)
def test_intensities_equal_monais(image: torch.Tensor, ours: Mapping, theirs: Mapping) -> None:
    before = image.clone()
    expected = torch.as_tensor(np.asarray(theirs(image.clone())))
    assert float((ours(image) - expected).abs().max()) < 1e-4
    assert torch.equal(image, before)


def test_percentile_lies_between_values() -> None:
    assert percentile(torch.tensor([[4.0, 1.0, 3.0, 2.0]]), 50).tolist() == [2.5]


@pytest.mark.parametrize(
    "mapping", [Scaled(), Percentiles(), Normalised(), Normalised(nonzero=True)]
)
def test_an_image_without_contrast_stays_finite(mapping: Mapping) -> None:
    for value in (0.0, 7.0):
        assert torch.isfinite(mapping(torch.full((2, 3, 3, 3), value))).all()
