import hashlib
import json
from dataclasses import replace

import pytest

from ihc.api.account import API_URL, ApiAccount, is_loopback, make_account
from ihc.errors import SettingsError
from ihc.models.redistribution import parse_redistribution
from ihc.schemas.tables import PHASES

KEY = "k3y-of-the-test"
PHASE = {"direction": "any_session", "receive_threshold": 0.5, "redistribution_channel_labels": ["Direct"]}
REDISTRIBUTION = parse_redistribution(dict.fromkeys(PHASES, PHASE), "It")
ACCOUNT = ApiAccount(API_URL, KEY, "sales")

LOOPBACK = [
    "http://127.0.0.1:8000/v1/compute_ihc",
    "http://127.9.8.7",
    "https://127.0.0.1",
    "http://[::1]:8000",
    "http://LOCALHOST",
]
ELSEWHERE = [
    "http://api.ihc-attribution.com/v1/compute_ihc",
    "http://10.0.0.1",
    "http://0.0.0.0",
    "http://localhost.example.com",
    "http://example.com/@localhost",
    "http://localhost\\.example.com",
    "http://2130706433",  # 127.0.0.1 as one number, and below in short form: resolvers differ
    "http://127.1",
    "http://[::2]",
]


def test_the_id_of_an_account_stays_the_same_in_every_version():
    """If this changed, every stored answer would be lost, and every journey requested and paid for again."""
    asked = json.dumps(["https://api.ihc-attribution.com/v1/compute_ihc", "sales", ""])
    assert ACCOUNT.id == hashlib.sha256(asked.encode()).hexdigest()[:12] == "2ba5ec8c5f34"


def test_an_account_changes_with_everything_that_its_answers_depend_on_and_not_with_its_key():
    others = parse_redistribution(dict.fromkeys(PHASES, PHASE | {"receive_threshold": 0.6}), "It")
    accounts = [
        ACCOUNT,
        replace(ACCOUNT, url=f"{API_URL}2"),
        replace(ACCOUNT, conv_type_id="leads"),
        replace(ACCOUNT, redistribution=REDISTRIBUTION),
        replace(ACCOUNT, redistribution=others),
        ApiAccount("https://a", KEY, "bc"),
        ApiAccount("https://ab", KEY, "c"),
    ]
    assert len({account.id for account in accounts}) == len(accounts)
    assert replace(ACCOUNT, key="another").id == ACCOUNT.id


def test_the_label_says_conversion_type_host_and_redistribution():
    assert ACCOUNT.label == "conversion type sales of api.ihc-attribution.com"
    assert replace(ACCOUNT, redistribution=REDISTRIBUTION).label == (
        f"conversion type sales of api.ihc-attribution.com, redistribution {REDISTRIBUTION.fingerprint}"
    )


def test_the_key_is_in_no_text_of_an_account():
    for text in (repr(ACCOUNT), str(ACCOUNT), ACCOUNT.label, ACCOUNT.id, f"{ACCOUNT}"):
        assert KEY not in text


@pytest.mark.parametrize("url", LOOPBACK)
def test_a_server_of_ones_own_needs_neither_key_nor_conversion_type(url):
    assert is_loopback(url)
    assert make_account(url, "", "") == ApiAccount(url.lower(), "", "default")
    assert make_account(url, KEY, "sales") == ApiAccount(url.lower(), KEY, "sales")


@pytest.mark.parametrize("url", ["https://API.example.com/v1", "https://api.example.com:443/v1"])
def test_an_address_in_another_form_is_the_same_account(url):
    assert make_account(url, KEY, "t").id == make_account("https://api.example.com/v1", KEY, "t").id


@pytest.mark.parametrize("url", ELSEWHERE)
def test_another_machine_is_never_asked_without_encryption(url):
    assert not is_loopback(url)
    with pytest.raises(SettingsError, match=r"IHC_API_URL must start with https://: .* is a remote host"):
        make_account(url, KEY, "sales")


def test_another_machine_needs_a_key_and_a_conversion_type():
    with pytest.raises(SettingsError, match=r"set IHC_API_KEY in the environment or in \.env, never in a notebook"):
        make_account(API_URL, "", "sales")
    with pytest.raises(SettingsError, match="set --conv-type-id or IHC_CONV_TYPE_ID"):
        make_account(API_URL, KEY, "")


@pytest.mark.parametrize("key", ["two words", "trailing\n", "schlüssel", "nul\0", "“quoted”"])
@pytest.mark.parametrize("url", [API_URL, LOOPBACK[0]])
def test_a_key_that_no_header_can_carry_is_refused_without_printing_it(url, key):
    with pytest.raises(
        SettingsError, match="IHC_API_KEY contains spaces or other characters that are not part of a key"
    ) as error:
        make_account(url, key, "sales")
    assert key.strip() not in str(error.value)


@pytest.mark.parametrize("conv_type_id", ["two\nlines", "\x1b[31m", "nul\0"])
def test_a_conversion_type_that_cannot_be_printed_is_refused(conv_type_id):
    with pytest.raises(SettingsError, match="IHC_CONV_TYPE_ID"):
        make_account(API_URL, KEY, conv_type_id)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.ihc-attribution.com",
        "//api.ihc-attribution.com",
        "ftp://api.ihc-attribution.com",
        "https:///v1",
        "https://host:port",
        "https://host:0",
        "https://host:99999",
        "https://[::1",
        "https://user@host",
        "https://user:word@host",
        "http://127.0.0.1\\@example.com",
        "http://localhost#@example.com",
        "http://localhost?@example.com",
        f"https://host/v1?x-api-key={KEY}",
        f"https://host/v1#{KEY}",
    ],
)
def test_an_invalid_url_is_refused_without_printing_it(url):
    with pytest.raises(SettingsError, match="IHC_API_URL must be a URL like https://api") as error:
        make_account(url, KEY, "sales")
    assert KEY not in str(error.value)
    assert "word@" not in str(error.value)
