"""Settings of the server."""

import pytest
from helpers.settings import dotenv

from ihc.errors import SettingsError
from ihc.server.settings import ServerSettings, load_server_settings

pytestmark = pytest.mark.usefixtures("bare_environment")


def test_a_server_takes_its_keys_and_limits_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("IHC_SERVER_KEYS", " one-key, other-key,,")
    monkeypatch.setenv("IHC_SERVER_PARAMETERS", "a.json, sub/b.json")
    monkeypatch.setenv("IHC_SERVER_REQUESTS_PER_MINUTE", "7")
    assert load_server_settings(base=tmp_path, host="0.0.0.0", port=9000) == ServerSettings(
        "0.0.0.0",
        9000,
        ("one-key", "other-key"),
        (tmp_path / "a.json", tmp_path / "sub" / "b.json"),
        max_journeys=100,
        max_sessions=3000,
        requests_per_minute=7,
    )


def test_a_server_takes_them_from_the_env_file_and_options_go_before_it(tmp_path):
    base = dotenv(tmp_path, "IHC_SERVER_KEYS=one-key\nIHC_SERVER_PARAMETERS=a.json\n")
    settings = load_server_settings(base=base)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.keys, settings.parameters) == (("one-key",), (tmp_path / "a.json",))
    assert settings.requests_per_minute == 600
    assert load_server_settings(base=base, parameters=["b.json"]).parameters == (tmp_path / "b.json",)


@pytest.mark.parametrize("keys", [None, "", " , ,"])
def test_without_keys_a_server_does_not_start_unless_told_to(tmp_path, monkeypatch, keys):
    if keys is not None:
        monkeypatch.setenv("IHC_SERVER_KEYS", keys)
    with pytest.raises(SettingsError, match=r"needs keys: set IHC_SERVER_KEYS .* --no-auth on this machine only"):
        load_server_settings(base=tmp_path)
    assert load_server_settings(base=tmp_path, no_auth=True).keys == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1.2.3"])
def test_on_this_machine_a_server_may_do_without_the_keys_that_are_set(tmp_path, monkeypatch, host):
    monkeypatch.setenv("IHC_SERVER_KEYS", "one-key")
    assert load_server_settings(base=tmp_path, host=host, no_auth=True).keys == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.com", "localhost.example.com", ""])
@pytest.mark.parametrize("keys", ["", "one-key"])
def test_a_server_that_others_reach_never_does_without_keys(tmp_path, monkeypatch, host, keys):
    monkeypatch.setenv("IHC_SERVER_KEYS", keys)
    with pytest.raises(SettingsError, match=r"--no-auth is only allowed on this machine, not for"):
        load_server_settings(base=tmp_path, host=host, no_auth=True)


@pytest.mark.parametrize("value", ["0", "many", "-1", "1e9", "1000001"])
def test_a_wrong_rate_of_a_server_is_refused_by_name(tmp_path, monkeypatch, value):
    monkeypatch.setenv("IHC_SERVER_REQUESTS_PER_MINUTE", value)
    with pytest.raises(SettingsError, match="IHC_SERVER_REQUESTS_PER_MINUTE"):
        load_server_settings(base=tmp_path, no_auth=True)


def test_a_misspelt_variable_in_the_env_file_is_refused_for_a_server_too(tmp_path):
    with pytest.raises(SettingsError, match="IHC_SERVER_KEY'"):
        load_server_settings(base=dotenv(tmp_path, "IHC_SERVER_KEY=one-key\n"), no_auth=True)


def test_the_keys_of_a_server_are_in_no_text_of_its_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("IHC_SERVER_KEYS", "one-key,other-key")
    settings = load_server_settings(base=tmp_path)
    assert "one-key" not in repr(settings) + str(settings)
    assert "other-key" not in repr(settings) + str(settings)
