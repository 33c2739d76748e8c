import pytest
from helpers.frames import conversions, refunds

from ihc.errors import InputError
from ihc.schemas.conversion_types import check_parameter_types, check_type, of_type, types_of
from ihc.schemas.tables import CONVERSIONS, check_table

ORDERS = refunds(
    [
        ("k1", "u", "2023-09-01 10:00:00", 0.0, None),
        ("k2", "u", "2023-09-02 10:00:00", 50.0, None),
        ("k3", "v", "2023-09-03 10:00:00", 20.0, None),
        ("back", "u", "2023-09-04 10:00:00", -50.0, "k2"),
    ]
).assign(conversion_type=["lead", "purchase", None, None])


def test_a_refund_has_the_type_of_its_order_and_a_row_without_a_type_has_none():
    assert types_of(ORDERS).tolist() == ["lead", "purchase", "(none)", "purchase"]
    assert types_of(conversions([("k", "u", "2023-09-01 10:00:00", 1.0)])).tolist() == ["(none)"]
    assert types_of(ORDERS.iloc[::-1]).tolist() == ["purchase", "(none)", "purchase", "lead"]


def test_conversions_are_selected_by_type():
    assert of_type(ORDERS, "purchase")["conv_id"].tolist() == ["k2", "back"]
    assert of_type(ORDERS, "(none)")["conv_id"].tolist() == ["k3"]
    assert of_type(ORDERS, "trial").empty
    assert of_type(ORDERS, None) is ORDERS


def test_an_unknown_type_is_refused_with_the_existing_ones():
    check_type(ORDERS, "lead")
    check_type(ORDERS, None)
    with pytest.raises(InputError) as error:
        check_type(ORDERS, "Lead")
    assert str(error.value) == (
        "No conversion has the type 'Lead'. Existing types: purchase (2 conversions), lead (1 conversion), "
        "(none) (1 conversion)."
    )
    with pytest.raises(InputError, match="has no column conversion_type: add it, or leave out --conversion-type lead"):
        check_type(ORDERS.drop(columns="conversion_type"), "lead")


@pytest.mark.parametrize("empty", [None, "", " "])
def test_an_empty_type_is_none_and_other_types_become_text(empty):
    checked = check_table(CONVERSIONS, ORDERS.assign(conversion_type=["lead", empty, 7, "7"]))
    assert types_of(checked.drop(columns="refund_of")).tolist() == ["lead", "(none)", "7", "7"]


def test_types_with_parameters_that_no_conversion_has_are_refused_with_the_existing_ones():
    check_parameter_types(ORDERS, ["lead", "purchase", "(none)"])
    check_parameter_types(ORDERS.drop(columns="conversion_type"), [])
    with pytest.raises(InputError, match=r"names the type 'led', which no conversion has\. Existing types: .*lead \("):
        check_parameter_types(ORDERS, ["lead", "led"])
    with pytest.raises(InputError, match="names the types 'a', 'b', which"):
        check_parameter_types(ORDERS, ["b", "a"])
    with pytest.raises(InputError, match="no column conversion_type: add it, or give one FILE for all conversions"):
        check_parameter_types(ORDERS.drop(columns="conversion_type"), ["lead"])
