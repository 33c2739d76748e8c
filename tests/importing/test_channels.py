import pandas as pd
import pytest
from helpers.frames import FEW, UNTRUSTED
from hypothesis import given
from hypothesis import strategies as st

from ihc.errors import InputError, SettingsError
from ihc.importing.channels import Rule, channels_of, ga4_rules, load_rules, normalised

RULES = load_rules([{"channel": "Search", "source": "google|bing"}, {"channel": "Mail", "medium": "^e?mail$"}], "here")


def frame(*rows, columns=("source", "medium", "campaign", "referrer")):
    return pd.DataFrame([[*row, *[None] * (len(columns) - len(row))] for row in rows], columns=columns)


def ga4(*row):
    return channels_of(frame(row), ga4_rules()).channel.item()


# GA4's default channel grouping on its documented cases: https://support.google.com/analytics/answer/9756891
@pytest.mark.parametrize(
    ("channel", "row"),
    [
        ("Direct", ("(direct)", "(none)")),
        ("Direct", ("(direct)", "(not set)")),
        ("Cross-network", ("google", "cpc", "Cross-network summer")),
        ("Paid Shopping", ("ebay.co.uk", "ppc")),
        ("Paid Shopping", ("shopping.google.com", "cpc")),
        ("Paid Shopping", ("google", "cpc", "Shop all")),
        ("Paid Shopping", ("partner", "retargeting", "my-eshop")),
        ("Paid Search", ("google", "cpc")),
        ("Paid Search", ("bing", "paidsearch")),
        ("Paid Social", ("facebook.com", "paid_social")),
        ("Paid Video", ("youtube.com", "cpv-cpc")),
        ("Display", ("news.example", "cpm")),
        ("Display", ("news.example", "banner")),
        ("Paid Other", ("news.example", "cpc")),
        ("AI Assistant", ("chatgpt.com", "ai-assistant")),
        ("AI Assistant", ("gemini.google.com", "referral")),
        ("AI Assistant", ("chatgpt.com",)),
        ("Organic Shopping", ("amazon.com", "referral")),
        ("Organic Shopping", ("newsletter", "organic", "shopping days")),
        ("Organic Social", ("facebook.com", "referral")),
        ("Organic Social", ("l.instagram.com", "referral")),
        ("Organic Social", ("t.co", "referral")),
        ("Organic Social", ("blog.example", "social-network")),
        ("Organic Video", ("m.youtube.com", "referral")),
        ("Organic Video", ("blog.example", "embedded-video")),
        ("Organic Search", ("de.search.yahoo.com", "referral")),
        ("Organic Search", ("blog.example", "organic")),
        ("Referral", ("blog.example", "referral")),
        ("Referral", ("blog.example", "link")),
        ("Email", ("gmail", "email")),
        ("Email", ("e-mail", "newsletter")),
        ("Affiliates", ("awin", "affiliate")),
        ("Audio", ("spotify", "audio")),
        ("SMS", ("sms", "text")),
        ("SMS", ("twilio", "sms")),
        ("Mobile Push Notifications", ("app", "webpush")),
        ("Mobile Push Notifications", ("app", "mobile")),
        ("Mobile Push Notifications", ("app", "in-app-notification")),
        ("Mobile Push Notifications", ("firebase", "fcm")),
        ("Unassigned", ("partner", "flyer")),
        ("Unassigned", ("(not set)", "(not set)")),
    ],
)
def test_ga4_groups_its_documented_cases(channel, row):
    assert ga4(*row) == channel


@pytest.mark.parametrize(
    ("channel", "row"),
    [
        ("Paid Search", ("google", "cpm")),  # a search site: before Display
        ("Display", ("blog.example", "cpm")),  # matches Paid Other as well
        ("Paid Shopping", ("facebook.com", "cpc", "shop")),  # a campaign's name: before Paid Social
        ("Paid Search", ("google", "cpc", "Workshop")),  # a shop after a letter other than e is no shop
        ("Organic Shopping", ("facebook.com", "social", "shop")),
        ("Organic Social", ("facebook.com", "email")),  # a social site: before Email
        ("Cross-network", ("ebay.com", "cpc", "cross-network")),
        ("Organic Search", ("google", "email")),
        ("Email", ("(direct)", "email")),
    ],
)
def test_the_first_rule_of_ga4_wins(channel, row):
    assert ga4(*row) == channel


