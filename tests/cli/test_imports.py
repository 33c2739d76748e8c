"""`ihc import` end to end: three exports, one command, and the report adds up to the cent."""

import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from helpers.commands import ihc_here

import ihc

# A made-up shop: semicolons, comma decimals, DD/MM/YYYY, source and medium, spend with days without sessions.
SESSIONS = """Visit ID;Customer;Started at;utm_source;utm_medium;utm_campaign;Pages
s1;u1;01/03/2025 09:00:00;google;cpc;Spring;3
s2;u1;02/03/2025 10:00:00;newsletter;email;;1
s3;u2;13/03/2025 11:00:00;google;cpc;Spring;2
s4;u3;13/03/2025 12:00:00;;;;1
s5;u4;13/03/2025 13:00:00;google;cpc;Spring;5
"""
ORDERS = """Order number;Customer;Ordered at;Order total;Status
1001;u1;02/03/2025 10:05:00;1.234,56;paid
1002;u2;13/03/2025 11:30:00;65,44;paid
1003;u3;13/03/2025 12:30:00;99,00;cancelled
"""
# Three sessions share 10.00 on 13 March; nobody came through Paid Search on 14 March.
SPEND = """Day;Source;Medium;Campaign;Cost;Currency
01/03/2025;google;cpc;Spring;2,50;EUR
13/03/2025;google;cpc;Spring;10,01;EUR
14/03/2025;google;cpc;Spring;7,49;EUR
"""


@pytest.fixture
def shop(tmp_path):
    for name, text in {"sessions": SESSIONS, "orders": ORDERS, "spend": SPEND}.items():
        (tmp_path / f"{name}.csv").write_text(text, "utf-8-sig")
    return tmp_path


def import_here(folder, *options, names=("sessions", "orders", "spend")):
    files = [part for name in names for part in (f"--{name}", f"{name}.csv")]
    return ihc_here("import", *files, "--database", "shop.db", *options, cwd=folder)


def rows(folder, query):
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        return connection.execute(query).fetchall()


def test_three_exports_become_a_report_that_adds_up_to_the_cent(shop):
    done = import_here(shop)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-4:-1] == [
        "session_sources: 5 new, 0 changed, 0 unchanged; 5 in all",
        "conversions: 2 new, 0 changed, 0 unchanged; 2 in all",
        "channel_costs: 3 new, 0 changed, 0 unchanged; 3 in all",
    ]
    assert "dropped: status" in done.stdout
    assert "3  Paid Search (google / cpc)" in done.stdout
    assert rows(shop, "SELECT conv_id, conv_date, revenue FROM conversions") == [
        ("1001", "2025-03-02", 1234.56),
        ("1002", "2025-03-13", 65.44),
    ]
    report = ihc.open(shop / "shop.db").report()
    channels = report.channels.frame.set_index("channel_name")
    # 2.50 + 10.01 + 7.49 = 20.00, of which 7.49 on a day without sessions
    assert channels.loc["Paid Search", "cost"] == pytest.approx(20.0, abs=1e-9)
    assert channels.loc["Total", "cost"] == pytest.approx(20.0, abs=1e-9)
    assert channels.loc["Total", "ihc_revenue"] == pytest.approx(1300.0, abs=1e-9)


def test_the_screen_shows_columns_values_rows_and_channels(shop, snapshot):
    assert import_here(shop).stdout.replace(str(shop), "FOLDER") == snapshot


