import os

import pytest
from helpers.commands import ROOT
from helpers.settings import ASK, KEY, PHASE, dotenv, load, redistribution_file

from ihc.api.account import API_URL
from ihc.api.limits import ApiLimits
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.errors import InputError, SettingsError
from ihc.pipeline.sample import write_sample
from ihc.settings.run import kernel_environment, load_settings, project_root

LOOPBACK = "http://127.0.0.1:8000/v1/compute_ihc"


def test_defaults_are_the_sample_and_the_data_folder(tmp_path):
    settings = load_settings(base=tmp_path)
    assert settings.database == Database(tmp_path / "data" / "ihc.db")
    assert settings.is_default_database
    assert settings.output == tmp_path / "data"
    assert settings.window == {"start_date": None, "end_date": None}
    assert (settings.engine, settings.lookback_days, settings.given.parameters) == ("local", None, ())


def test_relative_paths_in_a_notebook_start_at_the_project_root(monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    assert project_root() == ROOT
    assert load_settings(database="data/x.db").database == Database(ROOT / "data" / "x.db")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"start_date": "2023-09-31"}, InputError, "start_date '2023-09-31' is not a date"),
        ({"start_date": 2023}, InputError, "start_date '2023' is not a date"),
        ({"start_date": "2023-09-02", "end_date": "2023-09-01"}, InputError, "is before start_date"),
        ({"databse": "x"}, SettingsError, "Unknown setting: databse"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, options, error, says):
    with pytest.raises(error, match=says):
        load_settings(base=tmp_path, **options)


def test_a_database_url_with_a_password_is_no_parameter_of_a_notebook():
    with pytest.raises(SettingsError, match="IHC_DATABASE") as error:
        load_settings(database="postgresql://ann:s3cret@host/shop")
    assert "s3cret" not in str(error.value)


# Choosing the engine


def test_key_conversion_type_and_own_database_select_the_api(tmp_path, monkeypatch):
    settings = load(tmp_path, monkeypatch, ASK)
    assert settings.engine == "api"
    assert (settings.account.url, settings.account.key, settings.account.conv_type_id) == (API_URL, KEY, "sales")
    assert settings.source == "conversion type sales of api.ihc-attribution.com"


def test_they_may_stand_in_the_env_file_and_in_options_too(tmp_path):
    base = dotenv(tmp_path, f"IHC_API_KEY={KEY}\n")
    assert load_settings(base=base, conv_type_id="sales", database="shop.db").engine == "api"


@pytest.mark.parametrize("lacking", ASK)
@pytest.mark.parametrize("value", [None, ""])
def test_if_one_of_them_is_missing_the_local_engine_computes(tmp_path, monkeypatch, lacking, value):
    settings = load(tmp_path, monkeypatch, ASK | {lacking: value})
    assert settings.engine == "local"
    assert settings.account is None


def test_a_sample_shop_is_always_computed_locally(tmp_path, monkeypatch):
    write_sample(Database(tmp_path / "shop.db"), conversions=5)
    assert load(tmp_path, monkeypatch, ASK).engine == "local"
    assert load_settings(base=tmp_path, database=f"sqlite:///{tmp_path}/shop.db").engine == "local"
    with pytest.raises(SettingsError, match="The sample shop is synthetic"):
        load(tmp_path, monkeypatch, ASK, engine="api")


def test_the_engine_can_be_asked_for(tmp_path, monkeypatch):
    assert load(tmp_path, monkeypatch, ASK, engine="local").engine == "local"
    assert load_settings(base=tmp_path, engine="api").engine == "api"
    monkeypatch.setenv("IHC_ENGINE", "local")
    assert load_settings(base=tmp_path).engine == "local"


@pytest.mark.parametrize(
    ("lacking", "says"),
    [
        ("IHC_API_KEY", "The API needs a key: set IHC_API_KEY"),
        ("IHC_CONV_TYPE_ID", "The API needs a conversion type: set --conv-type-id or IHC_CONV_TYPE_ID"),
        ("IHC_DATABASE", "The sample shop is synthetic and should not use paid API calls: set your own database"),
    ],
)
def test_selecting_the_api_names_missing_settings(tmp_path, monkeypatch, lacking, says):
    with pytest.raises(SettingsError, match=says):
        load(tmp_path, monkeypatch, ASK | {lacking: None}, engine="api")


