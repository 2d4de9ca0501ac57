"""The shape of the source: sizes, packages, imports, and the tools that check them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import environment_program

ROOT = Path(__file__).parents[2]
SOURCES = ("medaet", "daemon", "plugins", "migrations")
LONGEST_MODULE = 300
BROAD = ("Exception", "BaseException")


def _modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_no_module_is_longer_than_300_lines() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in _modules(*SOURCES, "tests")}
    long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST_MODULE}
    assert not long


@pytest.mark.parametrize("folder", ["daemon", "plugins", "migrations"])
def test_source_roots_are_no_packages(folder: str) -> None:
    """An import package called `daemon` or `plugins` would overwrite other people's."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_importing_anything_but_the_compute_half_leaves_torch_alone() -> None:
    names = [
        ".".join(path.relative_to(ROOT / root).with_suffix("").parts).removesuffix(".__init__")
        for root, folder in (
            (".", "medaet"),
            ("daemon", "daemon/medaet_daemon"),
            ("plugins", "plugins/medaet_plugins"),
        )
        for path in _modules(folder)
        if path.name == "__init__.py" or folder != "plugins/medaet_plugins"
    ]
    light = [
        name
        for name in names
        if not name.startswith(("medaet.compute", "medaet.bench")) and not name.endswith("__main__")
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {light!r}:\n"
        "    importlib.import_module(name)\n"
        "print(*sorted({'torch', 'monai'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == ""


def test_every_broad_except_says_why() -> None:
    silent = []
    for path in _modules("medaet", "daemon", "plugins"):
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node):
                told = " ".join(lines[node.lineno - 1 : node.body[0].end_lineno])
                if "#" not in told and not any(isinstance(one, ast.Raise) for one in node.body):
                    silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not silent


def _is_broad(node: ast.ExceptHandler) -> bool:
    return node.type is None or (isinstance(node.type, ast.Name) and node.type.id in BROAD)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("ruff", "format", "--check", "."), ("ruff", "check", "."), ("mypy",), ("lint-imports",)],
    ids=" ".join,
)
def test_tool_finds_nothing(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [environment_program(command[0]), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
