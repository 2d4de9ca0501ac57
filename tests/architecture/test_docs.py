"""Everything that users meet is documented: events, hooks, commands, errors, settings."""

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import medaet.errors
from medaet.cli import COMMANDS, application
from medaet.cli.explain import SENTENCES
from medaet.plugin import hookspecs
from tests.architecture import conformance

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LEVELS = frozenset({"debug", "info", "warning", "error", "exception"})
EVENT = re.compile(r"[a-z_]+\.[a-z_]+")


def _log_events() -> Iterator[str]:
    """Yield the event of each call of a logger's method with a constant `noun.past_participle`."""
    for folder in ("medaet", "daemon", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in LEVELS
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                    and isinstance(node.args[0].value, str)
                ):
                    yield node.args[0].value


def _commands() -> Iterator[str]:
    for name in COMMANDS:
        app = typer.main.get_command(application([name]))
        found = app.commands[name]  # type: ignore[attr-defined] # a group of commands
        inner = getattr(found, "commands", None)
        yield from [f"medaet {name} {one}" for one in inner] if inner else [f"medaet {name}"]


def test_log_events_are_constants_of_two_words() -> None:
    assert not [event for event in _log_events() if not EVENT.fullmatch(event)]


@pytest.mark.parametrize("event", sorted({*_log_events(), *SENTENCES}))
def test_event_is_documented(event: str) -> None:
    assert f"`{event}`" in (DOCS / "events.md").read_text()


@pytest.mark.parametrize("command", sorted(set(_commands())))
def test_command_is_documented(command: str) -> None:
    assert f"`{command}" in (DOCS / "commands.md").read_text()


def test_hooks_are_documented_with_their_own_sentence() -> None:
    page = (DOCS / "plugins" / "hooks.md").read_text()
    hooks = [
        (name, function)
        for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
        if name.startswith("medaet_")
    ]
    assert hooks
    for name, function in hooks:
        assert f"## `{name}(" in page
        assert str(inspect.getdoc(function)).splitlines()[0] in page


def test_every_error_is_drawn_in_the_tree() -> None:
    drawn = set(re.findall(r"── (\w+Error)\b", str(medaet.errors.__doc__)))
    defined = {
        name
        for name, one in inspect.getmembers(medaet.errors, inspect.isclass)
        if issubclass(one, medaet.errors.MedaetError)
    }
    assert drawn == defined - {"MedaetError"}


def test_conformance_statement_has_the_tables_of_the_code() -> None:
    page = conformance.PAGE.read_text()
    assert set(conformance.TABLES) == {found["name"] for found in conformance.MARK.finditer(page)}
    assert conformance.filled(page) == page, "run python -m tests.architecture.conformance"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_shipped_plugin_and_every_hook_is_in_the_gallery() -> None:
    page = (DOCS / "plugins" / "gallery.md").read_text()
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    hooks = {name for name in vars(hookspecs) if name.startswith("medaet_")}
    assert [one for one in {*shipped["medaet.plugins"], *hooks} if f"`{one}`" not in page] == []
