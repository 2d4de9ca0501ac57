"""The machine as an analysis sees it: a device, and inference on it."""

import gc
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, Unpack

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from medaet.compute.device import checked, limit_threads
from medaet.compute.engines.engine import Source
from medaet.compute.engines.networks import Networks
from medaet.compute.engines.ready import Ready
from medaet.compute.failures import is_out_of_memory
from medaet.compute.heads import detected, predicted
from medaet.compute.ladder import Rung
from medaet.compute.orient import Orientation
from medaet.compute.outputs import Outputs
from medaet.compute.platform import title
from medaet.compute.record import Record
from medaet.compute.segment import Prepared, prepare, segment, uploaded
from medaet.compute.sliding import Network
from medaet.dicom.volume import Volume
from medaet.errors import OutOfMemoryError, PluginError
from medaet.plugin.detection import Candidate
from medaet.plugin.recipe import BoxRecipe, Options, Recipe, ShownOptions
from medaet.precision import Terms

_T = TypeVar("_T")

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
        self._checkpoint = checkpoint
        self._record = Record()
        self._counted = (0, 0)
        self._rungs: dict[tuple[int, int, int], Rung] = {}
        self._networks = Networks(self._device, terms, cache)
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
        return uploaded([volume], self._device).float()

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
        volumes = _listed(volume)
        return self._stepping(recipe, lambda rung: self._segmented(network, volumes, recipe, rung))

    def predict(
        self,
        network: Source,
        volume: Volume | Sequence[Volume],
        *,
        spacing_mm: tuple[float, float, float],
        **options: Unpack[ShownOptions],
    ) -> NDArray[np.float32]:
        """Run a network that says something of a scan as a whole, such as the probability of a disease.

        Args:
            network: Maps (batch, channel, *window) to (batch, output); with a first length of 1 of the window, planes
                (batch, channel, row, column). It runs as it is, in single precision.
            volume: The input, or one for each channel on the same grid.
            spacing_mm: Spacing the network was trained at. The middle of the scan is cut, or filled up, to the window.
            **options: As those of `segment`.

        Returns:
            (part, output): one row, or one for each plane of the network's first axis.

        Raises:
            PluginError: the shape of the network's output cannot be right.
            FindingsError: the network returned values that are not finite.
            OutOfMemoryError: memory does not suffice, in whatever smaller steps.
        """
        recipe = Recipe(spacing_mm=spacing_mm, skip_background=False, **options)

        def attempt(rung: Rung) -> NDArray[np.float32]:
            prepared = self._prepared(_listed(volume), recipe, rung)
            run = self._outputs(network, rung)
            return predicted(prepared, run, recipe, rung.batch, self._checkpoint)

        return self._stepping(recipe, attempt)

    def detect(
        self,
        network: Source,
        volume: Volume | Sequence[Volume],
        boxes: BoxRecipe,
        *,
        spacing_mm: tuple[float, float, float],
        **options: Unpack[ShownOptions],
    ) -> list[Candidate]:
        """Run a network that finds boxes, in sliding windows.

        Args:
            network: Maps (1, channel, *window) to boxes, scores and labels; see `medaet.compute.outputs.boxes`. It runs
                as it is, in single precision.
            volume: The input, or one for each channel on the same grid.
            boxes: What the boxes mean, and which of them count.
            spacing_mm: Spacing the network was trained at, along its axes.
            **options: As those of `segment`; a length of 0 of the window is that of the scan.

        Returns:
            Boxes on the volume's own grid, the highest score first.

        Raises:
            PluginError: the shape of the network's output cannot be right.
            FindingsError: the network returned values that are not finite.
            OutOfMemoryError: memory does not suffice, in whatever smaller steps.
        """
        recipe = Recipe(spacing_mm=spacing_mm, skip_background=False, **options)
        volumes = _listed(volume)

        def attempt(rung: Rung) -> list[Candidate]:
            prepared, run = self._prepared(volumes, recipe, rung), self._outputs(network, rung)
            shape = volumes[0].voxels.shape
            return detected(prepared, run, recipe, boxes, shape, self._checkpoint)

        return self._stepping(recipe, attempt)

    @property
    def network_seconds(self) -> float:
        """How long networks computed since `told` was asked last."""
        return self._record.network_seconds

    def told(self) -> dict[str, str]:
        """Say how the networks were computed since this was asked last, for the report."""
        record, self._record = self._record, Record()
        return record.told(self._terms, title(self._device))

    def _stepping(self, recipe: Recipe, attempt: Callable[[Rung], _T]) -> _T:
        """Try with less and less memory."""
        rung = self._rungs.get(recipe.window) or Rung.top(
            self._device, recipe.batch, self._terms.precision
        )
        while True:
            try:
                found = attempt(rung)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                rung = self._stepped_down(rung, str(error).partition("\n")[0])
            else:
                self._rungs[recipe.window] = rung  # the next volume need not fail first
                return found
            # Only here, after the error with all that its frames hold has gone, is memory free again.
            self._free()

    def _prepared(self, volumes: Sequence[Volume], recipe: Recipe, rung: Rung) -> Prepared:
        first = volumes[0]
        orientation = Orientation.towards(recipe.orientation, first.affine)
        with torch.inference_mode():
            voxels = uploaded(volumes, rung.device)
            return prepare(voxels, first.spacing_mm, orientation, recipe, first.modality)

    def _outputs(self, network: Source, rung: Rung) -> Outputs:
        run = Outputs(self._networks.on(network, rung.device))
        self._record.engines.add(run.name)
        self._record.precisions.add("fp32")
        return run

    def _segmented(
        self, network: Source | Network, volumes: Sequence[Volume], recipe: Recipe, rung: Rung
    ) -> NDArray[np.uint8]:
        self._counted = (0, 0)
        with torch.inference_mode():
            prepared = self._prepared(volumes, recipe, rung)
            run = self._networks.ready(network, recipe.window, rung)

            def on_windows(done: int, needed: int, every: int) -> None:
                if done == 0 and isinstance(run, Ready):
                    run.expect(math.ceil(needed / rung.batch) * 2 ** len(recipe.mirror))
                self._on_windows(done, needed, every)

            size, home = rung.batch, rung.home
            labels = segment(prepared, run, recipe, batch=size, home=home, on_windows=on_windows)
            found: NDArray[np.uint8] = labels.cpu().numpy()
        self._record.used(run if isinstance(run, Ready) else None, self._counted)
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


def _listed(volume: Volume | Sequence[Volume]) -> list[Volume]:
    return [volume] if isinstance(volume, Volume) else list(volume)
