"""Who may enter the dashboard: the file, its commands, and a configuration that keeps passwords safe."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from medaet.cli import application
from medaet.cli.checks.dashboard import check_dashboard
from medaet.cli.checks.line import Verdict
from medaet.config.load import load
from medaet.config.model import Config
from medaet.errors import ConfigError
from medaet.store.users import NOBODY, Users, WebRole, fits

PASSWORD = "a password of words"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "medaet.toml"
    path.write_text(f'[spool]\npath = "{tmp_path / "spool"}"\n[web]\nenabled = true\n')
    return path


def _web(config: Path, *words: str, typed: str = "") -> Result:
    typed_words = ["web", *words, "--config", str(config)]
    return CliRunner().invoke(application(typed_words), typed_words, input=typed)


def test_user_is_let_in_listed_and_kept_out_by_commands(config: Path, tmp_path: Path) -> None:
    assert _web(config, "password", "anna", typed=f"{PASSWORD}\n").exit_code == 0
    assert _web(config, "password", "ward", "--role", "view", typed=f"{PASSWORD}\n").exit_code == 0
    listed = json.loads(_web(config, "users", "--json").stdout)
    assert listed == [{"name": "anna", "role": "operate"}, {"name": "ward", "role": "view"}]
    assert _web(config, "remove", "ward").exit_code == 0
    assert _web(config, "remove", "ward").exit_code == 2
    assert set(Users(tmp_path / "web-users").all()) == {"anna"}


def test_password_is_kept_as_a_hash_that_others_cannot_read(config: Path, tmp_path: Path) -> None:
    _web(config, "password", "anna", typed=f"{PASSWORD}\n")
    path = tmp_path / "web-users"
    assert PASSWORD not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    user = Users(path).all()["anna"]
    assert fits(user, PASSWORD)
    assert not fits(user, f"{PASSWORD}s")
    first = user.secret
    _web(config, "password", "anna", typed=f"{PASSWORD}\n")
    assert Users(path).all()["anna"].secret != first
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "password"),
    [("anna", "short"), ("anna", "x" * 1025), ("Anna", PASSWORD), ("a b", PASSWORD), ("", "")],
)
def test_name_or_password_that_cannot_be_taken_exits_2(
    config: Path, name: str, password: str
) -> None:
    assert _web(config, "password", name, typed=f"{password}\n").exit_code == 2


@pytest.mark.parametrize(
    "line",
    [
        *("anna", "anna operate plain", "anna admin " + NOBODY.secret, "a b " + NOBODY.secret),
        "anna operate scrypt 30 8 1 " + "0" * 32 + " " + "0" * 64,
        "anna operate scrypt 15 8 1 " + "0" * 32 + " 00",
    ],
)
def test_line_that_is_no_user_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "web-users"
    path.write_text(f"{line}\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="web-users:1 is no user"):
        Users(path).all()


def test_file_that_others_may_read_or_the_group_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "web-users"
    Users(path).keep("anna", WebRole.VIEW, PASSWORD)
    for mode in (0o644, 0o660, 0o602):
        path.chmod(mode)
        with pytest.raises(ConfigError, match="open to others"):
            Users(path).all()


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.4", "::", "medaet.example"])
def test_passwords_never_cross_the_network_in_plain_text(host: str) -> None:
    with pytest.raises(ValueError, match="plain text"):
        Config.model_validate({"web": {"enabled": True, "host": host}})
    Config.model_validate({"web": {"enabled": False, "host": host}})
    sealed = {"cert_file": "a", "key_file": "b"}
    Config.model_validate({"web": {"enabled": True, "host": host, "tls": sealed}})
    Config.model_validate({"web": {"enabled": True, "host": host, "proxy_addresses": ["10.0.0.1"]}})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_dashboard_for_this_host_needs_no_certificate(host: str) -> None:
    assert not Config.model_validate({"web": {"enabled": True, "host": host}}).web.is_sealed


def test_dashboard_is_off_by_default() -> None:
    assert not Config().web.enabled


def test_doctor_says_that_nobody_may_enter_and_then_who_may(
    config: Path, tmp_path: Path, free_port: int
) -> None:
    settings = load(config, {"MEDAET_WEB__PORT": str(free_port)})
    found = {line.subject: line for line in check_dashboard(settings)}
    assert found["dashboard"].verdict is Verdict.OK
    assert found["dashboard users"].verdict is Verdict.FAIL
    assert "medaet web password" in found["dashboard users"].fix
    Users(settings.users_path).keep("ward", WebRole.VIEW, PASSWORD)
    found = {line.subject: line for line in check_dashboard(settings)}
    assert found["dashboard users"].verdict is Verdict.WARN
    Users(settings.users_path).keep("anna", WebRole.OPERATE, PASSWORD)
    found = {line.subject: line for line in check_dashboard(settings)}
    assert found["dashboard users"].found == "ward (view), anna (operate)"
    assert [line.found for line in check_dashboard(Config())] == ["off (web.enabled)"]


def test_doctor_finds_a_certificate_that_cannot_be_used(tmp_path: Path, free_port: int) -> None:
    tls = {"cert_file": tmp_path / "none.pem", "key_file": tmp_path / "none.key"}
    settings = Config.model_validate({"web": {"enabled": True, "port": free_port, "tls": tls}})
    found = {line.subject: line.verdict for line in check_dashboard(settings)}
    assert found["dashboard TLS"] is Verdict.FAIL
