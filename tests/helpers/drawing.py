"""Reading a chart back, and giving it strange names."""

import xml.etree.ElementTree as ET
from io import BytesIO

import pandas as pd

from ihc.charts.style import styled


def svg(figure):
    stream = BytesIO()
    with styled():
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def texts(figure):
    """What the chart says, read from its SVG as XML."""
    root = ET.fromstring(svg(figure))
    return ["".join(entry.itertext()) for entry in root.iter("{http://www.w3.org/2000/svg}text")]


def renamed(frame, names):
    """The frame's first rows, repeated, one for each of `names`."""
    rows = frame.iloc[[0] * len(names)].reset_index(drop=True)
    return rows.assign(**{frame.columns[0]: pd.array(names, dtype="str")})
