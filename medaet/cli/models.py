"""`medaet models`: import trained models without a line of code, list and remove them; certify other precisions."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.cli.verify import certificates, verify
from medaet.config.load import load
from medaet.dicom.codes import Code
from medaet.errors import ConfigError, PluginError
from medaet.plugin.certificate import CertificateStore
from medaet.plugin.kind import Answers
from medaet.plugin.model import check_files
from medaet.plugin.models import ModelStore
from medaet.plugin.proposal import PRIVATE_SCHEME
from medaet.plugin.registry import discover
from medaet.worker.importing import Imported, import_model

app = typer.Typer(name="models", help="Trained models.", no_args_is_help=True)
app.command()(verify)
app.command()(certificates)


@app.command(name="import")
def import_(  # noqa: PLR0913 -- one argument for each option
    source: Annotated[
        Path, typer.Argument(metavar="PATH", help="a model's folder, file or zip", exists=True)
    ],
    *,
    name: Annotated[str, typer.Option(help="the analysis' name; from the files without it")] = "",
    modality: Annotated[str, typer.Option(help="CT or MR, where the files do not say it")] = "",
    body_part: Annotated[
        list[str] | None, typer.Option(help="take only series of it; may be repeated")
    ] = None,
    min_slices: Annotated[int, typer.Option(help="take only series of so many slices")] = 10,
    orientation: Annotated[
        str | None, typer.Option(help="directions of the network's axes, such as SAR or RAS")
    ] = None,
    code: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=VALUE^SCHEME^MEANING", help="in place of a proposed code"),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="let code that the model carries run")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace the model of that name")
    ] = False,
    device: Annotated[str, typer.Option(help="where it is tried: cpu, or cuda:0")] = "cpu",
    module: Annotated[
        list[str] | None, typer.Option(help="a plugin module that is not installed")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Import a MONAI bundle, nnU-Net, TorchScript, ONNX or trained model; a running daemon sees it at once.

    Exit 0 when it is an analysis, 1 when it cannot be imported (nothing is left behind), 2 for wrong options.
    """
    with exit_codes():
        answers = Answers(
            name=name,
            modality=modality.upper(),
            body_part=tuple(one.upper() for one in body_part or ()),
            min_slices=min_slices,
            orientation=orientation,
            codes=dict(_code(one) for one in code or ()),
            trust=trust,
        )
        configured = load(config)
        models = configured.models_path
        registry = discover(module or (), models)
        with Console(stderr=True).status(f"importing {source.name} ..."):
            imported = import_model(
                source,
                ModelStore(models),
                registry,
                answers,
                replace=replace,
                device=device,
                modules=module or (),
                certificates=CertificateStore(configured.certificates_path),
            )
    if as_json:
        print_json(imported.model.model_dump(mode="json"))
        return
    _show(imported)


@app.command(name="list")
def list_models(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the imported models and whether their files are those that were imported. Exit 0."""
    with exit_codes():
        store = ModelStore(load(config).models_path)
    rows = [_row(store, folder) for folder in store.folders()]
    if as_json:
        print_json(rows)
        return
    columns = ("model", "version", "kind", "inputs", "outputs", "trusted", "state")
    print_table(
        columns,
        [[row.get(column, "") for column in columns] for row in rows],
        empty="no model is imported",
    )


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="the model")], *, config: ConfigFile = None
) -> None:
    """Remove a model; a running daemon stops offering it at once. Exit 0, or 1 when there is none of that name."""
    with exit_codes():
        ModelStore(load(config).models_path).remove(name)
    typer.echo(f"removed {name}")


def _row(store: ModelStore, folder: Path) -> dict[str, object]:
    try:
        model = store.read(folder.name)
    except PluginError as error:
        return {"model": folder.name, "state": str(error)}
    try:
        check_files(model, folder)
        state = "well"
    except PluginError as error:
        state = str(error)
    return {
        "model": model.name,
        "version": model.version,
        "kind": model.kind,
        "inputs": ", ".join(f"{role}: {one.modality}" for role, one in model.inputs.items()),
        "outputs": len(model.outputs),
        "trusted": "yes" if model.origin.trusted else "",
        "state": state,
    }


def _show(imported: Imported) -> None:
    model = imported.model
    print_table(
        ("output", "values", "code", "scheme", "meaning", "side"),
        [
            (
                one.label,
                ", ".join(str(value) for value in one.values),
                one.code.value,
                one.code.scheme,
                one.code.meaning,
                one.modifier.meaning if one.modifier else "",
            )
            for one in model.outputs
        ],
        empty="no outputs",
    )
    unknown = [one.label for one in model.outputs if one.code.scheme == PRIVATE_SCHEME]
    if unknown:
        typer.echo(
            f"no SNOMED code was found for {', '.join(unknown)}: give one with --code, "
            f"or edit {imported.folder / 'model.toml'}"
        )
    typer.echo(
        f"{model.name} {model.version} ({model.kind}) is an analysis; it ran on a phantom in "
        f"{imported.smoke.load_seconds + imported.smoke.analyse_seconds:.1f} s"
    )
    for one in imported.certificates:
        typer.echo(
            f"{one.precision} by {one.engine} is certified (Dice with fp32 at least {one.lowest_dice:.4f}); it counts "
            f'with [compute.{model.name}] precision = "{one.precision}"'
        )
    typer.echo(f'it runs where a route names it: analyses = ["{model.name}"]')


def _code(text: str) -> tuple[str, Code]:
    label, equals, concept = text.partition("=")
    parts = concept.split("^")
    if not equals or len(parts) != 3:
        raise ConfigError(f"--code {text!r}: write LABEL=VALUE^SCHEME^MEANING")
    try:
        return label, Code(*parts)
    except ValueError as error:
        raise ConfigError(f"--code {text!r}: {error}") from error
