"""What nnU-Net's networks are made of: convolution, normalisation and activation, in rows and beside shortcuts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.backends import mkldnn

Size = int | Sequence[int]

ONEDNN = bool(mkldnn.is_available())  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Parts:
    """The operations a network is made of.

    Attributes:
        dimensions: 2 or 3.
        norm: Makes the normalisation of so many channels.
        activation: Makes the activation.
        bias: Whether convolutions have one.
    """

    dimensions: int
    norm: Callable[[int], nn.Module]
    activation: Callable[[], nn.Module]
    bias: bool

    def convolution(
        self, inside: int, out: int, kernel: Size, stride: Size = 1, *, bias: bool | None = None
    ) -> nn.Module:
        """Make a convolution that keeps the size but for its stride."""
        sizes = _sizes(kernel, self.dimensions)
        kind = Conv3d if self.dimensions == 3 else nn.Conv2d
        padding = tuple((size - 1) // 2 for size in sizes)
        biased = self.bias if bias is None else bias
        strides = _sizes(stride, self.dimensions)
        return kind(inside, out, sizes, strides, padding, bias=biased)  # type: ignore[arg-type]

    def transposed(self, inside: int, out: int, stride: Size) -> nn.Module:
        """Make the convolution that undoes a stride."""
        kind = nn.ConvTranspose3d if self.dimensions == 3 else nn.ConvTranspose2d
        sizes = _sizes(stride, self.dimensions)
        return kind(inside, out, sizes, sizes, bias=self.bias)  # type: ignore[arg-type]

    def pooling(self, stride: Size) -> nn.Module:
        """Make an average pooling."""
        kind = nn.AvgPool3d if self.dimensions == 3 else nn.AvgPool2d
        sizes = _sizes(stride, self.dimensions)
        return kind(sizes, sizes)  # type: ignore[arg-type]


class Conv3d(nn.Conv3d):
    """The same figures as torch's, to rounding; torch takes oneDNN for a single small window only when told to."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, slice, row, column)."""
        on_cpu = x.device.type == "cpu" and x.dtype == torch.float32 and ONEDNN
        if not on_cpu or isinstance(self.padding, str):
            return super().forward(x)
        return torch.mkldnn_convolution(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )


class Block(nn.Module):
    """Convolution, normalisation and, if wished, activation."""

    def __init__(  # noqa: PLR0913 -- what tells one block from the next
        self,
        parts: Parts,
        inside: int,
        out: int,
        kernel: Size,
        stride: Size = 1,
        *,
        active: bool = True,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        self.conv = parts.convolution(inside, out, kernel, stride, bias=bias)
        self.norm = parts.norm(out)
        self.nonlin = parts.activation() if active else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, *grid)."""
        y: torch.Tensor = self.nonlin(self.norm(self.conv(x)))
        return y


class Stack(nn.Module):
    """Blocks one after the other, the first with a stride."""

    def __init__(
        self, parts: Parts, count: int, inside: int, out: int, kernel: Size, stride: Size
    ) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            Block(parts, inside, out, kernel, stride),
            *(Block(parts, out, out, kernel) for _ in range(count - 1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, *grid)."""
        y: torch.Tensor = self.convs(x)
        return y


class Residual(nn.Module):
    """Two convolutions beside a shortcut, or three with a bottleneck."""

    def __init__(
        self,
        parts: Parts,
        inside: int,
        out: int,
        kernel: Size,
        stride: Size,
        bottleneck: int | None,
    ) -> None:
        super().__init__()
        if bottleneck is None:
            self.conv1 = Block(parts, inside, out, kernel, stride)
            self.conv2 = Block(parts, out, out, kernel, active=False)
        else:
            self.conv1 = Block(parts, inside, bottleneck, 1)
            self.conv2 = Block(parts, bottleneck, bottleneck, kernel, stride)
            self.conv3 = Block(parts, bottleneck, out, 1, active=False)
        shortcut: list[nn.Module] = []
        if any(one != 1 for one in _sizes(stride, parts.dimensions)):
            shortcut.append(parts.pooling(stride))
        if inside != out:
            shortcut.append(Block(parts, inside, out, 1, active=False, bias=False))
        self.skip = nn.Sequential(*shortcut)
        self.last = parts.activation()
        self.deep = bottleneck is not None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, *grid)."""
        y = self.conv2(self.conv1(x))
        y = self.conv3(y) if self.deep else y
        z: torch.Tensor = self.last(y + self.skip(x))
        return z


class ResidualStack(nn.Module):
    """Residual blocks one after the other, the first with a stride."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the figures of one stage
        self,
        parts: Parts,
        count: int,
        inside: int,
        out: int,
        kernel: Size,
        stride: Size,
        bottleneck: int | None = None,
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            Residual(parts, inside, out, kernel, stride, bottleneck),
            *(Residual(parts, out, out, kernel, 1, bottleneck) for _ in range(count - 1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, *grid)."""
        y: torch.Tensor = self.blocks(x)
        return y


def _sizes(value: Size, dimensions: int) -> tuple[int, ...]:
    return (value,) * dimensions if isinstance(value, int) else tuple(int(one) for one in value)
