"""The machine as an analysis sees it: a device, and inference on it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from medaet.compute.device import checked, limit_threads
from medaet.compute.engines.choice import Chosen, choose
from medaet.compute.engines.engine import OnnxFile, Source, Task
from medaet.compute.engines.fingerprint import fingerprint
from medaet.compute.engines.ready import Ready
from medaet.compute.orient import Orientation
from medaet.compute.segment import prepare, segment
from medaet.compute.sliding import Network
from medaet.dicom.volume import Volume
from medaet.errors import PluginError
from medaet.plugin.precision import Terms
from medaet.plugin.recipe import Options, Recipe

Progress = Callable[[float, str], None]


class Runtime:
    """What an analysis may ask of the machine it runs on.

    Args:
        device: In torch's spelling, such as "cpu" or "cuda:0".
        on_progress: Called with a fraction from 0 to 1 and a few words.
        terms: On which terms networks are computed.
        cache: Folder for what is worked out about networks once; None to work it out each time.
    """

    def __init__(
        self,
        device: str,
        on_progress: Progress = lambda _fraction, _text: None,
        *,
        terms: Terms = Terms(),  # noqa: B008 -- frozen
        cache: Path | None = None,
    ) -> None:
        self._device = torch.device(checked(device))
        self._on_progress = on_progress
        self._terms = terms
        self._cache = cache
        self._ready: WeakKeyDictionary[Source, dict[tuple[int, ...], Ready]] = WeakKeyDictionary()
        limit_threads()

    @property
    def device(self) -> str:
        """The device in torch's spelling."""
        return str(self._device)

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the analysis is, from 0 to 1."""
        self._on_progress(fraction, text)

    def load_weights(self, network: nn.Module, path: Path) -> nn.Module:
        """Load a network's weights from a safetensors file, ready for inference on the device.

        Raises:
            PluginError: the file does not hold the weights of this network.
        """
        try:
            network.load_state_dict(load_file(path))
        except (OSError, RuntimeError, ValueError) as error:
            raise PluginError(f"{path.name} does not hold the weights of this network") from error
        return network.to(self._device).eval()

    def torchscript(self, path: Path) -> nn.Module:
        """Load a TorchScript network, ready for inference on the device.

        Raises:
            PluginError: the file holds none.
        """
        try:
            module: nn.Module = torch.jit.load(path, map_location=self._device)  # type: ignore[no-untyped-call]
        except (OSError, RuntimeError, ValueError) as error:
            raise PluginError(f"{path.name} is not a TorchScript network") from error
        return module.eval()

    def tensor(self, volume: Volume) -> torch.Tensor:
        """Copy a volume's voxels to the device: float32, (1, slice, row, column)."""
        return self._uploaded([volume]).float()

    def segment(
        self,
        network: Source | Network,
        volume: Volume | Sequence[Volume],
        *,
        spacing_mm: tuple[float, float, float],
        **options: Unpack[Options],
    ) -> NDArray[np.uint8]:
        """Segment a volume with a network that was trained at one spacing.

        Args:
            network: Maps (batch, channel, slice, row, column) to (batch, class, slice, row, column) logits. A torch
                module is run by the engine that suits this host; any other function as it is.
            volume: The input, or one for each channel on the same grid.
            spacing_mm: Spacing the network was trained at, along its axes.
            **options: What else training fixed; `medaet.plugin.recipe.Recipe` describes each.

        Returns:
            The most probable class of each voxel, on the volume's own grid (slice, row, column); with sigmoid
            activation 0 or 1 for each channel, (channel, slice, row, column).

        Raises:
            PluginError: an option, or the shape of the network's output, cannot be right.
            FindingsError: the network returned values that are not finite.
        """
        recipe = Recipe(spacing_mm=spacing_mm, **options)
        volumes = [volume] if isinstance(volume, Volume) else list(volume)
        first = volumes[0]
        orientation = Orientation.towards(recipe.orientation, first.affine)
        with torch.inference_mode():
            prepared = prepare(
                self._uploaded(volumes), first.spacing_mm, orientation, recipe, first.modality
            )
            run = self._made_ready(network, recipe)
            labels = segment(prepared, run, recipe, batch=recipe.batch or 1)
        found: NDArray[np.uint8] = labels.cpu().numpy()
        return np.ascontiguousarray(found)

    def _made_ready(self, network: Source | Network, recipe: Recipe) -> Network:
        """Find or prepare the engine of a network for windows of the recipe's shape."""
        if not isinstance(network, nn.Module | OnnxFile):
            return network
        engines = self._ready.setdefault(network, {})

        def choose_for(windows: torch.Tensor) -> Chosen:
            name = fingerprint(network) if self._cache else ""
            task = Task(network, windows, self._terms.precision, name, self._cache)
            return choose(task, self._terms.engine)

        return engines.setdefault(recipe.window, Ready(choose_for))

    def _uploaded(self, volumes: Sequence[Volume]) -> torch.Tensor:
        """Copy voxels to the device in the type they have, (channel, slice, row, column)."""
        shapes = {one.voxels.shape for one in volumes}
        if len(shapes) != 1 or any(
            not np.allclose(one.affine, volumes[0].affine, atol=1e-3) for one in volumes
        ):
            raise PluginError("the channels of one network input must lie on the same grid")
        return torch.stack([torch.from_numpy(np.asarray(one.voxels)) for one in volumes])
