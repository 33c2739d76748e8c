from pathlib import Path

import pytest

from ihc.environment import masked
from ihc.errors import InputError, SettingsError
from ihc.settings import KNOWN, NAMES, ONLY_VARIABLES, load_settings, lock_file, project_root

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for variable in [*NAMES.values(), *ONLY_VARIABLES, "IHC_RUN_ID", "IHC_RUN_LOCK"]:
        monkeypatch.delenv(variable, raising=False)


def dotenv(folder, text):
    (folder / ".env").write_text(text)
    return folder


def test_defaults_are_the_sample_and_the_data_folder(tmp_path):
    settings = load_settings(base=tmp_path)
    assert settings.database == str(tmp_path / "data" / "ihc.db")
    assert settings.is_sample
    assert settings.output == tmp_path / "data"
    assert settings.window == {"start_date": None, "end_date": None}
    assert (settings.engine, settings.lookback_days, settings.parameters) == ("local", None, None)


def test_an_option_goes_before_the_environment_and_that_before_dotenv(tmp_path, monkeypatch):
    base = dotenv(tmp_path, "IHC_OUTPUT=from_file\nIHC_START_DATE=2023-01-01\nIHC_LOOKBACK_DAYS=10\n")
    monkeypatch.setenv("IHC_OUTPUT", "from_environment")
    monkeypatch.setenv("IHC_START_DATE", "2023-02-01")
    settings = load_settings(base=base, output="from_option")
    assert settings.output == tmp_path / "from_option"
    assert settings.start_date == "2023-02-01"
    assert settings.lookback_days == 10


def test_an_empty_variable_in_the_environment_hides_the_one_in_dotenv(tmp_path, monkeypatch):
    base = dotenv(tmp_path, "IHC_LOOKBACK_DAYS=10\n")
    monkeypatch.setenv("IHC_LOOKBACK_DAYS", "")
    assert load_settings(base=base).lookback_days is None


def test_what_a_run_hands_to_its_kernels_is_what_it_was_asked_for(tmp_path, monkeypatch):
    options = {"database": "shop.db", "start_date": "2023-09-01", "end_date": "2023-09-07", "lookback_days": 14}
    settings = load_settings(base=tmp_path, **options)
    for variable, value in settings.environment().items():
        monkeypatch.setenv(variable, value)
    again = load_settings()
    assert {name: getattr(again, name) for name in NAMES} == {name: getattr(settings, name) for name in NAMES}


def test_relative_paths_in_a_notebook_mean_the_projects_root(monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    assert project_root() == ROOT
    assert load_settings(database="data/x.db").database == str(ROOT / "data" / "x.db")


def test_paths_and_sqlite_urls_mean_the_same_file(tmp_path):
    as_url = load_settings(base=tmp_path, database="sqlite:///shop.db")
    as_path = load_settings(base=tmp_path, database="shop.db")
    assert lock_file(as_url) == lock_file(as_path) == tmp_path / "shop.db.lock"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"start_date": "2023-09-31"}, InputError, "start_date '2023-09-31' is not a date"),
        ({"start_date": "20230901"}, InputError, "start_date '20230901' is not a date"),
        ({"end_date": "2023-W35-1"}, InputError, "end_date '2023-W35-1' is not a date"),
        ({"start_date": 2023}, InputError, "start_date 2023 is not a date"),
        ({"start_date": "2023-09-02", "end_date": "2023-09-01"}, InputError, "is before start_date"),
        ({"lookback_days": "soon"}, SettingsError, "lookback_days"),
        ({"lookback_days": 0}, SettingsError, "lookback_days"),
        ({"lookback_days": float("nan")}, SettingsError, "lookback_days"),
        ({"engine": "remote"}, SettingsError, "engine"),
        ({"databse": "x"}, SettingsError, "No such setting: databse"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, options, error, says):
    with pytest.raises(error, match=says):
        load_settings(base=tmp_path, **options)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"IHC_OUTPUT\n", "line 1 is not NAME=value"),
        (b"IHC_OUTPUT=ok\nIHC_DATABASE='never ends\n", "line 2"),
        (b"\xff\xfeI\x00", "cannot be read as text"),
        (b"IHC_LOOKBACK_DAYS=many\n", "IHC_LOOKBACK_DAYS"),
        (b"IHC_END_DATE=tomorrow\n", "end_date 'tomorrow'"),
    ],
)
def test_a_bad_dotenv_is_refused_in_a_sentence(tmp_path, content, says):
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises((SettingsError, InputError), match=says):
        load_settings(base=tmp_path)


def test_a_database_url_with_a_password_is_no_parameter_of_a_notebook():
    with pytest.raises(SettingsError, match="IHC_DATABASE") as error:
        load_settings(database="postgresql://ann:s3cret@host/shop")
    assert "s3cret" not in str(error.value)


def test_secrets_are_known_wherever_they_were_set_and_are_masked(tmp_path, monkeypatch):
    base = dotenv(tmp_path, "IHC_API_KEY=key-in-file\n")
    assert "key-in-file" in load_settings(base=base).secrets
    monkeypatch.setenv("IHC_API_KEY", "key-in-environment")
    settings = load_settings(base=base)
    assert masked("a key-in-environment b", settings.secrets) == "a *** b"
    assert "key" not in repr(settings)


def test_every_setting_is_in_the_example_file():
    example = (ROOT / ".env.example").read_text()
    assert [variable for variable in KNOWN if variable not in example] == []
