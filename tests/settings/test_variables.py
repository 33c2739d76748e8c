"""Reading options, environment and `.env`, and rejecting invalid values."""

import os

import pytest
from helpers.settings import dotenv

from ihc.errors import SettingsError
from ihc.settings.options import Engine, variable_of
from ihc.settings.variables import read_variables


def test_precedence_is_option_environment_dotenv_default(tmp_path, monkeypatch):
    base = dotenv(tmp_path, "IHC_BY=from_file\nIHC_CURRENCY=EUR\nIHC_WORKERS=9\n")
    monkeypatch.setenv("IHC_BY", "from_environment")
    monkeypatch.setenv("IHC_CURRENCY", "USD")
    given = read_variables(base, {"by": "from_option"})
    assert (given.by, given.currency, given.workers, given.engine) == ("from_option", "USD", 9, Engine.AUTO)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("IHC_BY=out", "out"),
        ("export IHC_BY=out", "out"),
        ("IHC_BY = 'two words'", "two words"),
        ('IHC_BY="two words" # said why', "two words"),
        ("IHC_BY=out # said why", "out"),
        ("IHC_BY=", None),
        ("# IHC_BY=other\nIHC_BY=ö", "ö"),
        ("IHC_BY=first\r\nIHC_BY=last\r\n", "last"),
        ("OTHER_PROGRAM=1", None),  # ignored
    ],
)
def test_a_file_sets_what_it_says_and_changes_no_environment(tmp_path, line, value):
    before = dict(os.environ)
    assert read_variables(dotenv(tmp_path, line)).by == value
    assert dict(os.environ) == before


def test_an_empty_variable_of_the_environment_hides_the_one_in_the_file_and_is_not_given(tmp_path, monkeypatch):
    base = dotenv(tmp_path, "IHC_LOOKBACK_DAYS=10\nIHC_BREAK_EVEN_ROAS=4\nIHC_REFRESH=true\n")
    for name in ("IHC_LOOKBACK_DAYS", "IHC_BREAK_EVEN_ROAS", "IHC_REFRESH", "IHC_WORKERS"):
        monkeypatch.setenv(name, "")
    given = read_variables(base)
    assert (given.lookback_days, given.break_even_roas, given.refresh) == (None, 1.0, False)
    assert given.beside_options() == {}


def test_options_of_0_and_false_are_given_and_empty_ones_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("IHC_MAX_REQUESTS", "7")
    monkeypatch.setenv("IHC_REFRESH", "true")
    given = read_variables(tmp_path, {"max_requests": 0, "refresh": False})
    assert (given.max_requests, given.refresh) == (0, False)
    given = read_variables(tmp_path, {"max_requests": None, "refresh": "", "direct": []})
    assert (given.max_requests, given.refresh, given.direct) == (7, True, ())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("IHC_BY\n", "line 1 is not NAME=value"),
        ("OK=1\nOK=2\nIHC_API_KEY='never ends\n", "line 3 is not NAME=value"),
        ("# fine\n\nIHC_API_KEY='never ends\n", "line 3 is not NAME=value"),
        ("=s3cret-value\nOK=1\nwhat is this\n", "line 1, 3 is not NAME=value"),
        (b"\xff\xfeI\x00", "cannot be read as text"),
        ("IHC_APIKEY=s3cret-value\n", "sets unknown 'IHC_APIKEY'; settings are IHC_API_KEY, IHC_API_URL, "),
        ("IHC_RUN_ID=1\nIHC_NOTHING=\n", "sets unknown 'IHC_RUN_ID', 'IHC_NOTHING'; settings are "),
    ],
)
def test_an_invalid_env_file_or_unknown_setting_is_refused_without_printing_values(tmp_path, content, says):
    with pytest.raises(SettingsError, match=says) as error:
        read_variables(dotenv(tmp_path, content))
    assert str(tmp_path / ".env") in str(error.value)
    assert "s3cret" not in str(error.value)
    assert "never ends" not in str(error.value)


def test_a_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / ".env").mkdir()
    with pytest.raises(SettingsError, match="cannot be read as text"):
        read_variables(tmp_path)


NUMBER = "give a number above 0 and up to"
COUNT = "give a whole number from"
CHOICE = "give 'latest', 'skip' or 'raise'"
FLAG = "write true or false"
CURRENCY = "give a code or a sign, such as EUR, of at most 12 characters"
LOOKBACKS = "give days above 0 and up to 100,000, or any, separated by commas"


