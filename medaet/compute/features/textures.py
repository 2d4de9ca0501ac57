"""Texture features of several regions at once, under the aggregations that were asked for.

Matrices are counted once for each direction and region, which is all that 2.5D and 3D aggregations need; 2D
aggregations count once for each slice as well.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch

from medaet.compute.features import cooccurrence, surroundings, zones
from medaet.compute.features.entries import Entries, emphases
from medaet.compute.features.field import DIRECTIONS, IN_PLANE, Field
from medaet.compute.features.runs import runs
from medaet.dicom.ibsi import Aggregation

Values = dict[str, torch.Tensor]

NAMES = {
    "glrlm": (
        "sre lre lgre hgre srlge srhge lrlge lrhge glnu glnu_norm rlnu rlnu_norm r_perc gl_var rl_var rl_entr"
    ),
    "glszm": (
        "sze lze lgze hgze szlge szhge lzlge lzhge glnu glnu_norm zsnu zsnu_norm z_perc gl_var zs_var zs_entr"
    ),
    "gldzm": (
        "sde lde lgze hgze sdlge sdhge ldlge ldhge glnu glnu_norm zdnu zdnu_norm z_perc gl_var zd_var zd_entr"
    ),
    "ngldm": (
        "lde hde lgce hgce ldlge ldhge hdlge hdhge glnu glnu_norm dcnu dcnu_norm dc_perc gl_var dc_var dc_entr "
        "dc_energy"
    ),
}
PREFIXES = {"glrlm": "rlm", "glszm": "szm", "gldzm": "dzm", "ngldm": "ngl"}


class Textures:
    """The texture features of the regions of a field.

    Args:
        field: The regions.
        shapes: Morphological mask of each region, on the box the field was made from.
        masks: Intensity mask of each region, likewise.
    """

    def __init__(
        self, field: Field, shapes: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]
    ) -> None:
        self._field = field
        self._shapes = shapes
        self._masks = masks

    def features(self, family: str, aggregation: Aggregation) -> Values:
        """Compute one family under one aggregation.

        Returns:
            One value for each region by tag; NaN where it is not defined.
        """
        families: dict[str, Callable[[Aggregation], Values]] = {
            "glcm": self._glcm,
            "glrlm": self._glrlm,
            "glszm": lambda one: self._zones("glszm", one),
            "gldzm": lambda one: self._zones("gldzm", one),
            "ngtdm": self._ngtdm,
            "ngldm": self._ngldm,
        }
        return families[family](aggregation)

    def _glcm(self, aggregation: Aggregation) -> Values:
        field = self._field
        if aggregation.space == "2d":
            return self._glcm_by_slice(merge=aggregation is Aggregation.SLICE_MERGED)
        directions = IN_PLANE if aggregation.space == "2.5d" else len(DIRECTIONS)
        counts = self._pairs[:, :directions]
        if aggregation in (Aggregation.VOLUME_MERGED, Aggregation.MERGED_3D):
            return cooccurrence.features(counts.sum(1), field.bins)
        values = cooccurrence.features(
            counts.flatten(0, 1), field.bins.repeat_interleave(directions)
        )
        region = torch.arange(field.regions, device=field.bins.device)
        return self._averaged(values, region.repeat_interleave(directions))

    def _glcm_by_slice(self, *, merge: bool) -> Values:
        field = self._field
        parts, owners = [], []
        for slices, counts in cooccurrence.cooccurrences_by_slice(field, IN_PLANE):
            matrices = counts.sum(1, keepdim=True) if merge else counts
            owner = self._region_of_slice[slices].repeat_interleave(matrices.shape[1])
            parts.append(cooccurrence.features(matrices.flatten(0, 1), field.bins[owner]))
            owners.append(owner)
        values = {tag: torch.cat([part[tag] for part in parts]) for tag in parts[0]}
        return self._averaged(values, torch.cat(owners))

    def _glrlm(self, aggregation: Aggregation) -> Values:
        flat = aggregation.space == "2d"
        entries = self._runs_by_slice if flat else self._runs
        voxels = self._voxels_by_slice if flat else self._field.voxels
        known = IN_PLANE if flat else len(DIRECTIONS)
        used = len(DIRECTIONS) if aggregation.space == "3d" else IN_PLANE
        number = torch.arange(entries.matrices, device=voxels.device)
        owner, direction = number // known, number % known
        merge = aggregation in (
            Aggregation.SLICE_MERGED,
            Aggregation.VOLUME_MERGED,
            Aggregation.MERGED_3D,
        )
        into = owner if merge else owner * used + direction
        into = torch.where(direction < used, into, -1)
        matrices = len(voxels) * (1 if merge else used)
        if merge or used != known:
            entries = entries.merged(into, matrices)
        sizes = voxels * used if merge else voxels.repeat_interleave(used)
        region = self._region_of_slice if flat else torch.arange(len(voxels), device=voxels.device)
        owners = region if merge else region.repeat_interleave(used)
        return self._averaged(_named("glrlm", entries, sizes), owners)

    def _zones(self, family: str, aggregation: Aggregation) -> Values:
        by_slice = aggregation.space != "3d"
        zone = self._zones_in_slices if by_slice else self._zones_in_space
        if family == "glszm":
            entries = zones.size_zones(self._field, zone, by_slice=by_slice)
        else:
            found = zones.distances(self._shapes, by_slice=by_slice)
            inside = [d[mask] for d, mask in zip(found, self._masks, strict=True)]
            entries = zones.distance_zones(self._field, zone, torch.cat(inside), by_slice=by_slice)
        return self._of_matrices(family, entries, aggregation)

    def _ngldm(self, aggregation: Aggregation) -> Values:
        by_slice = aggregation.space != "3d"
        _, alike = self._in_slices if by_slice else self._in_space
        entries = surroundings.dependences(self._field, alike, by_slice=by_slice)
        return self._of_matrices("ngldm", entries, aggregation)

    def _ngtdm(self, aggregation: Aggregation) -> Values:
        means, _ = self._in_space if aggregation.space == "3d" else self._in_slices
        if aggregation.space == "2d":
            tones = surroundings.tones(self._field, means, by_slice=True)
            return self._averaged(surroundings.tone_features(tones), self._region_of_slice)
        return surroundings.tone_features(surroundings.tones(self._field, means, by_slice=False))

    def _of_matrices(self, family: str, entries: Entries, aggregation: Aggregation) -> Values:
        """Compute the features of matrices without directions."""
        if aggregation.space == "2d":
            values = _named(family, entries, self._voxels_by_slice)
            return self._averaged(values, self._region_of_slice)
        if aggregation.space == "2.5d":
            entries = entries.merged(self._region_of_slice, self._field.regions)
        return _named(family, entries, self._field.voxels)

    def _averaged(self, values: Values, owner: torch.Tensor) -> Values:
        """Average over the matrices of each region where the feature is defined."""
        return {tag: _means(one, owner, self._field.regions) for tag, one in values.items()}

    @cached_property
    def _pairs(self) -> torch.Tensor:
        return cooccurrence.cooccurrences(self._field, len(DIRECTIONS))

    @cached_property
    def _runs(self) -> Entries:
        return runs(self._field, len(DIRECTIONS), by_slice=False)

    @cached_property
    def _runs_by_slice(self) -> Entries:
        return runs(self._field, IN_PLANE, by_slice=True)

    @cached_property
    def _zones_in_slices(self) -> torch.Tensor:
        return zones.zones(self._field, IN_PLANE)

    @cached_property
    def _zones_in_space(self) -> torch.Tensor:
        return zones.zones(self._field, len(DIRECTIONS))

    @cached_property
    def _in_slices(self) -> tuple[torch.Tensor, torch.Tensor]:
        return surroundings.surroundings(self._field, IN_PLANE)

    @cached_property
    def _in_space(self) -> tuple[torch.Tensor, torch.Tensor]:
        return surroundings.surroundings(self._field, len(DIRECTIONS))

    @cached_property
    def _region_of_slice(self) -> torch.Tensor:
        counts = self._field.slices[:, 1] - self._field.slices[:, 0]
        return torch.arange(len(counts), device=counts.device).repeat_interleave(counts)

    @cached_property
    def _voxels_by_slice(self) -> torch.Tensor:
        return torch.bincount(self._field.plane, minlength=self._field.slice_count)


def _named(family: str, entries: Entries, voxels: torch.Tensor) -> Values:
    values = emphases(entries, voxels).values()
    names = [f"{PREFIXES[family]}_{name}" for name in NAMES[family].split()]
    return dict(zip(names, values, strict=False))  # only dependences use the last, their energy


def _means(values: torch.Tensor, owner: torch.Tensor, owners: int) -> torch.Tensor:
    known = ~values.isnan()
    sums = torch.bincount(owner[known], weights=values[known], minlength=owners)
    return sums / torch.bincount(owner[known], minlength=owners)
