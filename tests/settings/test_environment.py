import os
import subprocess
import sys

import pytest

from ihc.errors import SettingsError
from ihc.secrets import is_secret, masked, password_of, secrets_of
from ihc.settings.environment import count, flag, number, read_variables, variable, with_environment

KNOWN = ("IHC_OUTPUT", "IHC_API_KEY")


def dotenv(folder, content):
    path = folder / ".env"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("IHC_")]:
        monkeypatch.delenv(name)


def test_without_a_file_the_environment_is_all_there_is(tmp_path, monkeypatch):
    monkeypatch.setenv("IHC_OUTPUT", "out")
    assert read_variables(tmp_path / ".env", KNOWN)["IHC_OUTPUT"] == "out"
    assert "IHC_API_KEY" not in read_variables(tmp_path / ".env", KNOWN)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("IHC_OUTPUT=out", "out"),
        ("export IHC_OUTPUT=out", "out"),
        ("IHC_OUTPUT = 'two words'", "two words"),
        ('IHC_OUTPUT="two words" # said why', "two words"),
        ("IHC_OUTPUT=out # said why", "out"),
        ("IHC_OUTPUT=", ""),
        ("# IHC_OUTPUT=other\nIHC_OUTPUT=ö", "ö"),
        ("IHC_OUTPUT=first\r\nIHC_OUTPUT=last\r\n", "last"),
    ],
)
def test_a_file_sets_what_it_says(tmp_path, line, value):
    assert read_variables(dotenv(tmp_path, line), KNOWN)["IHC_OUTPUT"] == value


@pytest.mark.parametrize("value", ["from environment", ""])
def test_the_environment_goes_before_the_file_even_where_it_is_empty(tmp_path, monkeypatch, value):
    monkeypatch.setenv("IHC_OUTPUT", value)
    assert read_variables(dotenv(tmp_path, "IHC_OUTPUT=from_file\n"), KNOWN)["IHC_OUTPUT"] == value


def test_the_file_changes_no_environment(tmp_path):
    read_variables(dotenv(tmp_path, "IHC_OUTPUT=out\n"), KNOWN)
    assert variable("IHC_OUTPUT") is None


def test_a_name_that_is_misspelt_is_refused_with_the_names_there_are(tmp_path):
    path = dotenv(tmp_path, "IHC_APIKEY=s3cret-value\nOTHER=1\n")
    with pytest.raises(SettingsError, match="sets 'IHC_APIKEY'; the settings are IHC_API_KEY, IHC_OUTPUT") as error:
        read_variables(path, KNOWN)
    assert str(path) in str(error.value)
    assert "s3cret-value" not in str(error.value)


def test_names_of_other_programs_are_none_of_our_business(tmp_path):
    assert read_variables(dotenv(tmp_path, "OTHER_PROGRAM=1\n"), KNOWN)["OTHER_PROGRAM"] == "1"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("IHC_OUTPUT\n", "line 1 is not NAME=value"),
        ("OK=1\nOK=2\nIHC_API_KEY='never ends\n", "line 3 is not NAME=value"),
        ("=s3cret-value\nOK=1\nwhat is this\n", "line 1, 3 is not NAME=value"),
        (b"\xff\xfeI\x00", "cannot be read as text"),
    ],
)
def test_a_file_that_is_none_is_refused_by_line_without_printing_it(tmp_path, content, says):
    path = dotenv(tmp_path, content)
    with pytest.raises(SettingsError, match=says) as error:
        read_variables(path, KNOWN)
    assert str(path) in str(error.value)
    assert "s3cret" not in str(error.value)
    assert "never ends" not in str(error.value)


def test_a_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / ".env").mkdir()
    with pytest.raises(SettingsError, match="cannot be read as text"):
        read_variables(tmp_path / ".env", KNOWN)


def test_a_process_to_be_started_gets_this_environment_and_more(monkeypatch):
    monkeypatch.setenv("IHC_OUTPUT", "here")
    command = "import os; print(os.environ['IHC_OUTPUT'], os.environ['IHC_RUN_ID'], os.environ['PATH'] != '')"
    environment = with_environment({"IHC_OUTPUT": "there", "IHC_RUN_ID": "run"})
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "there run True\n"
    assert variable("IHC_OUTPUT") == "here"


@pytest.mark.parametrize(
    ("name", "holds_keys"),
    [
        ("IHC_API_KEY", True),
        ("IHC_SERVER_KEYS", True),
        ("IHC_OUTPUT", False),
        ("SOME_KEY", False),
    ],
)
def test_variables_of_ours_that_hold_keys_are_secret(name, holds_keys):
    assert is_secret(name) is holds_keys


def test_secrets_are_every_key_and_the_password_of_the_database():
    values = {"IHC_API_KEY": "api-key", "IHC_SERVER_KEYS": "one-key, other-key", "IHC_OUTPUT": "out", "KEY": "no"}
    found = secrets_of(values, "postgresql://ann:s3cret@host/shop")
    assert set(found) == {"api-key", "one-key", "other-key", "s3cret"}


def test_a_password_is_a_secret_in_every_form_in_which_it_could_turn_up():
    found = secrets_of({"PGPASSWORD": "0ther"}, "postgresql://ann:p%40ss+w%2frd@host/shop")
    # As it is, as it was written, and as others would write it.
    assert {"p@ss+w/rd", "p%40ss+w%2frd", "p%40ss%2Bw%2Frd", "0ther"} <= set(found)
    assert "p@ss" in secrets_of({}, "postgresql://ann@host/shop?password=p%40ss")
    both = secrets_of({}, "mysql+pymysql://ann:f1rst@host/shop?ssl_passphrase=p%40ss")
    assert {"f1rst", "p@ss", "p%40ss"} <= set(both)
    assert "k3y-of-it" in secrets_of({}, "bigquery://project/shop?credentials_base64=k3y-of-it")
    assert "pa}geheim" in secrets_of({}, "mssql+pyodbc:///?odbc_connect=UID%3Dsa%3BPWD%3D%7Bpa%7D%7Dgeheim%7D%3B")


