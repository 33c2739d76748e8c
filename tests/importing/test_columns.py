"""Guessing which column of an export is which."""

import pandas as pd
import pytest

from ihc.importing.columns import guess_columns, guess_kept, part_of, plain

SESSIONS = {
    "english": ("Visit ID", "Customer ID", "Started at", "Channel", "Campaign"),
    "german": ("Besuchs-ID", "Kundennummer", "Zeitstempel", "Kanal", "Kampagne"),
    "french": ("id_visite", "Visiteur", "Horodatage", "Canal", "Campagne"),
    "spanish": ("ID visita", "Usuario", "Fecha", "Canal", "Campaña"),
    "italian": ("ID sessione", "Utente", "Data ora", "Canale", "Campagna"),
    "dutch": ("Bezoek ID", "Bezoeker", "Tijdstip", "Kanaal", "Campagne"),
    "camel case": ("sessionId", "userId", "eventTime", "channelName", "campaignName"),
}
VALUES = (["s1", "s2"], ["u1", "u2"], ["2025-03-01 10:00", "2025-03-02 11:00"], ["Mail", "Ads"], ["a", "b"])


def columns_of(kind, **columns):
    return {guess.field: guess.column for guess in guess_columns(kind, pd.DataFrame(columns))}


@pytest.mark.parametrize("language", SESSIONS)
def test_usual_names_of_several_languages_are_known(language):
    names = SESSIONS[language]
    found = columns_of("sessions", **dict(zip(names, VALUES, strict=True)))
    assert found == dict(zip(("session_id", "user_id", "time", "channel", "campaign"), names, strict=True))


def test_orders_and_spend_of_ordinary_exports():
    orders = {"Name": ["#1001"], "Email": ["a@b.c"], "Created at": ["2025-03-01"], "Total": ["12.50"]}
    more = {"Financial Status": ["paid"], "Currency": ["EUR"]}
    assert columns_of("orders", **orders, **more) == {
        "order_id": "Name",
        "user_id": "Email",
        "time": "Created at",
        "revenue": "Total",
        "currency": "Currency",
        "status": "Financial Status",
    }
    spend = {
        "Day": ["2025-03-01"],
        "Campaign name": ["a"],
        "Amount spent": ["3.10"],
        "Impressions": ["7"],
        "Link clicks": ["1"],
    }
    assert columns_of("spend", **spend) == {
        "date": "Day",
        "campaign": "Campaign name",
        "cost": "Amount spent",
        "impressions": "Impressions",
        "clicks": "Link clicks",
    }


@pytest.mark.parametrize(
    ("kind", "names", "field", "column"),
    [
        ("orders", ("Total tax", "Shipping total", "Total paid"), "revenue", "Total paid"),
        ("orders", ("Subtotal", "Sub total", "Unit price", "Grand total (EUR)"), "revenue", "Grand total (EUR)"),
        ("orders", ("Avg. order value", "Refund amount", "Discount total"), "revenue", None),
        ("spend", ("Cost per result", "Avg. cost", "Amount spent (EUR)"), "cost", "Amount spent (EUR)"),
        ("spend", ("Cost / conv.", "Spend in USD"), "cost", "Spend in USD"),
    ],
)
def test_amounts_of_something_else_are_not_taken(kind, names, field, column):
    assert columns_of(kind, **{name: ["1.50", "2.50"] for name in names}).get(field) == column


@pytest.mark.parametrize(
    ("kind", "name", "field"),
    [
        ("orders", "Deal Name", "order_id"),
        ("orders", "Customer name", "order_id"),
        ("orders", "Order note", "order_id"),
        ("orders", "Original Source Type", "conversion_type"),
        ("sessions", "User agent", "user_id"),
        ("sessions", "Customer group", "user_id"),
    ],
)
def test_a_vague_word_beside_another_is_no_guess(kind, name, field):
    assert field not in columns_of(kind, **{name: ["a", "b"]})


@pytest.mark.parametrize("name", ["Birth date", "Delivery date", "Last order date", "Updated at"])
def test_dates_of_something_else_are_not_the_time(name):
    assert "time" not in columns_of("orders", **{name: ["2025-03-01", "2025-03-02"]})


def test_values_of_another_kind_speak_against_a_name():
    found = columns_of("orders", order_id=["a", "b"], revenue=["high", "low"], amount_net=["12.50", "3.10"])
    assert found["revenue"] == "amount_net"


def test_a_needed_field_takes_its_usual_name_despite_its_values_if_there_is_no_other():
    found = {each.field: each for each in guess_columns("orders", pd.DataFrame({"created_at": ["3/14/25"]}))}
    assert found["time"].confidence < 0.5


def test_an_id_that_further_lines_of_an_order_lack_is_not_the_order_id():
    found = columns_of("orders", Id=["55001", None, None], Name=["#1001", "#1001", "#1001"])
    assert found == {"order_id": "Name"}


def test_the_first_day_of_a_longer_period_is_no_day_of_spend():
    spend = {"Amount spent": ["3"], "Reporting starts": ["2025-03-01"]}
    assert "date" not in columns_of("spend", **spend, **{"Reporting ends": ["2025-03-31"]})
    assert columns_of("spend", **spend, **{"Reporting ends": ["2025-03-01"]})["date"] == "Reporting starts"


def test_a_column_serves_one_field():
    found = columns_of("sessions", id=["1"], user=["u"], source=["google"], medium=["cpc"])
    assert found == {"session_id": "id", "user_id": "user", "source": "source", "medium": "medium"}


def test_a_day_and_a_time_of_day_are_joined():
    assert columns_of("sessions", Datum=["01.03.2025"], Uhrzeit=["10:00"])["time"] == ["Datum", "Uhrzeit"]
    assert columns_of("sessions", Datum=["01.03.2025 10:00"], Uhrzeit=["10:00"])["time"] == "Datum"


def test_an_ambiguous_date_is_still_a_date():
    assert columns_of("sessions", date=["03/04/2025"])["time"] == "date"


def test_the_usual_name_counts_more_than_one_that_contains_it():
    guesses = guess_columns("orders", pd.DataFrame({"Line total": ["5"], "Order total": ["10"]}))
    assert [(guess.column, round(guess.confidence, 2)) for guess in guesses] == [("Order total", 1.0)]
    (partial,) = guess_columns("orders", pd.DataFrame({"My order total (EUR)": ["5"]}))
    assert (partial.field, round(partial.confidence, 1), partial.sample) == ("revenue", 0.7, "5")


def test_columns_to_break_a_report_down_by_are_kept():
    frame = pd.DataFrame({"Visit ID": ["1"], "Device Category": ["mobile"], "Country": ["DE"], "Note": ["x"]})
    part = part_of(guess_columns("sessions", frame), frame)
    assert part.keep == guess_kept(frame, part) == {"device_category": "Device Category", "country": "Country"}


def test_names_are_compared_without_case_accents_and_punctuation():
    assert [plain(name) for name in ("Größe_(cm)", "Campaña", "sessionId", "  ID-Visite ")] == [
        *("groesse cm", "campana", "session id", "id visite"),
    ]
