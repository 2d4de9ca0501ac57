"""`medaet plugins`: the installed analyses, what they ask for, and which were refused."""

from pathlib import Path
from typing import Annotated

import typer

from medaet.cli.install import install, remove
from medaet.cli.new_plugin import write_project
from medaet.cli.output import FAILED, AsJson, ConfigFile, exit_codes, print_json
from medaet.cli.plugin_list import list_plugins, wants
from medaet.cli.trial import agreement, disable, enable
from medaet.config.load import load
from medaet.errors import MedaetError, PluginError
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.plugin.registry import Registry, discover

app = typer.Typer(name="plugins", help="The installed analyses.", no_args_is_help=True)
app.command(name="list")(list_plugins)
app.command()(install)
app.command()(remove)
app.command()(enable)
app.command()(disable)
app.command()(agreement)


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="the analysis")],
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show an analysis' manifest and settings. Exit 0, or 1 when it is not installed."""
    with exit_codes():
        plain = _plain(_known(discover(models=load(config).models_path), name))
    if as_json:
        print_json(plain)
        return
    for key, value in plain.items():
        if isinstance(value, dict):
            typer.echo(f"{key}:")
            for inner, words in value.items():
                typer.echo(f"  {inner}: {words}")
        else:
            typer.echo(f"{key}: {value}")


@app.command()
def check(
    name: Annotated[str | None, typer.Argument(help="one analysis; all without it")] = None,
    *,
    config: ConfigFile = None,
) -> None:
    """Check manifests, weights and the settings of medaet.toml. Exit 0 when all is well, 1 when not, 2."""
    with exit_codes():
        configured = load(config)
        plugins = configured.plugins
        registry = discover(models=configured.models_path)
        if name is not None and name not in {one.name for one in registry.refused}:
            _known(registry, name)
    wrong = 0
    for refused in registry.refused:
        if name in (None, refused.name):
            wrong += 1
            typer.echo(f"{refused.name}: refused: {refused.reason}")
    for analysis in registry.analyses:
        if name in (None, analysis):
            reason = _reason(registry, analysis, plugins.get(analysis, {}))
            wrong += reason is not None
            typer.echo(f"{analysis}: {reason or 'well'}")
    raise typer.Exit(FAILED if wrong else 0)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="the analysis' name, such as air-volume")],
    *,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="where; ./NAME without it", file_okay=False)
    ] = None,
) -> None:
    """Write a complete plugin project: analysis, entry point, tests, CI file. Exit 0, or 2 when it cannot be."""
    with exit_codes():
        target = folder or Path(name)
        write_project(name, target)
    typer.echo(f"wrote {target}; now: pip install --editable {target}")


@app.command(name="test")
def try_out(
    name: Annotated[str, typer.Argument(help="the analysis")],
    *,
    module: Annotated[
        list[str] | None, typer.Option(help="a plugin module that is not installed")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Run the conformance kit on an analysis. Exit 0 when it keeps the contract, 1 when not."""
    from medaet.testing.checks import CHECKS
    from medaet.testing.conformance import Subject
    from medaet.testing.validation import NotTriedError

    with exit_codes():
        models = load(config).models_path
        registry = discover(module or (), models)
        subject = Subject(_known(registry, name), modules=module or (), models=models)
    faults: dict[str, str] = {}
    with subject:
        for title, check_one in CHECKS.items():
            try:
                check_one(subject)
            except NotTriedError as error:
                typer.echo(f"SKIP  {title}: {error}", err=as_json)
                continue
            except MedaetError as error:
                faults[title] = str(error)
            if not as_json:
                fault = faults.get(title)
                typer.echo(f"FAIL  {title}: {fault}" if fault else f"OK    {title}")
    if as_json:
        print_json({title: faults.get(title, "") for title in CHECKS})
    raise typer.Exit(FAILED if faults else 0)


def _reason(registry: Registry, name: str, settings: dict[str, object]) -> str | None:
    """Say what is wrong with an analysis and its settings, or None."""
    try:
        weights_sha256(type(registry.with_settings(name, settings)))
    except (MedaetError, OSError) as error:
        return str(error)
    return None


def _known(registry: Registry, name: str) -> type[Analysis]:
    found = registry.analyses.get(name)
    if found is None:
        reasons = [one.reason for one in registry.refused if one.name == name]
        known = ", ".join(sorted(registry.analyses)) or "none"
        raise PluginError(
            f"{name} was refused: {reasons[0]}"
            if reasons
            else f"no analysis named {name!r} is installed; installed are {known}"
        )
    return found


def _plain(analysis: type[Analysis]) -> dict[str, object]:
    fields = analysis.Settings.model_fields
    return {
        "name": analysis.name,
        "version": analysis.version,
        "title": analysis.title,
        "intended_use": analysis.intended_use,
        "not_for_diagnostic_use": analysis.not_for_diagnostic_use,
        "memory_mb": analysis.memory_mb,
        "weights_sha256": weights_sha256(analysis),
        "inputs": {role: wants(one) for role, one in analysis.inputs.items()},
        "settings": {
            key: f"{one.get_default(call_default_factory=True)!r} {one.description or ''}".strip()
            for key, one in fields.items()
        },
    }
