import pandas as pd

from ihc.narrative.channels import chosen_type_sentence, types_sentence

TABLE = pd.DataFrame(
    {
        "conversion_type": ["purchase", "lead", "Total"],
        "orders": [2, 1, 3],
        "untracked": [1, 0, 1],
        "revenue": [90.0, 0.0, 90.0],
    }
)


def test_types_are_counted_and_the_largest_is_named():
    assert types_sentence(TABLE).startswith(
        "3 orders of 2 conversion types; purchase has the most revenue, 90.00 of 90.00. Attributed figures are"
    )


def test_a_chosen_type_is_stated():
    assert chosen_type_sentence("lead") == "Only conversions of the type lead are counted."
    assert chosen_type_sentence(None) == ""