@pytest.mark.parametrize(
    ("channel", "row"),
    [
        ("Referral", ("docs.google.com", "referral")),
        ("Referral", ("notfacebook.com", "referral")),
        ("Referral", ("facebook.com.evil.example", "referral")),
        ("Referral", ("facebook.shop.example", "referral")),
        ("Organic Search", ("www.google.co.uk", "referral")),
        ("Organic Social", ("PINTEREST.com.mx", "Referral")),
    ],
)
def test_a_site_counts_under_its_own_hosts_only(channel, row):
    assert ga4(*row) == channel


@pytest.mark.parametrize(
    ("channel", "referrer"),
    [
        ("Organic Search", "https://www.google.com/search?q=shoes"),
        ("Organic Social", "android-app://m.facebook.com/"),
        ("Organic Social", "http://user@l.facebook.com:8080/l.php?u=https://google.com"),
        ("Referral", "blog.example/post"),
        ("Direct", "-"),
        ("Direct", "(direct)"),
        ("Direct", "  "),
        ("Direct", None),
    ],
)
def test_without_source_and_medium_the_host_of_the_referrer_counts(channel, referrer):
    assert ga4(None, " ", None, referrer) == channel


def test_the_referrer_does_not_replace_a_source_or_a_medium():
    rows = [("flyer", None, None, "https://google.com"), (None, "email", None, "https://google.com")]
    assert channels_of(frame(*rows), ga4_rules()).channel.tolist() == ["Unassigned", "Email"]


def test_a_campaign_alone_is_not_direct():
    assert ga4(None, None, "summer") == "Unassigned"


def test_blanks_and_case_do_not_count():
    found = channels_of(frame((" Google ", "CPC"), ("BING", None), (None, "\tE-Mail\n")), ga4_rules())
    assert found.channel.tolist() == ["Paid Search", "Organic Search", "Email"]


def test_rules_match_in_order_with_all_their_conditions_anywhere_in_the_text():
    rules = load_rules(
        [
            {"channel": "Brand", "source": "GOOGLE", "campaign": "brand"},
            {"channel": "Search", "source": "google"},
            {"channel": "Blog", "referrer": r"/blog/\d+"},
            {"channel": "Market", "source_category": "shopping"},
            {"channel": "No campaign", "campaign": "^$"},
        ],
        "mapping.toml",
    )
    rows = [
        ("my.google.com", "x", "Our Brand"),
        ("google", "x", "other"),
        (None, None, "c", "https://a.example/blog/7"),
        ("Amazon", "x", "c"),
        ("b", "x"),
        ("b", "x", "c"),
    ]
    found = channels_of(frame(*rows), rules)
    assert found.channel.tolist() == ["Brand", "Search", "Blog", "Market", "No campaign", "Unassigned"]
    assert found.channel.name == "channel_name"


def test_counts_name_each_rule_that_matched_with_its_most_frequent_example():
    found = channels_of(
        frame(("bing", "organic"), ("google", "organic"), ("google", "organic"), ("a", "mail"), ("b", "c", "d")), RULES
    )
    assert found.counts.to_numpy().tolist() == [
        [1, "Search", 3, "google / organic"],
        [2, "Mail", 1, "a / mail"],
        [0, "Unassigned", 1, "b / c"],
    ]


def test_the_most_frequent_combinations_without_a_rule_come_first():
    rows = [("a", "x", "1"), ("B", "x", "2"), ("b ", "x", "2"), ("google", "x", "3")]
    found = channels_of(frame(*rows, columns=["source", "medium", "campaign"]), RULES).unmatched
    assert found.to_numpy().tolist() == [["b", "x", "2", 2], ["a", "x", "1", 1]]


def test_at_most_twenty_combinations_are_listed():
    found = channels_of(pd.DataFrame({"source": [f"s{number}" for number in range(30)], "medium": "x"}), RULES)
    assert len(found.unmatched) == 20
    assert found.counts["rows"].tolist() == [30]


def test_the_index_is_kept_and_an_empty_frame_has_no_channels():
    some = channels_of(frame(("google",), ("a", "mail")).set_axis([7, 3]), RULES)
    assert some.channel.to_dict() == {7: "Search", 3: "Mail"}
    none = channels_of(frame(), RULES)
    assert len(none.channel) == len(none.counts) == len(none.unmatched) == 0


