"""Where a process of a run computes: its device, its number among the others, and how they find each other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

TIMEOUT = timedelta(hours=24)
"""A run that is paused, or whose first process validates, keeps the others waiting."""


@dataclass(frozen=True, slots=True)
class Place:
    """One process of a run.

    Attributes:
        device: In torch's spelling.
        rank: Its number.
        world: How many there are.
    """

    device: str = "cpu"
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes, validates and reports."""
        return self.rank == 0

    @property
    def torch_device(self) -> torch.device:
        """The device as torch knows it."""
        return torch.device(self.device)

    def join(self, meeting: Path) -> None:
        """Wait for the other processes.

        Args:
            meeting: A file that does not exist yet; no port is opened for the meeting.
        """
        if self.world > 1:
            backend = "nccl" if self.device.startswith("cuda") else "gloo"
            if backend == "gloo":
                os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
            else:
                torch.cuda.set_device(self.device)
            distributed.init_process_group(
                backend,
                init_method=f"file://{meeting}",
                rank=self.rank,
                world_size=self.world,
                timeout=TIMEOUT,
            )

    def leave(self) -> None:
        """Part from the others."""
        if self.world > 1:
            distributed.destroy_process_group()

    def shared(self, network: nn.Module) -> nn.Module:
        """Wrap a network so that all processes step alike."""
        if self.world == 1:
            return network
        if self.device.startswith("cuda"):
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
            return DistributedDataParallel(network, device_ids=[self.device])
        return DistributedDataParallel(network)

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Average a value over the processes."""
        if self.world > 1:
            distributed.all_reduce(value)
            value /= self.world
        return value

    def told(self, values: Sequence[float]) -> list[float]:
        """Return the first process' values in every process."""
        if self.world == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return [float(one) for one in shared]
