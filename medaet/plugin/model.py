"""A model folder: what an administrator imported, written down in model.toml with a digest of every file."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from medaet.dicom.codes import ANATOMICAL_STRUCTURE, Code
from medaet.errors import PluginError
from medaet.plugin.segment import MAXIMUM_LABEL_LENGTH
from medaet.plugin.selector import SeriesSelector

MANIFEST = "model.toml"
CHUNK_BYTES = 1 << 20

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Task = Literal["segmentation", "detection", "classification", "regression"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(_Table):
    """One thing that the model tells apart.

    Attributes:
        label: What a person reads; becomes the segment's label.
        values: Of the label map, which count as this one; for overlapping outputs, detections and heads, the number
            of the channel or class.
        code: What it is; for a regression, what is measured.
        category: What sort of thing it is (PS3.16 CID 7150).
        modifier: A refinement of `code`, such as its laterality (PS3.16 CID 244).
        anatomic_region: Where it lies, when `code` does not say so.
        unit: UCUM unit of a regression's number.
    """

    label: Annotated[str, StringConstraints(min_length=1, max_length=MAXIMUM_LABEL_LENGTH)]
    values: tuple[int, ...]
    code: Code
    category: Code = ANATOMICAL_STRUCTURE
    modifier: Code | None = None
    anatomic_region: Code | None = None
    unit: Code | None = None


class Origin(_Table):
    """Where a model came from.

    Attributes:
        source: The path it was imported from.
        imported_at: When.
        trusted: Whether the administrator allowed code of the model to run (`--trust`).
        sha256: Over everything that was imported, in hexadecimal.
    """

    source: str
    imported_at: datetime
    trusted: bool = False
    sha256: str = ""


class Model(_Table):
    """The manifest of a model folder.

    Attributes:
        kind: Name of the `ModelKind` that runs it.
        name: The analysis' name.
        version: Of the model, as its authors count.
        inputs: Series by role, in the order of the network's channels.
        outputs: What it tells apart, background left out.
        overlapping: Whether one voxel may belong to several outputs; each is a channel of its own then.
        orientation: Direction in which each axis of the network's input runs, as one of "RLAPSI" each; empty for the
            series' own axes (slice, row, column).
        options: What the kind needs besides.
        files: SHA-256 of every file of the folder but model.toml, by its path relative to the folder.
    """

    kind: Name
    name: Name
    version: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    title: str = ""
    intended_use: str = ""
    not_for_diagnostic_use: bool = True
    memory_mb: Annotated[int, Field(gt=0)] = 2000
    task: Task = "segmentation"
    inputs: Annotated[dict[str, SeriesSelector], Field(min_length=1)]
    outputs: tuple[Output, ...]
    overlapping: bool = False
    orientation: str = ""
    options: dict[str, Any] = {}
    origin: Origin
    files: dict[str, str] = {}

    @property
    def where(self) -> str:
        """The model's name and version, for messages."""
        return f"model {self.name} {self.version}"


def read_model(folder: Path) -> Model:
    """Read the manifest of a model folder.

    Raises:
        PluginError: naming the key that is missing or wrong.
    """
    try:
        content = tomllib.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PluginError(f"{folder.name}/{MANIFEST} cannot be read: {error}") from error
    model = parsed(content, f"{folder.name}/{MANIFEST}")
    if model.name != folder.name and not folder.name.startswith("."):
        raise PluginError(
            f"{folder.name}/{MANIFEST}: name is {model.name!r}; a model's folder bears its name"
        )
    return model


def parsed(content: Mapping[str, Any], where: str) -> Model:
    """Check the content of a manifest.

    Raises:
        PluginError: one line for each mistake.
    """
    try:
        return Model.model_validate(content)
    except ValidationError as error:
        lines = [
            f"{where}: {'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in error.errors(include_url=False)
        ]
        raise PluginError("\n".join(lines)) from error


def write_model(model: Model, folder: Path) -> None:
    """Write the manifest of a model folder."""
    content = model.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    (folder / MANIFEST).write_text(tomli_w.dumps(content), encoding="utf-8")


def digest(folder: Path) -> str:
    """Return the SHA-256 of the manifest, which names the digest of every file: it stands for the whole model."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder but the manifest, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in regular_files(folder)
        if path != folder / MANIFEST
    }


def check_files(model: Model, folder: Path) -> None:
    """Refuse a model whose files are not those that were imported.

    Raises:
        PluginError: a file changed, is missing, or was added.
    """
    found = digests(folder)
    for name, wanted in model.files.items():
        if name not in found:
            raise PluginError(f"{model.where}: the file {name} is missing; import the model again")
        if found[name] != wanted:
            raise PluginError(
                f"{model.where}: the file {name} is not the one that was imported (SHA-256 "
                f"{found[name][:12]}, not {wanted[:12]}); import the model again"
            )
    added = sorted(set(found) - set(model.files))
    if added:
        raise PluginError(f"{model.where}: the file {added[0]} was added; import the model again")


def regular_files(folder: Path) -> Iterable[Path]:
    """Yield every regular file below a folder, by name; links are left out."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