def test_words_too_short_to_be_secret_and_empty_ones_are_none():
    assert secrets_of({"IHC_API_KEY": "", "IHC_SERVER_KEYS": "abc,,"}, "shop.db") == ()


@pytest.mark.parametrize(
    ("database", "password"),
    [
        ("postgresql://ann:s3cret@host/shop", "s3cret"),
        ("postgresql://ann:p%40ss@host/shop", "p@ss"),
        ("postgresql://ann@host/shop?password=s3cret", "s3cret"),
        ("mysql+pymysql://ann@host/shop?passwd=s3cret", "s3cret"),
        ("snowflake://ann@host/shop?token=s3cret&warehouse=w", "s3cret"),
        ("mssql+pyodbc://?odbc_connect=DRIVER%3D%7BODBC%7D%3BUID%3Dann%3BPWD%3Ds3cret%3BEncrypt%3Dyes", "s3cret"),
        ("mssql+pyodbc://?odbc_connect=PWD%3D%7Bs3cret%7D", "s3cret"),
        ("postgresql://ann@host/shop?sslkey=/etc/key.pem&passfile=/etc/pass", ""),
        ("postgresql://ann@host/shop", ""),
        ("sqlite:///shop.db", ""),
        ("shop.db", ""),
        ("://", ""),
        ("postgresql://host:port/shop", ""),
    ],
)
def test_the_password_of_a_database_is_found(database, password):
    assert password_of(database) == password


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a s3cret b", "a *** b"),
        ("s3cret,s3cret", "***,***"),
        ("key=k3y of s3cret", "key=*** of ***"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_secrets_are_masked_wherever_they_stand(text, shown):
    assert masked(text, ["s3cret", "k3y", ""]) == shown


@pytest.mark.parametrize("value", [None, ""])
def test_what_is_not_given_is_the_default(value):
    assert number({"n": value}, "n", most=1) is None
    assert count({"n": value}, "n", 7) == 7
    assert number({}, "n", most=1) is None
    assert count({}, "n", 7) == 7
    assert flag({}, "n") is False
    assert flag({"n": ""}, "n") is False


@pytest.mark.parametrize(("value", "parsed"), [("2.5", 2.5), (2.5, 2.5), (" 3 ", 3.0), ("1e1", 10.0), (10, 10.0)])
def test_a_number_is_above_0_and_up_to_the_most(value, parsed):
    assert number({"n": value}, "n", most=10) == parsed


@pytest.mark.parametrize("value", ["0", 0, -1, "10.1", "nan", "inf", "-inf", float("nan"), "soon", "1,5", [1], "1 2"])
def test_another_number_is_refused_by_name(value):
    with pytest.raises(SettingsError, match=r"^days is .*: give a number above 0 and up to 10, or leave it out"):
        number({"n": value}, "n", most=10, says="days")
    with pytest.raises(SettingsError, match=r"^n is "):
        number({"n": value}, "n", most=10)


@pytest.mark.parametrize(("value", "parsed"), [("1", 1), (1, 1), (" 5 ", 5), ("1000000", 1_000_000)])
def test_a_count_is_a_whole_number(value, parsed):
    assert count({"n": value}, "n", 7) == parsed


def test_a_count_may_begin_with_0_where_that_means_something():
    assert count({"n": 0}, "n", 7, least=0) == 0
    assert count({"n": "0"}, "n", 7, least=0) == 0


@pytest.mark.parametrize("value", ["0", 0, -1, "1000001", "1.5", 1.5, "1e3", "many", True, [1], "inf", "9" * 50])
def test_another_count_is_refused_by_name(value):
    with pytest.raises(
        SettingsError, match=r"^workers is .*: give a whole number from 1 to 1,000,000, or leave it out"
    ):
        count({"n": value}, "n", 7, says="workers")
    with pytest.raises(SettingsError, match=r"^n is "):
        count({"n": value}, "n", 7)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        *[(value, True) for value in ("1", "true", "True", "YES", True, 1)],
        *[(value, False) for value in ("0", "false", "FALSE", "no", False, 0)],
    ],
)
def test_a_flag_is_true_or_false(value, parsed):
    assert flag({"n": value}, "n") is parsed


@pytest.mark.parametrize("value", ["maybe", "2", "on", None, "y", " true"])
def test_another_flag_is_refused_by_name(value):
    with pytest.raises(SettingsError, match=r"^refresh is .*: write true or false, or leave it out"):
        flag({"n": value}, "n", says="refresh")
    with pytest.raises(SettingsError, match=r"^n is "):
        flag({"n": value}, "n")


def test_a_secret_that_begins_with_another_is_masked_whole():
    assert masked("keys team-1, team-10.", ["team-1", "team-10"]) == "keys ***, ***."


def test_the_line_of_a_fault_is_its_own_after_empty_lines(tmp_path):
    (tmp_path / ".env").write_text("# fine\n\nIHC_API_KEY='never ends\n")
    with pytest.raises(SettingsError, match=r"line 3 is not NAME=value"):
        read_variables(tmp_path / ".env", {"IHC_API_KEY"})
