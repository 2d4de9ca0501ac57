"""The machine as an analysis sees it: a device, and inference on it."""

import copy
import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack
from weakref import WeakKeyDictionary

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from medaet.compute.device import checked, limit_threads
from medaet.compute.engines.choice import Chosen, choose
from medaet.compute.engines.engine import OnnxFile, Source, Task
from medaet.compute.engines.fingerprint import fingerprint
from medaet.compute.engines.ready import Ready
from medaet.compute.failures import is_out_of_memory
from medaet.compute.ladder import Rung
from medaet.compute.orient import Orientation
from medaet.compute.record import Record
from medaet.compute.segment import prepare, segment
from medaet.compute.sliding import Network
from medaet.dicom.volume import Volume
from medaet.errors import OutOfMemoryError, PluginError
from medaet.plugin.precision import Terms
from medaet.plugin.recipe import Options, Recipe

log = structlog.get_logger()

Progress = Callable[[float, str], None]


class Runtime:
    """What an analysis may ask of the machine it runs on.

    Args:
        device: In torch's spelling, such as "cpu" or "cuda:0".
        on_progress: Called with a fraction from 0 to 1 and a few words.
        terms: On which terms networks are computed.
        cache: Folder for what is worked out about networks once; None to work it out each time.
        checkpoint: Called between windows, and with every word of progress; it may take its time.
    """

    def __init__(
        self,
        device: str,
        on_progress: Progress = lambda _fraction, _text: None,
        *,
        terms: Terms = Terms(),  # noqa: B008 -- frozen
        cache: Path | None = None,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self._device = torch.device(checked(device))
        self._on_progress = on_progress
        self._terms = terms
        self._cache = cache
        self._checkpoint = checkpoint
        self._record = Record()
        self._counted = (0, 0)
        self._rungs: dict[tuple[int, int, int], Rung] = {}
        self._ready: WeakKeyDictionary[Source, dict[object, Ready]] = WeakKeyDictionary()
        limit_threads()

    @property
    def device(self) -> str:
        """The device in torch's spelling."""
        return str(self._device)

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the analysis is, from 0 to 1."""
        self._on_progress(fraction, text)
        self._checkpoint()

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
        return self._uploaded([volume], self._device).float()

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
            OutOfMemoryError: memory does not suffice, in whatever smaller steps.
        """
        recipe = Recipe(spacing_mm=spacing_mm, **options)
        volumes = [volume] if isinstance(volume, Volume) else list(volume)
        rung = self._rungs.get(recipe.window) or Rung.top(
            self._device, recipe.batch, self._terms.precision
        )
        while True:
            try:
                found = self._segmented(network, volumes, recipe, rung)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                rung = self._stepped_down(rung, str(error).partition("\n")[0])
            else:
                self._rungs[recipe.window] = rung  # the next volume need not fail first
                return found
            # Only here, after the error with all that its frames hold has gone, is memory free again.
            self._free()

    def told(self) -> dict[str, str]:
        """Say how the networks were computed since this was asked last, for the report."""
        record, self._record = self._record, Record()
        return record.told(self._terms)

    def _segmented(
        self, network: Source | Network, volumes: Sequence[Volume], recipe: Recipe, rung: Rung
    ) -> NDArray[np.uint8]:
        first = volumes[0]
        self._counted = (0, 0)
        orientation = Orientation.towards(recipe.orientation, first.affine)
        with torch.inference_mode():
            voxels = self._uploaded(volumes, rung.device)
            prepared = prepare(voxels, first.spacing_mm, orientation, recipe, first.modality)
            del voxels
            run = self._made_ready(network, recipe, rung)
            labels = segment(
                prepared,
                run,
                recipe,
                batch=rung.batch,
                home=rung.home,
                on_windows=self._on_windows,
            )
            found: NDArray[np.uint8] = labels.cpu().numpy()
        self._record.used(
            run.chosen if isinstance(run, Ready) else None, rung.precision, self._counted
        )
        return np.ascontiguousarray(found)

    def _on_windows(self, done: int, needed: int, every: int) -> None:
        """Let something more urgent come between, where a run can stand still."""
        if done == 0:
            self._counted = (needed, every - needed)
        self._checkpoint()

    def _stepped_down(self, rung: Rung, reason: str) -> Rung:
        lower = rung.lower(self._terms.spare_precision)
        if lower is None:
            raise OutOfMemoryError(
                f"memory does not suffice on {self.device}, not even one window at a time: {reason}"
            )
        stepped, words = lower
        self._record.steps.append(words)
        log.warning("memory.exhausted", device=self.device, step=words)
        return stepped

    def _free(self) -> None:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _made_ready(self, network: Source | Network, recipe: Recipe, rung: Rung) -> Network:
        """Find or prepare the engine of a network for windows of the recipe's shape."""
        if not isinstance(network, nn.Module | OnnxFile):
            return network
        engines = self._ready.setdefault(network, {})

        def choose_for(windows: torch.Tensor) -> Chosen:
            there = network
            if isinstance(network, nn.Module) and rung.device != self._device:
                there = copy.deepcopy(network).to(rung.device)
            name = fingerprint(there) if self._cache else ""
            return choose(
                Task(there, windows, rung.precision, name, self._cache), self._terms.engine
            )

        return engines.setdefault((recipe.window, rung), Ready(choose_for))

    def _uploaded(self, volumes: Sequence[Volume], device: torch.device) -> torch.Tensor:
        """Copy voxels to a device in the type they have, (channel, slice, row, column)."""
        shapes = {one.voxels.shape for one in volumes}
        if len(shapes) != 1 or any(
            not np.allclose(one.affine, volumes[0].affine, atol=1e-3) for one in volumes
        ):
            raise PluginError("the channels of one network input must lie on the same grid")
        each = [torch.from_numpy(np.asarray(one.voxels)) for one in volumes]
        whole = each[0][None] if len(each) == 1 else torch.stack(each)
        if device.type == "cuda":  # from page-locked memory the copy runs beside other work
            return whole.pin_memory().to(device, non_blocking=True)
        return whole.to(device)
