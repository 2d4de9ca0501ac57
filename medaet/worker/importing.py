"""Importing a model: recognise it, describe it, pack it without network, try it, and only then place it."""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.volume import Volume
from medaet.errors import AnalysisError, PluginError
from medaet.plugin.certificate import Certificate, CertificateStore
from medaet.plugin.kind import Answers, ModelKind
from medaet.plugin.model import Model, file_sha256, read_model, regular_files, write_model
from medaet.plugin.models import ModelStore
from medaet.plugin.registry import Registry
from medaet.plugin.selector import SeriesSelector
from medaet.worker.child import WorkerChild
from medaet.worker.process import INHERITED
from medaet.worker.request import Request, Run
from medaet.worker.shipped import adopt

PACK_SECONDS = 600.0
SMOKE_SECONDS = 600.0
SMOKE_SHAPE = (24, 40, 40)
SMOKE_SPACING_MM = (3.0, 3.0, 3.0)
LARGEST_UNPACKED_BYTES = 64 << 30


@dataclass(frozen=True, slots=True)
class Imported:
    """A model that is in the store.

    Attributes:
        model: Its manifest.
        folder: Where it is.
        smoke: What its trial on a phantom gave.
        certificates: Of reduced precisions, that it brought along.
    """

    model: Model
    folder: Path
    smoke: Run
    certificates: tuple[Certificate, ...] = ()


def recognised(registry: Registry, source: Path) -> type[ModelKind]:
    """Return the kind of a model.

    Raises:
        PluginError: it is of none, or of several.
    """
    if not source.exists():
        raise PluginError(f"{source} does not exist")
    kinds = [kind for _, kind in sorted(registry.kinds.items()) if kind.recognises(source)]
    if not kinds:
        titles = "; ".join(kind.title for _, kind in sorted(registry.kinds.items()))
        raise PluginError(f"{source} is no model that can be imported; these can: {titles}")
    lesser = {name for kind in kinds for name in kind.before}
    kinds = [kind for kind in kinds if kind.name not in lesser]
    if len(kinds) > 1:
        names = ", ".join(kind.name for kind in kinds)
        raise PluginError(f"{source} could be any of {names}; name a folder further down")
    return kinds[0]


def import_model(  # noqa: PLR0913 -- what is imported, where to, and how
    source: Path,
    store: ModelStore,
    registry: Registry,
    answers: Answers,
    *,
    replace: bool = False,
    device: str = "cpu",
    modules: Sequence[str] = (),
    certificates: CertificateStore | None = None,
) -> Imported:
    """Import a model from a folder or file.

    Args:
        source: The folder, file or zip.
        store: Where it goes.
        registry: Knows the kinds of models.
        answers: What the files do not say.
        replace: Whether a model of the same name may be replaced.
        device: Where it is tried.
        modules: Plugin modules beside the installed ones.
        certificates: Gets those that the model brings along; None leaves them.

    Raises:
        PluginError: it cannot be imported; nothing is left behind.
        AnalysisError: it was packed, but fails on a phantom; nothing is left behind.
    """
    with _unpacked(source) as opened, store.incoming() as folder:
        origin = {"source": str(source.absolute()), "sha256": content_sha256(source)}
        kind = pack(opened, folder, registry, answers, origin=origin, modules=modules)
        smoke = _try(kind, folder, device, modules)
        placed = store.place(folder, read_model(folder).name, replace=replace)
        model = read_model(placed)
        brought = adopt(opened, placed, model, certificates) if certificates else []
    return Imported(model, placed, smoke, tuple(brought))


def pack(
    source: Path,
    folder: Path,
    registry: Registry,
    answers: Answers,
    *,
    origin: Mapping[str, str] = MappingProxyType({}),
    modules: Sequence[str] = (),
) -> type[ModelKind]:
    """Write a model folder, which has not been tried yet.

    Args:
        source: What is packed; a zip is open already.
        folder: Where to, empty.
        registry: Knows the kinds of models.
        answers: What the files do not say.
        origin: What else is known of where it came from.
        modules: Plugin modules beside the installed ones.

    Raises:
        PluginError: it cannot be packed.
    """
    kind = recognised(registry, source)
    model = kind.describe(source, answers)
    if model.name in registry.analyses and not registry.sources[model.name].model:
        raise PluginError(f"an installed plugin is called {model.name!r}; give another --name")
    model = model.model_copy(update={"origin": model.origin.model_copy(update=dict(origin))})
    write_model(model, folder)
    _pack(source, folder, modules)
    return kind


