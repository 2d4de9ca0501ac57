"""Loading medaet.toml: defaults, overrides, and every mistake at once."""

from pathlib import Path

import pytest

from medaet.config.load import load
from medaet.errors import ConfigError


def _file(folder: Path, text: str) -> Path:
    path = folder / "medaet.toml"
    path.write_text(text)
    return path


def test_load_takes_values_from_the_file(tmp_path: Path) -> None:
    assert load(_file(tmp_path, "[listener]\nport = 104\n"), {}).listener.port == 104


def test_load_lets_the_environment_override_the_file(tmp_path: Path) -> None:
    path = _file(tmp_path, "[listener]\nport = 104\n")
    assert load(path, {"MEDAET_LISTENER__PORT": "105"}).listener.port == 105


def test_load_suggests_the_key_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"medaet.toml:2: listener.prot: unknown key.*'port'"):
        load(_file(tmp_path, "[listener]\nprot = 104\n"), {})


def test_load_reports_all_mistakes_at_once(tmp_path: Path) -> None:
    text = '[listener]\nport = 70000\nae_title = "much too long a title"\n'
    with pytest.raises(ConfigError) as caught:
        load(_file(tmp_path, text), {})
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == ["medaet.toml:3", "medaet.toml:2"]


def test_load_counts_tables_of_an_array(tmp_path: Path) -> None:
    text = '[[peers]]\nname = "a"\nae_title = "A"\nhost = "h"\n[[peers]]\nname = "b"\nport = 0\n'
    with pytest.raises(ConfigError, match=r"medaet.toml:7: peers.1.port"):
        load(_file(tmp_path, text), {})


def test_load_refuses_a_route_to_an_unknown_peer(tmp_path: Path) -> None:
    text = '[[routes]]\nanalyses = ["chest-ct"]\nsend_to = ["nobody"]\n'
    with pytest.raises(ConfigError, match="no peer named 'nobody'"):
        load(_file(tmp_path, text), {})


def test_load_says_where_broken_toml_breaks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        load(_file(tmp_path, "[listener\n"), {})


def test_load_names_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "absent.toml", {})