def test_a_dry_run_shows_the_same_and_writes_nothing(shop):
    before = sorted(shop.iterdir())
    done = import_here(shop, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "Paid Search" in done.stdout
    assert done.stdout.splitlines()[-1] == "Nothing was written (--dry-run)."
    assert sorted(shop.iterdir()) == before


def test_the_same_import_changes_nothing_and_uses_the_edited_mapping(shop):
    import_here(shop)
    mapping = shop / "shop.mapping.toml"
    mapping.write_text(mapping.read_text() + '\n[[channels]]\nchannel = "Ads"\nmedium = "cpc"\n')
    again = import_here(shop)
    assert f"Columns as in the mapping {mapping}." in again.stdout
    assert "session_sources: 0 new, 5 changed, 0 unchanged" in again.stdout
    assert "session_sources: 0 new, 0 changed, 5 unchanged" in import_here(shop).stdout


def test_a_later_export_with_ambiguous_dates_is_read_like_the_first(shop):
    assert import_here(shop).returncode == 0
    (shop / "orders.csv").write_text(
        "Order number;Customer;Ordered at;Order total;Status\n1004;u1;03/04/2025;5,00;paid\n"
    )
    assert import_here(shop, names=("orders",)).returncode == 0
    assert rows(shop, "SELECT conv_date FROM conversions WHERE conv_id = '1004'") == [("2025-04-03",)]


def test_a_later_export_is_added_to_mapping_and_tables(shop):
    assert import_here(shop, names=("sessions", "orders")).returncode == 0
    done = import_here(shop, names=("spend",))
    assert done.returncode == 0, done.stderr
    assert f"Mapping added to {shop / 'shop.mapping.toml'}" in done.stdout
    assert rows(shop, "SELECT count(*) FROM channel_costs") == [(3,)]


def test_two_readings_are_asked_about_and_nothing_is_stored(shop):
    (shop / "orders.csv").write_text("Order number;Customer;Ordered at;Order total\n1;u1;03/04/2025;5,00\n")
    done = import_here(shop)
    assert done.returncode == 1
    assert "--orders, column Ordered at:" in done.stderr
    assert "day_first" in done.stderr
    assert not (shop / "shop.db").exists()
    mapping = shop / "shop.mapping.toml"
    mapping.write_text(mapping.read_text().replace("[orders.columns]", "[orders]\nday_first = true\n[orders.columns]"))
    assert import_here(shop).returncode == 0
    assert rows(shop, "SELECT conv_date FROM conversions") == [("2025-04-03",)]


def test_an_option_that_contradicts_the_mapping_is_refused(shop):
    assert import_here(shop, "--timezone", "Europe/Berlin").returncode == 0
    done = import_here(shop, "--timezone", "Europe/Paris")
    assert done.returncode == 1
    assert "says timezone = 'Europe/Berlin': change it there" in done.stderr


def test_the_sample_shop_is_not_imported_into(shop):
    ihc_here("sample", "shop.db", "--conversions", "5", cwd=shop)
    done = import_here(shop)
    assert done.returncode == 1
    assert "is the sample shop: import into a database of your own" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "Give the files to import"),
        (
            ("--events", "sessions.csv"),
            "Nothing reads the files of --events. Name the tool that they come from with --preset.",
        ),
        (("--sessions", "sessions.csv", "--preset", "x"), "There is no preset 'x'; presets are"),
        (("--sessions", "orders.csv"), "no column was found for channel, or source and medium"),
    ],
)
def test_what_cannot_be_imported_is_said_in_one_sentence(shop, options, says):
    done = ihc_here("import", *options, "--database", "shop.db", cwd=shop)
    assert done.returncode == 1
    assert says in done.stderr
    assert not (shop / "shop.db").exists()


def test_export_and_import_of_the_sample_equal_the_direct_way_to_the_cent(tmp_path):
    ihc_here("sample", "direct.db", "--conversions", "300", cwd=tmp_path)
    ihc_here("sample", "--as", "csv", ".", "--conversions", "300", cwd=tmp_path)
    assert import_here(tmp_path).returncode == 0
    direct, imported = (
        ihc.open(tmp_path / name).report().channels.frame.set_index("channel_name") for name in ("direct.db", "shop.db")
    )
    figures = ["cost", "ihc", "ihc_revenue"]
    shared = [name for name in direct.index if name != "Total"]
    assert set(imported.index) - set(direct.index) == {"(not set)"}
    pd.testing.assert_frame_equal(
        imported.loc[shared, figures], direct.loc[shared, figures], check_exact=False, atol=0.005
    )
    # The cost of three ids that no session has, 0.75 + 1.25 + 0.50, has no channel in the export.
    assert imported.loc["(not set)", "cost"] == 2.5
    assert imported.loc["Total", "cost"] == pytest.approx(direct.loc["Total", "cost"] + 2.5, abs=0.005)
    assert imported.loc["Total", "ihc_revenue"] == pytest.approx(direct.loc["Total", "ihc_revenue"], abs=0.005)


def test_amounts_in_several_currencies_are_refused_until_one_is_chosen(shop):
    (shop / "spend.csv").write_text(SPEND.replace("EUR", "USD", 1))
    done = import_here(shop)
    assert done.returncode == 1
    assert "several currencies (EUR in 2 rows and USD in 1 row)" in done.stderr
    done = import_here(shop, "--currency", "EUR")
    assert "1  dropped: currency other than EUR" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("--currency EUR")