def test_an_own_shop_may_use_the_default_path_if_it_is_given(tmp_path, monkeypatch):
    create_tables(Database(tmp_path / "data" / "ihc.db"))
    named = ASK | {"IHC_DATABASE": "data/ihc.db"}
    assert load(tmp_path, monkeypatch, named | {"IHC_DATABASE": None}).engine == "local"
    assert load(tmp_path, monkeypatch, named).engine == "api"


@pytest.mark.parametrize("url", [LOOPBACK, "http://localhost:8000/v1", "http://[::1]:8000/v1"])
def test_a_local_server_needs_no_key_no_conversion_type_and_no_own_shop(tmp_path, monkeypatch, url):
    settings = load(tmp_path, monkeypatch, {"IHC_API_URL": url}, engine="api")
    assert settings.engine == "api"
    assert (settings.account.key, settings.account.conv_type_id) == ("", "default")


def test_a_local_server_is_only_used_if_selected(tmp_path, monkeypatch):
    assert load(tmp_path, monkeypatch, {"IHC_API_URL": LOOPBACK, "IHC_DATABASE": "shop.db"}).engine == "local"


def test_a_redistribution_is_read_for_the_api(tmp_path, monkeypatch):
    redistribution_file(tmp_path)
    settings = load(tmp_path, monkeypatch, ASK | {"IHC_REDISTRIBUTION": "redistribution.json"})
    assert settings.given.redistribution == tmp_path / "redistribution.json"
    assert settings.account.redistribution == settings.redistribution_rules
    assert settings.account.redistribution.entries["holder"] == PHASE
    assert settings.source.endswith(f", redistribution {settings.account.redistribution.fingerprint}")


def test_a_redistribution_is_read_for_the_local_engine_and_changes_the_source_of_credits(tmp_path):
    redistribution_file(tmp_path)
    settings = load_settings(base=tmp_path, redistribution="redistribution.json")
    assert settings.engine == "local"
    assert settings.redistribution_rules.entries["holder"] == PHASE
    without = load_settings(base=tmp_path).source
    assert settings.source == f"{without}, redistribution {settings.redistribution_rules.fingerprint}"
    assert settings.run().parameters == settings.source
    with pytest.raises(SettingsError, match=r"none\.json cannot be read as JSON"):
        load_settings(base=tmp_path, engine="local", redistribution="none.json")


# API limits


def test_a_test_accounts_limits_are_the_default(tmp_path, monkeypatch):
    limits = load(tmp_path, monkeypatch, ASK).api_limits
    assert limits == ApiLimits(max_journeys=100, max_sessions=200, long_journeys="latest", workers=4)
    assert (limits.requests_per_second, limits.max_requests, limits.refresh) == (None, None, False)
    assert limits.request_seconds == 180


@pytest.mark.parametrize(("given", "ceiling"), [("0", 0), ("", None), (None, None)])
def test_a_limit_of_zero_requests_differs_from_no_limit(tmp_path, monkeypatch, given, ceiling):
    assert load(tmp_path, monkeypatch, {"IHC_MAX_REQUESTS": given}).api_limits.max_requests == ceiling


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("IHC_API_URL", "api.ihc-attribution.com"),
        ("IHC_API_URL", "http://api.ihc-attribution.com/v1/compute_ihc"),
        ("IHC_API_URL", f"{API_URL}?conv_type_id=sales"),
        ("IHC_API_KEY", "two words"),
        ("IHC_API_KEY", "“quoted”"),
        ("IHC_CONV_TYPE_ID", "two\nlines"),
        ("IHC_REDISTRIBUTION", "none.json"),
        ("IHC_REDISTRIBUTION", "."),
        ("IHC_START_DATE", "2023-09-31"),
        ("IHC_END_DATE", "tomorrow"),
        ("IHC_DATABASE", "sqlite://"),
        ("IHC_DATABASE", "mysql://ann:s3cret@host/shop"),
        ("IHC_DATABASE", "nonsense://"),
    ],
)
def test_a_wrong_value_of_a_variable_is_refused_by_name(tmp_path, monkeypatch, variable, value):
    names = {"IHC_START_DATE": "start_date", "IHC_END_DATE": "end_date", "IHC_DATABASE": "database"}
    names |= {"IHC_CONV_TYPE_ID": "conversion type", "IHC_REDISTRIBUTION": "redistribution"}
    with pytest.raises((SettingsError, InputError), match=names.get(variable, variable)) as error:
        load(tmp_path, monkeypatch, ASK | {variable: value})
    assert "s3cret" not in str(error.value)


