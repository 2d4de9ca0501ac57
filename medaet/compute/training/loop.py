"""The training loop: steps that depend on their number alone, an average of the weights, and exact resumption."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.inferers.utils import sliding_window_inference
from monai.losses.dice import DiceCELoss
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from medaet.compute.trained.network import build
from medaet.compute.trained.plan import Plan
from medaet.compute.training import checkpoint
from medaet.compute.training.augment import Augment
from medaet.compute.training.cache import Cached
from medaet.compute.training.checkpoint import BEST, CHECKPOINT, Epoch, Progress
from medaet.compute.training.patches import Batch, Patches
from medaet.compute.training.place import Place
from medaet.compute.training.scores import dice
from medaet.config.training import LoopSection, TrainingConfig

POLYNOMIAL = 0.9
VALIDATION_OVERLAP = 0.25

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


@dataclass(frozen=True, slots=True)
class Cases:
    """Preprocessed cases to learn from, and those that say when to stop."""

    train: Sequence[Cached]
    validation: Sequence[Cached] = ()


class Loop:
    """One process' share of a run.

    Args:
        plan: The network and what it sees.
        config: How long and how fast.
        cases: Preprocessed.
        place: Device, and number among the processes.
        folder: For checkpoints; what is there is gone on from.
        on_step: Called after each step.
    """

    def __init__(
        self,
        plan: Plan,
        config: TrainingConfig,
        cases: Cases,
        place: Place,
        folder: Path,
        *,
        on_step: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        self._plan, self._config, self._rules = plan, config, config.training
        self._cases, self._place, self._folder = cases, place, folder
        self._on_step = on_step
        self._device = place.torch_device
        self._patches = Patches(cases.train, plan, config)
        self._augment = Augment(plan, config.augment, config.synthesis.split_background)
        network = _placed(build(plan, seed=config.seed), self._device)
        self._average = _average(network, self._rules.ema)
        self._network, self._bare = place.shared(network), network
        self._optimiser = torch.optim.AdamW(
            network.parameters(),
            lr=self._rules.learning_rate,
            weight_decay=self._rules.weight_decay,
            fused=self._device.type == "cuda",
        )
        self._precision = precision(self._rules, self._device)
        self._scaler = torch.amp.GradScaler(
            self._device.type, enabled=self._precision is torch.float16
        )
        self._loss = DiceCELoss(to_onehot_y=True, softmax=True)
        self._losses: list[torch.Tensor] = []
        self.progress = Progress()
        self._saved_at = time.monotonic()

    @property
    def epochs(self) -> int:
        """How many epochs there are at most."""
        return self._rules.epochs

    @property
    def weights(self) -> nn.Module:
        """The network whose weights count: the average, where there is one."""
        if self._average is None:
            return self._bare
        average: nn.Module = self._average.module
        return average

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            return
        self.progress, states = checkpoint.load(path, self._device)
        self._bare.load_state_dict(states["network"])
        self._optimiser.load_state_dict(states["optimiser"])
        self._scaler.load_state_dict(states["scaler"])
        if self._average is not None:
            self._average.load_state_dict(states["average"])
        self._losses = [torch.tensor(one, dtype=torch.float64) for one in self.progress.losses]

    def run(self) -> Iterator[Epoch]:
        """Train to the end, giving each epoch when it ends."""
        while len(self.progress.history) < self.epochs and not self._stale:
            self._network.train()
            for batches in self._steps():
                self._step(batches)
            yield self._close()

    def save(self) -> None:
        """Write the checkpoint."""
        self._saved_at = time.monotonic()
        if not self._place.first:
            return
        self.progress.losses = [float(one) for one in self._losses]
        states: dict[str, Any] = {
            "network": self._bare.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
        }
        if self._average is not None:
            states["average"] = self._average.state_dict()
        checkpoint.save(self._folder / CHECKPOINT, self.progress, states)

    @property
    def _stale(self) -> bool:
        return bool(self._cases.validation) and self.progress.stale >= self._rules.patience

    def _steps(self) -> Iterator[list[Batch]]:
        """Give the batches of each step that the epoch still has."""
        per_epoch, accumulate = self._plan.steps_per_epoch, self._rules.accumulate
        end = (len(self.progress.history) + 1) * per_epoch
        parts = [
            (step, self._share(number))
            for step in range(self.progress.step, end)
            for number in range(accumulate)
        ]
        batches = self._patches.batches(parts)
        for _ in range(self.progress.step, end):
            yield [next(batches) for _ in range(accumulate)]

    def _share(self, number: int) -> range:
        """Number the patches of one batch that fall to this process."""
        batch = max(self._plan.batch, self._place.world)
        return range(number * batch + self._place.rank, (number + 1) * batch, self._place.world)

    def _step(self, batches: Sequence[Batch]) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = rate(self._rules, self.progress.step, self._total)
        self._optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), dtype=torch.float64, device=self._device)
        for number, batch in enumerate(batches, start=1):
            images, labels = self._augment(batch.to(self._device))
            with self._unsynced(number < len(batches)):
                loss = self._forward(images, labels) / len(batches)
                self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(self._bare.parameters(), self._rules.gradient_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._average is not None:
            self._average.update_parameters(self._bare)
        self._losses.append(self._place.mean(total))
        self.progress.step += 1
        self._on_step(self.progress)
        if time.monotonic() - self._saved_at > self._rules.checkpoint_seconds:
            self.save()

    def _forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        images = images.contiguous(memory_format=torch.channels_last_3d)
        reduced = self._precision is not torch.float32
        with torch.autocast(
            self._device.type, self._precision if reduced else None, enabled=reduced
        ):
            logits = self._network(images)
        loss: torch.Tensor = self._loss(logits.float(), labels)
        return loss

    def _unsynced(self, more: bool) -> contextlib.AbstractContextManager[object]:
        """Let gradients of all but a step's last batch add up without being exchanged."""
        if more and self._place.world > 1:
            assert isinstance(self._network, DistributedDataParallel)
            return self._network.no_sync()
        return contextlib.nullcontext()

    @property
    def _total(self) -> int:
        return self.epochs * self._plan.steps_per_epoch

    def _close(self) -> Epoch:
        """End an epoch: validate, note it, keep the best weights, write the checkpoint."""
        progress = self.progress
        loss = float(torch.stack([one.cpu() for one in self._losses]).mean())
        step_rate = rate(self._rules, progress.step - 1, self._total)
        epoch = Epoch(len(progress.history) + 1, progress.step, step_rate, loss)
        values = self._validated() if self._place.first else [0.0] * len(self._plan.structures)
        if self._cases.validation:
            told = self._place.told(values)
            epoch.dice = {
                name: value
                for name, value in zip(self._plan.structures, told, strict=True)
                if not math.isnan(value)
            }
        progress.stale += 1
        if epoch.mean_dice > progress.best:
            progress.best, progress.stale = epoch.mean_dice, 0
            if self._place.first:
                checkpoint.save(
                    self._folder / BEST, progress, {"weights": self.weights.state_dict()}
                )
        progress.history.append(epoch)
        self._losses = []
        self.save()
        return epoch

    def _validated(self) -> list[float]:
        """Return the mean Dice of each structure over the validation cases that show it."""
        rows = []
        self.weights.eval()
        for case in self._cases.validation:
            found = look(self.weights, case, self._plan, self._device)
            rows.append(dice(found.numpy(), case.labels, len(self._plan.structures)))
        if not rows:
            return []
        return [float(one) for one in torch.tensor(rows, dtype=torch.float64).nanmean(dim=0)]