def test_the_hour_that_comes_twice_in_autumn_keeps_its_order(tmp_path):
    # On 26 October 2025, 00:50 UTC is 02:50 in Berlin, and 01:10 UTC is 02:10, after the clocks went back.
    (tmp_path / "sessions.csv").write_text("session_id,user_id,time,channel\ns,u,2025-10-26T00:50:00Z,Mail\n")
    (tmp_path / "orders.csv").write_text("order_id,user_id,time,revenue\no,u,2025-10-26T01:10:00Z,5.00\n")
    done = import_here(tmp_path, "--timezone", "Europe/Berlin", names=("sessions", "orders"))
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path, "SELECT event_date, event_time FROM session_sources") == [("2025-10-26", "02:50:00")]
    channels = ihc.open(tmp_path / "shop.db").report().channels.frame.set_index("channel_name")
    assert channels.loc["Mail", "ihc_revenue"] == 5.0


def test_amounts_of_several_currencies_are_refused(shop):
    (shop / "orders.csv").write_text("order_id,user_id,time,total\n1,u1,2025-03-02,€5\n2,u1,2025-03-02,£6\n")
    done = import_here(shop, names=("orders",))
    assert done.returncode == 1
    assert (
        done.stderr
        == "ihc: The exports have amounts in EUR and GBP, which cannot be added up. Export them in one currency.\n"
    )
    (shop / "orders.csv").write_text(
        "order_id,user_id,time,total,currency\n1,u1,2025-03-02,US$5,usd\n2,u1,2025-03-02,$6,$\n"
    )
    assert "--currency USD" in import_here(shop, "--map", "new.toml", "--currency", "USD", names=("orders",)).stdout


def test_entries_of_a_part_without_columns_stay_when_its_columns_are_guessed(shop):
    (shop / "shop.mapping.toml").write_text('[orders]\nday_first = false\ndrop_status = ["paid"]\n')
    (shop / "orders.csv").write_text(
        "order_id,user_id,time,total,status\n1,u,03/04/2025,5,paid\n2,u,03/04/2025,6,void\n"
    )
    assert import_here(shop, names=("orders",)).returncode == 0
    assert rows(shop, "SELECT conv_id, conv_date FROM conversions") == [("2", "2025-03-04")]
    assert "order_id =" in (shop / "shop.mapping.toml").read_text()
    assert "Columns as in the mapping" in import_here(shop, names=("orders",)).stdout


def test_an_export_of_unknown_columns_is_told_what_is_needed(shop):
    (shop / "orders.csv").write_text("a,b\nx,y\n")
    says = import_here(shop, names=("orders",)).stderr
    assert "no column was found for order_id" in says
    assert "the columns are 'a', 'b'" in says


def test_an_order_that_was_cancelled_since_is_removed(shop):
    import_here(shop)
    (shop / "orders.csv").write_text(ORDERS.replace("1.234,56;paid", "1.234,56;cancelled"))
    assert "conversions: 0 new, 0 changed, 1 unchanged, 1 removed; 1 in all" in import_here(shop).stdout
    assert rows(shop, "SELECT conv_id FROM conversions") == [("1002",)]


def test_spend_under_an_earlier_channel_is_told(shop):
    import_here(shop)
    (shop / "spend.csv").write_text(SPEND.replace("cpc", "display"))
    done = import_here(shop)
    assert "channel_costs: 3 new, 0 changed, 0 unchanged; 6 in all" in done.stdout
    assert "3 other rows of the same days with a cost of 20.00 stay" in " ".join(done.stdout.split())


def test_a_preset_of_json_refuses_other_files_in_one_sentence(shop):
    done = import_here(shop, "--preset", "shopify", names=("orders",))
    assert done.stderr == (
        "ihc: orders.csv cannot be read: the preset reads JSON, and this is CSV: import it without --preset.\n"
    )


def test_users_who_differ_between_sessions_and_orders_are_told(shop):
    assert "user_id: 2 of 2 orders have a user with sessions" in import_here(shop, "--dry-run").stdout
    (shop / "orders.csv").write_text(ORDERS.replace(";u", ";mail"))
    says = " ".join(import_here(shop, "--dry-run").stdout.split())
    assert "user_id: 0 of 2 orders have a user with sessions; mail1 in the orders is unlike u1 in the sessions" in says
