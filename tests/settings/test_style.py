import pytest
from helpers.settings import load

from ihc.errors import SettingsError
from ihc.settings.style import LARGEST_LOGO, SECTIONS, HouseStyle, load_style


def styled(folder, text):
    (folder / "house.toml").write_text(text, "utf-8")
    return load_style(folder / "house.toml")


def test_without_a_file_the_report_has_no_title_and_all_its_sections(tmp_path, monkeypatch):
    style = load(tmp_path, monkeypatch, {}).report.style
    assert style == HouseStyle()
    assert (style.title, style.logo, style.language, style.sections) == ("", "", "", SECTIONS)


def test_a_file_gives_title_logo_language_colours_and_sections(tmp_path, monkeypatch):
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    text = 'title = "Acme"\nlogo = "logo.png"\nlanguage = "fr_CH"\naccent = "#0b6e4f"\nsections = ["Paths"]\n'
    (tmp_path / "house.toml").write_text(f'{text}[channels]\n"Paid Social" = "#1877F2"\n')
    assert load(tmp_path, monkeypatch, {"IHC_STYLE": "house.toml"}).report.style == HouseStyle.model_construct(
        title="Acme",
        logo="data:image/png;base64,iVBORw==",
        language="fr_CH",
        accent="#0b6e4f",
        channels={"Paid Social": "#1877F2"},
        sections=("Paths",),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title = Acme", "is not valid TOML: Invalid value"),
        ('titel = "Acme"', "unknown entry titel; entries are title, logo, language, accent, channels, sections"),
        ("title = 5", "title is 5: give a text"),
        ('accent = "red"', "accent is 'red': give a colour such as #0b6e4f"),
        ('accent = "#ffcc00"', "accent is '#ffcc00': its contrast on white is 1.5: give a darker colour (4.5 or more)"),
        ('[channels]\nSearch = "blue"', "channels.Search is 'blue': give a colour such as #0b6e4f"),
        ('language = "klingon"', "language is 'klingon': give the code of a language, such as en, de or fr-CH"),
        (
            '[channels]\nSearch = "#ffffff"',
            "the contrast of #ffffff for 'Search' on white is 1.0",
        ),
        ('sections = "Paths"', "sections is 'Paths': give a list of texts"),
        ('logo = "text.png"', "text.png is not an image"),
        ('logo = "folder.png"', "folder.png is not an image"),
        ('sections = ["Path"]', "unknown section 'Path'; sections are Channels, Experiments, Trend and "),
        ('logo = "logo.bmp"', "logo is 'logo.bmp': give an image: .svg, .png"),
        ('logo = "gone.png"', "gone.png cannot be read: there is no such file or folder"),
    ],
)
def test_an_entry_that_is_wrong_is_named_with_its_value(tmp_path, text, says):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SettingsError) as refused:
        styled(tmp_path, text)
    assert str(refused.value).startswith(f"The house style {tmp_path / 'house.toml'}")
    assert says in str(refused.value)


def test_a_logo_that_is_too_large_is_refused(tmp_path):
    (tmp_path / "logo.png").write_bytes(bytes(LARGEST_LOGO + 1))
    with pytest.raises(SettingsError, match="the image has 500,001 bytes: give one of at most 500,000"):
        styled(tmp_path, 'logo = "logo.png"')


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"The house style .*house\.toml cannot be read: there is no such file"):
        load_style(tmp_path / "house.toml")


def test_what_cannot_be_printed_is_left_out_of_the_title_and_no_logo_is_none(tmp_path):
    style = styled(tmp_path, '\ufefftitle = "Ac\\u0000me\\u0007"\nlogo = ""\n')
    assert (style.title, style.logo) == ("Ac me", "")