def content_sha256(source: Path) -> str:
    """Return one SHA-256 over a file, or over every file of a folder with its name."""
    if source.is_file():
        return file_sha256(source)
    names = {
        path.relative_to(source).as_posix(): file_sha256(path) for path in regular_files(source)
    }
    import hashlib

    return hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()


def smoke_volume(modality: str) -> Volume:
    """Make a small volume with a body, an organ and air: HU on CT."""
    axes = np.meshgrid(*(np.linspace(-1, 1, length) for length in SMOKE_SHAPE), indexing="ij")
    body = axes[1] ** 2 + (axes[2] / 0.8) ** 2 < 0.8
    organ = axes[0] ** 2 + (axes[1] - 0.2) ** 2 + (axes[2] + 0.2) ** 2 < 0.1
    noise = np.random.default_rng(7).normal(0, 20, SMOKE_SHAPE)
    low, middle, high = (-1000, 40, 120) if modality == "CT" else (0, 300, 600)
    values: NDArray[np.float64] = np.where(organ, high, np.where(body, middle, low)) + noise
    if modality != "CT":
        values = np.where(body, values.clip(min=1), 0)
    affine = np.diag([SMOKE_SPACING_MM[2], SMOKE_SPACING_MM[1], SMOKE_SPACING_MM[0], 1.0])
    return Volume(np.rint(values).astype(np.int16), affine, modality)


def _try(kind: type[ModelKind], folder: Path, device: str, modules: Sequence[str]) -> Run:
    """Run a packed model once, in the child that will run it later, from a store that holds nothing else."""
    model = read_model(folder)
    with tempfile.TemporaryDirectory(prefix="medaet-smoke-") as scratch:
        alone = Path(scratch) / "models"
        alone.mkdir()
        (alone / model.name).symlink_to(folder.absolute(), target_is_directory=True)
        child = WorkerChild(device, modules, models=alone)
        inputs = {role: smoke_volume(_modality(one)) for role, one in model.inputs.items()}
        try:
            where = Path(scratch) / "findings"
            return child.analyse(
                Request(
                    analysis=model.name,
                    settings=kind.trial,
                    inputs=inputs,
                    where=where,
                    seconds=SMOKE_SECONDS,
                )
            )
        except AnalysisError as error:
            raise AnalysisError(f"{model.where} fails on a phantom: {error}") from error
        finally:
            child.close()


def _modality(selector: SeriesSelector) -> str:
    return selector.modality if isinstance(selector.modality, str) else selector.modality[0]


def _pack(source: Path, folder: Path, modules: Sequence[str]) -> None:
    command = [sys.executable, "-P", "-m", "medaet.worker.pack"]
    command += [str(source.absolute()), str(folder.absolute()), "--agent", str(os.getpid())]
    for module in modules:
        command += ["--module", module]
    with tempfile.TemporaryDirectory(prefix="medaet-pack-") as home:
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        path = {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)} if modules else {}
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=PACK_SECONDS,
                env={**kept, **path, "HOME": home, "TMPDIR": home, "PYTHONSAFEPATH": "1"},
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise PluginError(f"packing the model took more than {PACK_SECONDS:g} s") from error
    if done.returncode:
        raise PluginError(_said(done.stdout, done.stderr, done.returncode))


def _said(output: str, errors: str, status: int) -> str:
    try:
        return str(json.loads(output)["reason"])
    except (ValueError, LookupError, TypeError):
        last = (errors.strip().splitlines() or ["no message"])[-1]
        return f"packing the model failed with exit status {status}: {last}"


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    """Yield a folder with what a zip of a model folder holds; whatever else it is, itself."""
    if not (source.is_file() and zipfile.is_zipfile(source)) or source.suffix != ".zip":
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="medaet-import-") as scratch:
        with zipfile.ZipFile(source) as archive:
            if sum(one.file_size for one in archive.infolist()) > LARGEST_UNPACKED_BYTES:
                raise PluginError(
                    f"{source.name} unpacks to more than {LARGEST_UNPACKED_BYTES} bytes"
                )
            archive.extractall(scratch)
        yield Path(scratch)
