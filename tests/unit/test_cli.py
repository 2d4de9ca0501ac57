"""The command line as people type it: what it prints, and how it exits."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from medaet.cli import COMMANDS, application
from medaet.cli.output import exit_code
from medaet.clock import SystemClock
from medaet.errors import (
    ConfigError,
    DatabaseUnavailableError,
    GeometryError,
    PeerUnavailableError,
)
from medaet.queue.jobs import JobQueue
from medaet.store import events, migrate
from medaet.store.engine import Database
from medaet.testing.rows import Shelf


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "medaet.toml"
    path.write_text(f'[spool]\npath = "{tmp_path / "spool"}"\n')
    return path


@pytest.fixture
def shelf(config: Path, tmp_path: Path) -> Iterator[Shelf]:
    url = f"sqlite:///{tmp_path / 'medaet.db'}"
    migrate.upgrade(url)
    with closing(Database(url, durable=False)) as database:
        queue = JobQueue(database, SystemClock())
        yield Shelf.filled(database, queue, SystemClock().now())


def _run(*arguments: str | Path, stdin: str | None = None) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(application(words), words, input=stdin)


def _enqueued(shelf: Shelf) -> int:
    with shelf.database.write() as session:
        job_id = shelf.queue.enqueue(session, shelf.job())
    assert job_id is not None
    return job_id


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (PeerUnavailableError("x"), 3),
        (DatabaseUnavailableError("x"), 3),
        (GeometryError("x"), 1),
    ],
)
def test_exit_code_follows_the_error(error: ConfigError, code: int) -> None:
    assert exit_code(error) == code


def test_help_lists_every_command_and_imports_none() -> None:
    script = (
        "import sys; sys.argv = ['medaet', '--help']\n"
        "from medaet.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "loaded = {'sqlalchemy', 'pynetdicom', 'torch', 'monai'} & set(sys.modules)\n"
        "print('LOADED', sorted(loaded))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert "LOADED []" in done.stdout
    assert [name for name in COMMANDS if name not in done.stdout] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_shows_its_help(name: str) -> None:
    shown = _run(name, "--help")
    assert shown.exit_code == 0
    assert "Usage" in shown.stdout


def test_unknown_command_exits_2() -> None:
    assert _run("nonsense").exit_code == 2


def test_config_check_says_well(config: Path) -> None:
    shown = _run("config", "check", "--config", config)
    assert (shown.exit_code, shown.stdout[:5]) == (0, "well:")


def test_config_check_names_an_analysis_that_is_not_installed(config: Path) -> None:
    config.write_text('[[routes]]\nanalyses = ["no-such"]\n')
    shown = _run("config", "check", "--config", config)
    assert shown.exit_code == 2
    assert "'no-such'" in shown.stderr


def test_config_show_names_the_origin_of_each_value(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDAET_LISTENER__PORT", "11999")
    shown = _run("config", "show", "--origin", "--json", "--config", config)
    origins = {one["key"]: one["origin"] for one in json.loads(shown.stdout)}
    assert origins["spool.path"] == "medaet.toml:2"
    assert origins["listener.port"] == "MEDAET_LISTENER__PORT"
    assert origins["web.port"] == "default"


def test_config_show_hides_the_password_of_the_database(config: Path) -> None:
    config.write_text('[database]\nurl = "postgresql+psycopg://me:secret@host/medaet"\n')
    for form in ((), ("--json",), ("--origin",)):
        shown = _run("config", "show", *form, "--config", config)
        assert "secret" not in shown.stdout
        assert "me:***@host" in shown.stdout


def test_config_schema_is_json() -> None:
    assert "listener" in json.loads(_run("config", "schema").stdout)["properties"]


def test_database_is_upgraded_shown_and_backed_up(config: Path, tmp_path: Path) -> None:
    assert _run("db", "current", "--config", config).exit_code == 1
    assert _run("db", "upgrade", "--config", config).exit_code == 0
    shown = _run("db", "current", "--json", "--config", config)
    assert json.loads(shown.stdout) == {"revision": migrate.head(), "needed": migrate.head()}
    copy = tmp_path / "copy.db"
    assert _run("db", "backup", copy, "--config", config).exit_code == 0
    assert copy.stat().st_size > 0
    assert _run("db", "backup", copy, "--config", config).exit_code == 2


def test_jobs_list_says_what_to_do_without_a_database(config: Path) -> None:
    shown = _run("jobs", "list", "--config", config)
    assert shown.exit_code == 2
    assert "medaet db upgrade" in shown.stderr


def test_jobs_are_listed_buried_and_retried(config: Path, shelf: Shelf) -> None:
    job_id = _enqueued(shelf)
    [listed] = json.loads(_run("jobs", "list", "--json", "--config", config).stdout)
    assert (listed["id"], listed["state"]) == (job_id, "ready")
    assert _run("jobs", "retry", str(job_id), "--config", config).exit_code == 1
    assert _run("jobs", "bury", str(job_id), "--config", config).exit_code == 0
    dead = _run("jobs", "list", "--state", "dead", "--config", config)
    assert "buried by a person" in dead.stdout
    assert _run("jobs", "retry", str(job_id), "--config", config).exit_code == 0
    assert "ready" in _run("jobs", "show", str(job_id), "--config", config).stdout


def test_jobs_show_exits_1_for_an_unknown_job(config: Path, shelf: Shelf) -> None:
    shown = _run("jobs", "show", "99", "--config", config)
    assert shown.exit_code == 1
    assert "no job 99" in shown.stderr


def test_deliveries_list_is_empty_at_first(config: Path, shelf: Shelf) -> None:
    assert _run("deliveries", "list", "--config", config).stdout == "no deliveries\n"
    assert _run("deliveries", "retry", "1", "--config", config).exit_code == 1


def test_studies_are_listed_and_shown(config: Path, shelf: Shelf) -> None:
    assert "1.2" in _run("studies", "list", "--config", config).stdout
    shown = json.loads(_run("studies", "show", "1.2", "--json", "--config", config).stdout)
    assert [one["series_instance_uid"] for one in shown["series"]] == ["1.2.1", "1.2.2"]


def test_studies_explain_says_which_check_failed(config: Path, shelf: Shelf) -> None:
    with shelf.database.write() as session:
        events.record(
            session,
            study_id=shelf.study_id,
            series_id=shelf.series_ids[0],
            at=SystemClock().now(),
            name="analysis.unmatched",
            analysis="lungs",
            role="ct",
            failed=["Modality is 'MR', wanted CT"],
        )
    job_id = _enqueued(shelf)
    shelf.queue.bury(job_id, "no use")
    shown = _run("studies", "explain", "1.2", "--config", config)
    assert "series 1.2.1: lungs does not fit role ct: Modality is 'MR', wanted CT" in shown.stdout
    assert f"job {job_id} (lungs): given up after attempt 0: no use" in shown.stdout


def test_studies_explain_exits_1_for_an_unknown_study(config: Path, shelf: Shelf) -> None:
    assert _run("studies", "explain", "9.9", "--config", config).exit_code == 1


def test_studies_forget_asks_and_then_deletes(config: Path, shelf: Shelf) -> None:
    refused = _run("studies", "forget", "1.2", "--config", config, stdin="n\n")
    assert refused.exit_code == 1
    assert _run("studies", "forget", "1.2", "--yes", "--config", config).exit_code == 0
    assert _run("studies", "show", "1.2", "--config", config).exit_code == 1


def test_plugins_list_names_the_bundled_analyses() -> None:
    listed = json.loads(_run("plugins", "list", "--json").stdout)
    assert "brain-mr" in {one["name"] for one in listed["analyses"]}


def test_plugins_info_shows_what_an_analysis_takes() -> None:
    shown = _run("plugins", "info", "brain-mr")
    assert shown.exit_code == 0
    assert "MR" in shown.stdout


def test_plugins_info_exits_1_for_an_unknown_analysis() -> None:
    shown = _run("plugins", "info", "no-such")
    assert shown.exit_code == 1
    assert "'no-such'" in shown.stderr


def test_plugins_check_exits_0_for_a_good_analysis(config: Path) -> None:
    assert _run("plugins", "check", "brain-mr", "--config", config).exit_code == 0


def test_plugins_check_exits_1_for_wrong_settings(config: Path) -> None:
    config.write_text("[plugins.brain-mr]\nno_such_setting = 1\n")
    shown = _run("plugins", "check", "brain-mr", "--config", config)
    assert shown.exit_code == 1
    assert "no_such_setting" in shown.stdout


def test_plugins_list_says_where_an_analysis_comes_from_and_whether_it_gets_jobs(
    tmp_path: Path,
) -> None:
    config = tmp_path / "medaet.toml"
    route = '[[routes]]\nanalyses = ["brain-mr"]\nshadow = ["chest-ct"]\n'
    config.write_text(f'[spool]\npath = "{tmp_path / "spool"}"\n{route}')
    assert _run("plugins", "disable", "chest-ct", "--config", config).exit_code == 0
    shown = json.loads(_run("plugins", "list", "--json", "--config", config).stdout)
    listed = {one["name"]: one for one in shown["analyses"]}
    assert listed["brain-mr"]["state"] == "live"
    assert listed["brain-mr"]["source"].startswith("medaet ")
    assert len(listed["brain-mr"]["weights_sha256"]) == 64
    assert listed["chest-ct"]["state"] == "disabled"
    assert _run("plugins", "enable", "chest-ct", "--config", config).exit_code == 0
    assert _run("plugins", "enable", "chest-ct", "--config", config).exit_code == 1


def test_plugins_agreement_exits_1_where_nothing_can_be_compared(
    config: Path, shelf: Shelf
) -> None:
    shown = _run("plugins", "agreement", "brain-mr", "chest-ct", "--config", config)
    assert shown.exit_code == 1
    assert "no series was analysed by both" in shown.stdout