# Environment of the kernels


def test_a_kernel_gets_what_stood_in_the_env_file_and_computes_the_same(tmp_path, monkeypatch):
    redistribution_file(tmp_path)
    lines = [
        *(f"{name}={value}" for name, value in ASK.items()),
        f"IHC_API_URL={LOOPBACK}\nIHC_MAX_SESSIONS=3000\nIHC_MAX_JOURNEYS=50\nIHC_WORKERS=2",
        "IHC_REQUESTS_PER_SECOND=2.5\nIHC_REQUEST_SECONDS=90\nIHC_LONG_JOURNEYS=skip\nIHC_REFRESH=yes\nIHC_MAX_REQUESTS=0",
        "IHC_REDISTRIBUTION=redistribution.json\nIHC_LOOKBACK_DAYS=30\nIHC_START_DATE=2023-09-01",
        "IHC_BREAK_EVEN_ROAS=2.5\nIHC_SENSITIVITY_LOOKBACKS=any,7.5\nIHC_DIRECT=Typed in,Direkt",
    ]
    options = {"end_date": "2023-09-30", "by": "campaign", "currency": "EUR", "export_credits": True}
    settings = load_settings(base=dotenv(tmp_path, "\n".join(lines)), **options)
    assert settings.api_limits == ApiLimits(50, 3000, "skip", 2, 2.5, 90.0, 0, refresh=True)
    kernel = kernel_environment(settings)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in [name for name in os.environ if name not in kernel]:
        monkeypatch.delenv(name)
    for name, value in kernel.items():
        monkeypatch.setenv(name, value)
    assert load_settings(base=elsewhere) == settings
    assert kernel["IHC_RUN_LOCK"] == str(tmp_path / "shop.db.lock")
    assert kernel["PATH"] == os.environ["PATH"]


def test_a_kernel_of_the_local_engine_stays_local(tmp_path, monkeypatch):
    settings = load(tmp_path, monkeypatch, ASK, engine="local")
    for name, value in kernel_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings(base=tmp_path).engine == "local"


def test_the_key_is_in_no_text_of_the_settings(tmp_path, monkeypatch):
    settings = load(tmp_path, monkeypatch, ASK | {"IHC_SERVER_KEYS": "one-key, other-key"})
    shown = repr(settings) + str(settings) + settings.source + repr(settings.run()) + repr(settings.api_limits)
    for secret in (KEY, "one-key", "other-key"):
        assert secret in settings.secrets
        assert secret not in shown


def test_that_journeys_restart_is_part_of_what_credits_come_from(tmp_path, monkeypatch):
    plain = load_settings(base=tmp_path)
    restarts = load_settings(base=tmp_path, restart_after_order=True)
    assert restarts.source == restarts.run().parameters == f"{plain.source}, journeys restart after an order"
    assert restarts.journey_rules == {"lookback_days": None, "restart_after_order": True}
    assert not plain.journey_rules["restart_after_order"]
    leads = load_settings(base=tmp_path, restart_after_order=True, conversion_type="lead")
    assert leads.source == f"{restarts.source} of type lead"
    assert load_settings(base=tmp_path, conversion_type="lead").source == plain.source
    asked = load(tmp_path, monkeypatch, ASK | {"IHC_RESTART_AFTER_ORDER": "true"})
    assert asked.account
    assert asked.source == f"{asked.account.label}, journeys restart after an order"
