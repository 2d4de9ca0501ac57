"""Reference cases: scans without identifiers, on which a reduced precision is compared with fp32."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medaet.dicom.volume import Volume
from medaet.errors import PluginError
from medaet.plugin import folder
from medaet.plugin.analysis import Analysis
from medaet.precision import Limits

VOXELS = "voxels.npy"
MANIFEST = "training.json"
"""What `medaet train` writes beside a model's weights."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceCase:
    """The inputs of one run.

    Attributes:
        name: For people; no patient's.
        inputs: Volumes by role.
    """

    name: str
    inputs: Mapping[str, Volume]

    @property
    def sha256(self) -> str:
        """Hash of voxels and geometry: what identifies a case where its name may not."""
        digest = hashlib.sha256()
        for role, volume in sorted(self.inputs.items()):
            digest.update(f"{role} {volume.voxels.shape} {volume.voxels.dtype.str}".encode())
            digest.update(np.ascontiguousarray(volume.affine).tobytes())
            digest.update(np.ascontiguousarray(volume.voxels).tobytes())
        return digest.hexdigest()


def shipped_cases(analysis: type[Analysis]) -> list[ReferenceCase]:
    """Read the cases that came with an analysis, in the layout that `medaet train` writes.

    `reference/NAME/` holds voxels.npy and volume.json of the one input, or a folder of these for each role.

    Raises:
        PluginError: a case cannot be read.
    """
    where = analysis.resource(analysis.reference)
    if not where.is_dir():
        return []
    return [_case(one, list(analysis.inputs)) for one in sorted(where.iterdir()) if one.is_dir()]


def copy_cases(source: Path, folder: Path) -> None:
    """Take the limits and the reference cases of a trained model along when it is imported; links are left out."""
    wanted = [source / MANIFEST]
    for name in (VOXELS, "volume.json"):
        wanted += sorted((source / Analysis.reference).rglob(name))
    for path in wanted:
        if path.is_file() and not path.is_symlink():
            to = folder / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)


def limits_of(analysis: type[Analysis]) -> Limits:
    """Return what a reduced precision of an analysis may cost: what its training laid down, else its own `limits`.

    Raises:
        PluginError: the manifest of the training cannot be read.
    """
    manifest = analysis.resource(MANIFEST)
    if not manifest.is_file():
        return analysis.limits
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        return Limits(**content["limits"]) if "limits" in content else analysis.limits
    except (OSError, TypeError, ValueError) as error:
        raise PluginError(
            f"{MANIFEST} of {analysis.name} cannot be read; install it again"
        ) from error


def _case(where: Path, roles: Sequence[str]) -> ReferenceCase:
    folders = (
        {roles[0]: where} if (where / VOXELS).is_file() else {role: where / role for role in roles}
    )
    try:
        inputs = {role: folder.load_volume(path) for role, path in folders.items()}
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise PluginError(
            f"the reference case {where.name} cannot be read ({type(error).__name__}); "
            "install the model again"
        ) from error
    return ReferenceCase(where.name, inputs)
