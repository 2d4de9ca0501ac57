"""The files that `medaet init` writes: they load, they name every key, they are hardened."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner, Result

from medaet.cli import application
from medaet.cli.init import NAMES, templates
from medaet.config.load import load
from medaet.config.model import Config
from tests.peers import system_program

UNITS = ("medaetd.service", "medaet-worker@.service")
EXAMPLE = re.compile(r"^#(?=[\[a-z])", re.MULTILINE)


def _init(*arguments: str | Path) -> Result:
    words = ["init", *(str(argument) for argument in arguments)]
    return CliRunner().invoke(application(words), words)


def _keys(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = _models(field.annotation)
        for one in inner:
            yield from _keys(one, f"{path}{name}.")
        if not inner:
            yield f"{path}{name}"


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for one in getattr(annotation, "__args__", ()) for found in _models(one)]


def _written(values: object, path: str = "") -> Iterator[str]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _written(value, f"{path}{key}.")
    elif isinstance(values, list) and values and isinstance(values[0], dict):
        for one in values:
            yield from _written(one, path)
    else:
        yield path.removesuffix(".")


def test_example_states_the_defaults(tmp_path: Path) -> None:
    found = load(templates() / "medaet.toml", {})
    assert found.spool.path == Path("/var/lib/medaet/spool")
    assert found.training.path == Path("/var/lib/medaet/training")
    paths = {"spool": Config().spool, "training": Config().training}
    assert found.model_copy(update=paths) == Config()


def test_example_documents_every_key(tmp_path: Path) -> None:
    text = EXAMPLE.sub("", (templates() / "medaet.toml").read_text(encoding="utf-8"))
    whole = tmp_path / "medaet.toml"
    whole.write_text(text, encoding="utf-8")
    assert load(whole, {}).peer("pacs") is not None
    plugins = {"plugins"}
    assert set(_keys(Config)) - plugins == set(_written(tomllib.loads(text)))


def test_init_writes_units_that_start_this_installation(tmp_path: Path) -> None:
    shown = _init(tmp_path)
    assert shown.exit_code == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(NAMES)
    for name in UNITS:
        assert f"ExecStart={sys.prefix}/bin/medaetd" in (tmp_path / name).read_text()


def test_init_exits_2_rather_than_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "medaet.toml").write_text("mine")
    assert _init(tmp_path).exit_code == 2
    assert (tmp_path / "medaet.toml").read_text() == "mine"
    assert _init(tmp_path, "--force").exit_code == 0


@pytest.mark.parametrize("name", UNITS)
def test_unit_is_exposed_less_than_2(name: str) -> None:
    program = system_program("systemd-analyze")
    done = subprocess.run(
        [program, "security", "--offline=true", "--threshold=20", str(templates() / name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
