import pytest
import sqlalchemy as sa

from ihc.database.any_errors import reason_of

URL = sa.make_url("mysql+pymysql://ann@host/shop")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((1146, "Table 'shop.conversions' doesn't exist"), "`ihc init` makes the tables"),
        ((1045, "Access denied for user 'ann'@'host' (using password: YES)"), "check user and password"),
        ((1142, "SELECT command denied to user 'ann'@'host' for table `shop`.`conversions`"), "administrator grant"),
        ((1049, "Unknown database 'shop'"), "check its name in IHC_DATABASE"),
        ((2003, "Can't connect to MySQL server on 'host' ([Errno 111] Connection refused)"), "check host and port"),
        ((2013, "Lost connection to MySQL server during query"), "left nothing behind: run again"),
        ((2006, "MySQL server has gone away (BrokenPipeError(32, 'Broken pipe'))"), "left nothing behind: run again"),
        ((1927, "Connection was killed"), "left nothing behind: run again"),
        ((1205, "Lock wait timeout exceeded; try restarting transaction"), "kept it locked: end that one"),
        ((1213, "Deadlock found when trying to get lock; try restarting transaction"), "at the same time"),
        ((1406, "Data too long for column 'channel_name' at row 3"), "up to 255 characters"),
        ((1054, "Unknown column 'date' in 'INSERT INTO'"), "rename it and run again"),
        ((102, "Incorrect syntax near 'TEMPORARY'."), "what it must be able to do"),
        ((1290, "The MariaDB server is running with the --read-only option"), "a server or a file that takes writes"),
        (("42S02", "[42S02] [Microsoft] Invalid object name 'conversions'."), "`ihc init` makes the tables"),
    ],
)
def test_what_a_server_says_is_followed_by_what_to_do(arguments, says):
    reason = reason_of(RuntimeError(*arguments), URL)
    assert reason.startswith(arguments[1])
    assert says in reason


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("a\n  b"), "a b"),
        (RuntimeError(), "RuntimeError"),
        (RuntimeError(17), "17"),
        (
            RuntimeError((20009, b"Unable to connect:\nno T\xc3\xbcr\xff")),
            "Unable to connect: no Tür\N{REPLACEMENT CHARACTER}",
        ),
        (sa.exc.NoSuchTableError("conversions"), "there is no table conversions; `ihc init` makes"),
    ],
)
def test_an_error_without_known_words_is_said_on_one_line(error, says):
    assert reason_of(error, URL).startswith(says)