@pytest.mark.parametrize(
    ("name", "value", "called", "must"),
    [
        *[("lookback_days", value, "lookback_days (IHC_LOOKBACK_DAYS)", f"{NUMBER} 100,000") for value in
          ("soon", "0", "-1", "nan", "inf", "1e9", "1,5", "1 2")],
        *[("max_requests", value, "max_requests (IHC_MAX_REQUESTS)", f"{COUNT} 0 to 1,000,000") for value in
          ("-1", "many", "1.5", "1000001")],
        *[("refresh", value, "refresh (IHC_REFRESH)", FLAG) for value in ("maybe", "2", " true")],
        *[("stress", value, "stress (IHC_STRESS)", f"{COUNT} 1 to 10,000") for value in ("0", "10001")],
        ("export_credits", "perhaps", "export_credits (IHC_EXPORT_CREDITS)", FLAG),
        ("engine", "remote", "engine (IHC_ENGINE)", "give 'auto', 'api' or 'local'"),
        ("break_even_roas", "0", "break_even_roas (IHC_BREAK_EVEN_ROAS)", f"{NUMBER} 1,000"),
        ("currency", "x" * 13, "currency (IHC_CURRENCY)", CURRENCY),
        ("currency", "E\nUR", "currency (IHC_CURRENCY)", CURRENCY),
        *[("max_sessions", value, "IHC_MAX_SESSIONS", f"{COUNT} 1 to 1,000,000") for value in ("0", "2e3", "9" * 50)],
        ("max_journeys", "-100", "IHC_MAX_JOURNEYS", f"{COUNT} 1 to 1,000,000"),
        ("workers", "65", "IHC_WORKERS", f"{COUNT} 1 to 64"),
        ("requests_per_second", "1001", "IHC_REQUESTS_PER_SECOND", f"{NUMBER} 1,000"),
        ("request_seconds", "3601", "IHC_REQUEST_SECONDS", f"{NUMBER} 3,600"),
        ("long_journeys", "Latest", "IHC_LONG_JOURNEYS", CHOICE),
        ("bootstrap_draws", "9", "IHC_BOOTSTRAP_DRAWS", f"{COUNT} 10 to 100,000"),
        ("bootstrap_seed", "-1", "IHC_BOOTSTRAP_SEED", f"{COUNT} 0 to 4,294,967,295"),
        ("server_requests_per_minute", "0", "IHC_SERVER_REQUESTS_PER_MINUTE", f"{COUNT} 1 to 1,000,000"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name_with_what_it_must_be(tmp_path, monkeypatch, name, value, called, must):
    monkeypatch.setenv(variable_of(name), value)
    with pytest.raises(SettingsError) as error:
        read_variables(tmp_path)
    assert str(error.value) == f"{called} is {value!r} in the environment: {must}, or leave it out."


@pytest.mark.parametrize(("value", "wrong"), [("7,all", "all"), ("0", "0")])
def test_a_wrong_part_of_a_list_is_named(tmp_path, monkeypatch, value, wrong):
    monkeypatch.setenv("IHC_SENSITIVITY_LOOKBACKS", value)
    with pytest.raises(SettingsError) as error:
        read_variables(tmp_path)
    assert (
        str(error.value) == f"IHC_SENSITIVITY_LOOKBACKS is {wrong!r} in the environment: {LOOKBACKS}, or leave it out."
    )


def test_all_errors_are_reported_at_once_with_their_source(tmp_path, monkeypatch):
    monkeypatch.setenv("IHC_WORKERS", "none")
    dotenv(tmp_path, 'IHC_REFRESH="maybe"\n')
    with pytest.raises(SettingsError) as error:
        read_variables(tmp_path, {"engine": "x"})
    said = str(error.value)
    assert said.startswith("engine (IHC_ENGINE) is 'x': ")
    assert "IHC_WORKERS is 'none' in the environment: " in said
    assert f"refresh (IHC_REFRESH) is 'maybe' in {tmp_path / '.env'}: {FLAG}, or leave it out." in said


@pytest.mark.parametrize(
    ("name", "value", "parsed"),
    [
        *[("lookback_days", value, 2.5) for value in ("2.5", 2.5, " 2.5 ")],
        *[("max_requests", value, 5) for value in (5, " 5 ")],
        *[("refresh", value, True) for value in ("1", "true", "True", "YES", True, 1)],
        *[("refresh", value, False) for value in ("0", "false", "FALSE", "no", False, 0)],
        *[("direct", value, ("A b", "C")) for value in (" A b,, C,A b", ["A b", "C"])],
        ("conv_type_id", 7, "7"),
        ("currency", " EUR ", "EUR"),
    ],
)
def test_a_value_is_taken_as_text_and_as_what_it_is(tmp_path, name, value, parsed):
    assert getattr(read_variables(tmp_path, {name: value}), name) == parsed


def test_secrets_are_every_key_and_password_and_appear_in_no_text(tmp_path, monkeypatch):
    dotenv(tmp_path, "IHC_API_KEY=api-key\nIHC_SERVER_KEYS='one-key, other-key,abc'\nPGPASSWORD=0ther\n")
    monkeypatch.setenv("IHC_DATABASE", "postgresql://ann:s3cret@host/shop")
    given = read_variables(tmp_path)
    assert set(given.secrets()) == {"api-key", "one-key", "other-key", "0ther", "s3cret"}
    assert not [secret for secret in given.secrets() if secret in repr(given) + str(given)]
