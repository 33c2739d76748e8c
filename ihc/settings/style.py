"""House style of the report, from a TOML file."""

from __future__ import annotations

import tomllib
from base64 import b64encode
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from ihc.errors import SettingsError, why
from ihc.formatting import language, printable, some

# Optional sections of the page. Summary, definitions and "how the report was made" are always shown.
SECTIONS = (
    *("Channels", "Experiments", "Trend and conversion lag", "Models and sensitivity", "Paths"),
    *("Changes since the last run", "Reconciliation", "Data quality", "Model parameters", "Files"),
)
IMAGES = {".svg": "svg+xml", ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
LARGEST_LOGO = 500_000  # bytes; embedded in the page
LEAST_CONTRAST = 4.5  # on white, for text
VISIBLE = 1.5, 15.0  # contrast on white that is visible on a light page and on a dark one
MAGIC = (b"<", b"\xef\xbb\xbf<", b"\x89PNG", b"\xff\xd8", b"RIFF")  # first bytes of images
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class HouseStyle(BaseModel):
    """The look of the report.

    `title`: shown above the headline; `logo`: image next to it, as a `data:` URI; `language`: format of numbers and
    dates; `accent`: colour of links and buttons; `channels`: colours by channel name; `sections`: sections shown below
    the summary.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", max_length=80)
    logo: str = ""
    language: str = ""
    accent: Colour | None = None
    channels: dict[str, Colour] = {}
    sections: tuple[str, ...] = SECTIONS

    @field_validator("language")
    @classmethod
    def _language(cls, name: str) -> str:
        return language(name).name

    @field_validator("accent")
    @classmethod
    def _accent(cls, colour: str) -> str:
        if (contrast := _on_white(colour)) < LEAST_CONTRAST:
            raise ValueError(
                f"its contrast on white is {contrast:.1f}: give a darker colour ({LEAST_CONTRAST} or more)"
            )
        return colour

    @field_validator("title")
    @classmethod
    def _title(cls, text: str) -> str:
        return printable(text)

    @field_validator("channels")
    @classmethod
    def _channels(cls, colours: dict[str, str]) -> dict[str, str]:
        least, most = VISIBLE
        for name, colour in colours.items():
            if not least <= (contrast := _on_white(colour)) <= most:
                says = f"the contrast of {colour} for {name!r} on white is {contrast:.1f}"
                raise ValueError(f"{says}: give a colour with {least} to {most:g}, visible on light and dark pages")
        return colours

    @field_validator("logo")
    @classmethod
    def _logo(cls, name: str, info: ValidationInfo) -> str:
        if not name.strip():
            return ""
        path = Path((info.context or {}).get("folder", ".")) / name
        if path.suffix.lower() not in IMAGES:
            raise ValueError(f"give an image: {', '.join(IMAGES)}")
        try:
            if (size := path.stat().st_size) > LARGEST_LOGO:
                raise ValueError(f"the image has {size:,} bytes: give one of at most {LARGEST_LOGO:,}")
            image = path.read_bytes() if path.is_file() else b""
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {why(error)}") from None
        if not image.lstrip().startswith(MAGIC):
            raise ValueError(f"{path} is not an image")
        return f"data:image/{IMAGES[path.suffix.lower()]};base64,{b64encode(image).decode()}"

    @field_validator("sections")
    @classmethod
    def _sections(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in SECTIONS]:
            raise ValueError(f"unknown section {some(unknown)}; sections are {', '.join(SECTIONS)}")
        return names


def _on_white(colour: str) -> float:
    """Contrast ratio of a colour on white (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 1.05 / (sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True)) + 0.05)


def load_style(path: Path) -> HouseStyle:
    """Read a house style from a TOML file, and the logo relative to it.

    Raises SettingsError that names the invalid entry, its value and what is valid.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"The house style {path} cannot be read: {why(error)}.") from None
    except ValueError as error:  # invalid encoding or syntax
        raise SettingsError(f"The house style {path} is not valid TOML: {error}.") from None
    try:
        return HouseStyle.model_validate(given, context={"folder": path.parent})
    except ValidationError as error:
        wrong = "; ".join(_sentence(each) for each in error.errors())
        raise SettingsError(f"The house style {path}: {wrong}.") from None


KINDS = {"string_type": "give a text", "tuple_type": "give a list of texts", "dict_type": "give a table"}


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown entry {name}; entries are {', '.join(HouseStyle.model_fields)}"
    if error["type"] == "string_pattern_mismatch":
        return f"{name} is {error['input']!r}: give a colour such as #0b6e4f"
    says = str(error["ctx"]["error"]) if error["type"] == "value_error" else KINDS.get(error["type"], error["msg"])
    return f"{name} is {error['input']!r}: {says}"
