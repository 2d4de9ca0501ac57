"""docs/plugins/tutorial.md, typed from top to bottom in a fresh environment: a plugin that works at the end."""

import os
import re
import shlex
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "plugins" / "tutorial.md"


def _commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own that borrows the packages of this one, so that nothing is installed into this one."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    borrowed = [one for one in sys.path if "site-packages" in one or one in site.getsitepackages()]
    links = [path.read_text() for one in borrowed for path in Path(one).glob("*medaet*.pth")]
    (packages / "borrowed.pth").write_text("\n".join([*borrowed, *links]))
    for name in ("medaet", "pip"):
        module = "medaet.cli" if name == "medaet" else "pip._internal.cli.main"
        program = folder / "bin" / name
        program.write_text(
            f"#!{folder}/bin/python\nfrom {module} import main\nraise SystemExit(main())\n"
        )
        program.chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_tutorial_ends_with_a_plugin_that_works(fresh: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{fresh / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as the value of --build-isolation
        "VIRTUAL_ENV": str(fresh),
    }
    commands = _commands()
    assert len(commands) >= 6
    for command in commands:
        done = subprocess.run(
            shlex.split(command),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert sorted(path.suffix for path in (tmp_path / "results").iterdir()) == [
        ".dcm",
        ".dcm",
        ".json",
        ".png",
    ]
