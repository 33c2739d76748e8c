import pytest
from helpers.reports import stored_report

from ihc.errors import InputError


@pytest.fixture(scope="module")
def report(shop, tmp_path_factory):
    return stored_report(shop, tmp_path_factory.mktemp("stress"), break_even_roas=2)


def test_the_stress_test_shows_the_reported_figures_with_a_sentence_per_channel_and_a_chart(report):
    found = report.stress(worlds=4)
    channels = report.channels.frame.set_index("channel_name")
    assert found.frame["ROAS"].tolist() == pytest.approx(channels.loc[found.frame["channel_name"], "ROAS"].tolist())
    assert (found.frame["worlds"] == 4).all()
    for row in found.frame.to_dict("records"):
        assert f"{row['channel_name']}: {row['verdict']} break-even in " in found.text
    assert found.plot().axes
    assert "of 4 worlds" in found._repr_html_()


def test_the_stress_test_is_no_part_of_the_report_unless_asked_for(report):
    assert "stress" not in {exhibit.name for exhibit in report.exhibits}


def test_the_stress_test_needs_a_world(report):
    with pytest.raises(InputError, match="at least one world"):
        report.stress(worlds=0)
