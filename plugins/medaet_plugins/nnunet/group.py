"""Several nnU-Nets as one model: described from group.toml and the folders beside it, each packed into its own.

This is the shape of TotalSegmentator (J. Wasserthal et al., Radiology: AI 5 (2023) e230024): sub-models of some twenty
classes each, whose label maps are laid over each other, after a rough model found the part of the scan to look at.
"""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medaet.errors import PluginError
from medaet.plugin.kind import Answers
from medaet.plugin.model import Model, Origin, Output
from medaet_plugins.nnunet.folder import describe, pack

GROUP = "group.toml"
ROUGH = "rough"
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Crop(_Table):
    """What the rough model is for.

    Attributes:
        model: Its folder.
        labels: Those whose box is looked at; all of them when empty.
        margin_mm: Around that box.
    """

    model: Name
    labels: tuple[str, ...] = ()
    margin_mm: Annotated[float, Field(ge=0)] = 20.0


class Group(_Table):
    """group.toml.

    Attributes:
        parts: Folders of the sub-models, the later over the earlier where both find something.
    """

    name: str
    parts: Annotated[tuple[Name, ...], Field(min_length=1)]
    version: str = "1"
    title: str = ""
    intended_use: str = ""
    memory_mb: Annotated[int, Field(gt=0)] = 8000
    crop: Crop | None = None


class Part(_Table):
    """A sub-model in the options of model.toml.

    Attributes:
        folder: Below the model's.
        configuration: Of its plans.
        offset: Added to its labels.
        most: Its greatest label.
    """

    folder: str
    configuration: str
    offset: int
    most: int


class Options(_Table):
    """The options of model.toml.

    Attributes:
        rough: The rough model; its `offset` means nothing.
        box: Labels of the rough model whose box is looked at.
        margin_mm: Around that box.
    """

    parts: tuple[Part, ...]
    rough: Part | None = None
    box: tuple[int, ...] = ()
    margin_mm: float = 0.0


def find_group(source: Path) -> Path | None:
    """Return the folder that holds group.toml, which may be the only one in a zip."""
    found = [path.parent for depth in ("", "*/") for path in source.glob(f"{depth}{GROUP}")]
    return found[0] if len(found) == 1 else None


def describe_group(source: Path, answers: Answers) -> Model:
    """Read the manifest from group.toml and what lies beside it.

    Raises:
        PluginError: it cannot be used, or the sub-models do not go together.
    """
    folder, group = _read(source)
    twice = _doubled(list(group.parts))
    if twice:
        raise PluginError(f"{GROUP}: parts lists {twice} twice")
    described = {name: describe(folder / name, answers) for name in group.parts}
    first = described[group.parts[0]]
    parts, outputs, offset = [], list[Output](), 0
    for name, one in described.items():
        _check(name, one, first)
        moved = [_moved(output, offset) for output in one.outputs]
        part = _part(name, one, offset)
        parts.append(part)
        outputs += moved
        offset += part.most
    doubled = _doubled([one.label for one in outputs])
    if doubled:
        raise PluginError(
            f"{GROUP}: two sub-models call something {doubled!r}; rename it in a dataset.json"
        )
    return Model(
        kind="nnunet-group",
        name=answers.name or group.name,
        version=group.version,
        title=group.title or group.name,
        intended_use=group.intended_use[:500],
        memory_mb=group.memory_mb,
        inputs=first.inputs,
        outputs=tuple(outputs),
        orientation=first.orientation,
        options=_options(folder, group, parts, first, answers).model_dump(
            mode="json", exclude_none=True
        ),
        origin=Origin(source=str(source), imported_at=datetime.now(UTC), trusted=answers.trust),
    )


def pack_group(source: Path, folder: Path, model: Model) -> None:
    """Pack each sub-model into a folder of its own.

    Raises:
        PluginError: one cannot be packed.
    """
    found = find_group(source)
    assert found is not None
    options = Options.model_validate(model.options)
    for part in (*options.parts, *([options.rough] if options.rough else [])):
        (folder / part.folder).mkdir()
        own = model.model_copy(update={"options": {"configuration": part.configuration}})
        try:
            pack(found / part.folder, folder / part.folder, own)
        except PluginError as error:
            raise PluginError(f"{part.folder}: {error}") from error


def _options(
    folder: Path, group: Group, parts: list[Part], first: Model, answers: Answers
) -> Options:
    if group.crop is None:
        return Options(parts=tuple(parts))
    rough = describe(folder / group.crop.model, answers)
    _check(group.crop.model, rough, first)
    values = {one.label: one.values for one in rough.outputs}
    lost = [label for label in group.crop.labels if label not in values]
    if lost:
        raise PluginError(
            f"{GROUP}: {group.crop.model} knows no {lost[0]!r}, but {', '.join(values)}"
        )
    wanted = group.crop.labels or tuple(values)
    return Options(
        parts=tuple(parts),
        rough=_part(group.crop.model, rough, 0),
        box=tuple(sorted({value for label in wanted for value in values[label]})),
        margin_mm=group.crop.margin_mm,
    )


def _part(name: str, model: Model, offset: int) -> Part:
    most = max(value for one in model.outputs for value in one.values)
    return Part(
        folder=name, configuration=str(model.options["configuration"]), offset=offset, most=most
    )


def _moved(output: Output, offset: int) -> Output:
    return output.model_copy(update={"values": tuple(one + offset for one in output.values)})


def _check(name: str, model: Model, first: Model) -> None:
    if model.inputs != first.inputs:
        raise PluginError(
            f"{GROUP}: {name} takes {', '.join(model.inputs)}, the first sub-model {', '.join(first.inputs)}"
        )
    if model.orientation != first.orientation:
        raise PluginError(
            f"{GROUP}: {name} was trained on axes that run otherwise than the first's"
        )


def _doubled(labels: list[str]) -> str:
    return next((one for one in labels if labels.count(one) > 1), "")


def _read(source: Path) -> tuple[Path, Group]:
    folder = find_group(source)
    if folder is None:
        raise PluginError(f"{source.name} holds no {GROUP}")
    try:
        content = tomllib.loads((folder / GROUP).read_text(encoding="utf-8"))
        return folder, Group.model_validate(content)
    except ValidationError as error:
        lines = [
            f"{GROUP}: {'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in error.errors(include_url=False)
        ]
        raise PluginError("\n".join(lines)) from error
    except ValueError as error:
        raise PluginError(f"{GROUP} is no TOML: {error}") from error