def look(network: nn.Module, case: Cached, plan: Plan, device: torch.device) -> torch.Tensor:
    """Segment a preprocessed case on its own grid: uint8 (slice, row, column)."""
    image = torch.from_numpy(case.image.astype("float32"))[None, None].to(device)
    with torch.inference_mode():
        logits = sliding_window_inference(
            image, plan.patch, 2, network, overlap=VALIDATION_OVERLAP, mode="gaussian"
        )
    return torch.as_tensor(logits)[0].argmax(0).to(torch.uint8).cpu()


def rate(rules: LoopSection, step: int, total: int) -> float:
    """Return the learning rate of a step."""
    if step < rules.warmup_steps:
        return rules.learning_rate * (step + 1) / rules.warmup_steps
    done = min(1.0, (step - rules.warmup_steps) / max(1, total - rules.warmup_steps))
    if rules.schedule == "cosine":
        return rules.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return rules.learning_rate * float((1 - done) ** POLYNOMIAL)


def precision(rules: LoopSection, device: torch.device) -> torch.dtype:
    """Choose the number type of the network's arithmetic."""
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if rules.precision != "auto":
        return named[rules.precision]
    if device.type != "cuda":
        return torch.float32  # bf16 on a CPU without matrix units is slower than fp32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _average(network: nn.Module, decay: float) -> AveragedModel | None:
    """Make the moving average of a network's weights, shorter at first: fresh weights are worth little."""
    if decay == 0:
        return None

    def into(average: Tensors, current: Tensors, steps: torch.Tensor | int) -> None:
        kept = min(decay, (1 + int(steps)) / (10 + int(steps)))
        if average[0].is_floating_point():
            torch._foreach_lerp_(average, current, 1 - kept)
        else:  # counters of batches
            torch._foreach_copy_(average, current)

    return AveragedModel(network, multi_avg_fn=into, use_buffers=True)


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device, its kernels in the order that convolutions are fastest in."""
    return network.to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]
