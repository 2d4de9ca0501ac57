"""The frames of reference of one run: registered where the manifest wishes it, and the ways between them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medaet.compute.registration.register import register
from medaet.compute.registration.resample import carried, resampled
from medaet.dicom.volume import Volume
from medaet.errors import RegistrationError
from medaet.plugin.registration import Alignment, Registration, Resampled

SAME_FRAME = "same frame"


class Frames:
    """Knows how inputs lie to each other, and shows one on the grid of another.

    Args:
        device: Where to compute, in torch's spelling.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._ways: dict[tuple[str, str], Registration | RegistrationError] = {}
        self._shown: dict[tuple[int, int], tuple[Volume, Volume, Volume]] = {}

    def add(self, moving: str, fixed: str, found: Registration | RegistrationError) -> None:
        """Keep the way from one frame of reference to another, or the reason why there is none."""
        self._ways[moving, fixed] = found

    def on(self, volume: Volume, other: Volume) -> Volume:
        """Show a volume on the grid of another; the same question is answered once."""
        key = id(volume), id(other)
        if key not in self._shown:
            shown = resampled(volume, other, self._way(volume, other), device=self._device)
            self._shown[key] = volume, other, replace(shown, frames=self)
        return self._shown[key][2]

    def carried(self, mask: NDArray[np.bool_], volume: Volume, other: Volume) -> NDArray[np.bool_]:
        """Show a mask that lies on the grid of one volume on the grid of another."""
        if mask.shape != volume.voxels.shape:
            raise RegistrationError(
                f"the mask has shape {mask.shape}, its volume {volume.voxels.shape}"
            )
        way = self._way(volume, other)
        return carried(mask, volume, other, way, device=self._device)

    def _way(self, volume: Volume, other: Volume) -> Registration:
        here, there = volume.frame_of_reference_uid, other.frame_of_reference_uid
        if here and here == there:
            return same_frame("", "")
        if (here, there) in self._ways:
            return _trusted(self._ways[here, there])
        if (there, here) in self._ways:
            return _inverted(_trusted(self._ways[there, here]))
        raise RegistrationError(
            "the two inputs have different frames of reference; name one in the analysis' "
            "`alignments`, so that it is registered"
        )


def bring_together(
    alignments: Mapping[str, Alignment],
    inputs: Mapping[str, Volume],
    device: str,
    progress: Callable[[float, str], None] = lambda _fraction, _text: None,
) -> tuple[dict[str, Volume], tuple[Registration, ...]]:
    """Register the inputs that a manifest wants registered.

    Args:
        alignments: The wishes, by the role that is moved; those that name an input that is not there are skipped.
        inputs: Volumes by role.
        device: Where to compute.
        progress: Told what is being registered.

    Returns:
        The volumes, which now know their frames, and the registrations made.

    Raises:
        RegistrationError: one that is required cannot be trusted.
    """
    frames = Frames(device)
    known = {role: _named(volume, role) for role, volume in inputs.items()}
    made = []
    for role, wish in alignments.items():
        if role not in known or wish.onto not in known:
            continue
        progress(0.0, f"registering {role} to {wish.onto}")
        moving, fixed = known[role], known[wish.onto]
        try:
            found = _found(moving, fixed, (wish.onto, role), wish, device)
        except RegistrationError as error:
            if wish.required:
                raise
            frames.add(moving.frame_of_reference_uid, fixed.frame_of_reference_uid, error)
            continue
        frames.add(moving.frame_of_reference_uid, fixed.frame_of_reference_uid, found)
        made.append(found)
    return {role: replace(one, frames=frames) for role, one in known.items()}, tuple(made)


def moved(
    alignments: Mapping[str, Alignment],
    inputs: Mapping[str, Volume],
    registrations: Sequence[Registration],
) -> tuple[Resampled, ...]:
    """Show the registered inputs on the grids they were brought to, where the manifest wants that sent or shown."""
    wanted = [
        (one, wish)
        for one in registrations
        if (wish := alignments[one.moving]).series or wish.blended
    ]
    return tuple(
        Resampled(
            one.moving,
            one.fixed,
            inputs[one.moving].on(inputs[one.fixed]).voxels,
            wish.series and one.model != SAME_FRAME,
            wish.blended,
        )
        for one, wish in wanted
    )


def same_frame(moving: str, fixed: str) -> Registration:
    """Return the registration of what needs none."""
    return Registration(moving, fixed, SAME_FRAME, np.eye(4))


def _named(volume: Volume, role: str) -> Volume:
    """Give a volume whose scanner named no frame of reference one of its own."""
    return replace(volume, frame_of_reference_uid=volume.frame_of_reference_uid or f"of {role}")


def _found(
    moving: Volume, fixed: Volume, roles: tuple[str, str], wish: Alignment, device: str
) -> Registration:
    if moving.frame_of_reference_uid == fixed.frame_of_reference_uid:
        return same_frame(roles[1], roles[0])
    return register(fixed, moving, wish.model, device=device, roles=roles)


def _trusted(found: Registration | RegistrationError) -> Registration:
    if isinstance(found, RegistrationError):
        raise found
    return found


def _inverted(found: Registration) -> Registration:
    if found.deformation is not None:
        raise RegistrationError(
            "a deformable registration leads one way only, from moving to fixed"
        )
    matrix = np.asarray(np.linalg.inv(found.matrix))
    return replace(found, moving=found.fixed, fixed=found.moving, matrix=matrix)
