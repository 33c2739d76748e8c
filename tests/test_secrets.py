"""Passwords must never be printed."""

import pytest

from ihc.secrets import masked, password_of, passwords_of


@pytest.mark.parametrize(
    ("database", "password"),
    [
        ("postgresql://ann:s3cret@host/shop", "s3cret"),
        ("postgresql://ann:p%40ss@host/shop", "p@ss"),
        ("postgresql://ann@host/shop?password=s3cret", "s3cret"),
        ("other+driver://ann@host/shop?passwd=s3cret", "s3cret"),
        ("other://ann@host/shop?token=s3cret&warehouse=w", "s3cret"),
        ("other://?odbc_connect=UID%3Dann%3BPWD%3Ds3cret", "UID=ann;PWD=s3cret"),
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


def test_a_password_is_found_in_every_encoding():
    found = passwords_of("postgresql://ann:p%40ss+w%2frd@host/shop?ssl_passphrase=0ther")
    # Decoded, as written, and in other encodings.
    assert {"p@ss+w/rd", "p%40ss+w%2frd", "p%40ss%2Bw%2Frd", "0ther"} <= set(found)
    assert passwords_of("postgresql://ann:abc@host/shop") == ()  # masking such a short word would garble the text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a s3cret b", "a *** b"),
        ("key=k3y of s3cret,s3cret", "key=*** of ***,***"),
        ("s3cret-10", "***"),  # another secret is a prefix of it
        ("nothing", "nothing"),
    ],
)
def test_secrets_are_masked_everywhere(text, shown):
    assert masked(text, ["s3cret", "s3cret-10", "k3y", ""]) == shown