def test_without_any_column_to_name_channels_by_the_message_says_which_to_map():
    with pytest.raises(InputError, match="Map at least one of source, medium, campaign, referrer"):
        channels_of(pd.DataFrame({"x": [1]}), RULES)


def test_values_that_are_not_texts_do_no_harm():
    odd = pd.DataFrame({"source": [1, 2.5, None, ["a"], {"b": 1}, b"\xff", "\x00"], "medium": [True] * 7})
    assert channels_of(odd, RULES).channel.tolist() == ["Unassigned"] * 7


@pytest.mark.parametrize("column", ["source", "medium", "campaign", "referrer"])
def test_untrusted_texts_do_no_harm(column):
    found = channels_of(pd.DataFrame({column: UNTRUSTED}), ga4_rules())
    assert len(found.channel) == len(UNTRUSTED)


TEXTS = st.one_of(st.none(), st.sampled_from(["google", "facebook.com", "cpc", "email", " CPC ", "(none)", "x"]))


@FEW
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=12))
def test_a_row_has_its_channel_whatever_the_other_rows_are(rows):
    together = channels_of(frame(*rows), ga4_rules())
    assert together.channel.tolist() == [ga4(*row) for row in rows]
    assert together.counts["rows"].sum() == len(rows)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([{"source": "x"}], "mapping.toml, rule 1 of .*: channel is None"),
        ([{"channel": " "}], "rule 1 of .*: channel is ' '"),
        ([{"channel": "A", "sourc": "x"}], "unknown field 'sourc'. Valid fields: source, medium, campaign, referrer"),
        ([{"channel": "A", "source": 1}], "source is 1. Give a regular expression as text"),
        ([{"channel": "A", "source": "x"}, {"channel": "B", "medium": "(a"}], r"rule 2 .*medium '\(a' .* missing \)"),
        ([{"channel": "A", "source": "(?=x)a"}], "look-ahead.* not supported"),
        ([{"channel": "A", "source": r"(a)\1"}], "back references are not supported"),
        ([{"channel": "A", "source": "((a{900}){900}){900}"}], "repetition"),
        ([{"channel": "A"}, {"channel": "B", "source": "x"}], "A has no condition, so no later rule can match"),
        (["A"], "rule 1 of .* is 'A'"),
        ("A", "channels is 'A'"),
        ({"channel": "A"}, "channels is {'channel': 'A'}"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(entries, says):
    with pytest.raises(SettingsError, match=says):
        load_rules(entries, "mapping.toml")


def test_a_rule_without_conditions_may_come_last():
    rules = load_rules([{"channel": "A", "source": "x"}, {"channel": "The   rest"}], "mapping.toml")
    assert rules[1] == Rule("The rest", ())
    assert channels_of(frame(("x",), ("y",)), rules).channel.tolist() == ["A", "The rest"]


@pytest.mark.timeout(20)
def test_no_expression_takes_forever():
    rules = load_rules([{"channel": "A", "source": "^(a+)+$"}], "mapping.toml")
    assert channels_of(frame(("a" * 100_000 + "!",)), rules).channel.tolist() == ["Unassigned"]


def test_spellings_of_a_name_become_the_most_frequent_one():
    names = pd.Series(["Paid  Search", "paid search", "paid search ", "PaidSearch", "Mail", "mail", None, " "])
    unified = normalised(names.set_axis(range(10, 18)))
    assert unified.tolist()[:6] == ["paid search"] * 4 + [
        "Mail",
        "Mail",
    ]  # Mail and mail: as frequent, first alphabetically
    assert unified.isna().tolist() == [False] * 6 + [True, True]
    assert unified.index.tolist() == list(range(10, 18))


def test_blanks_inside_a_name_are_collapsed_before_counting():
    assert normalised(pd.Series(["A  B", "A B", "a b", "a b", "A\tB"])).tolist() == ["A B"] * 5  # 3 to 2


def test_names_that_differ_in_more_than_case_and_blanks_stay_apart():
    assert normalised(pd.Series(["Search", "Searches", "Straße", "STRASSE"])).tolist()[:2] == ["Search", "Searches"]


def test_no_names_stay_no_names():
    assert normalised(pd.Series([], dtype="str")).tolist() == []
    assert normalised(pd.Series([None, None], dtype="str")).isna().all()
