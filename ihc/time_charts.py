"""Charts over time: weeks, days, and the days until credit has arrived."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ihc.charts import AMOUNTS, BLUE, GREY, INK, ORANGE, WIDTH, chart, power_scale
from ihc.errors import counted
from ihc.narrative import shown
from ihc.palette import OTHER, fold_others
from ihc.periods import WEEK

GROUND = "#dddddd"
ARRIVING = "credit still arriving"
PALE = 0.45
NAME_LIMIT = 22
LINE = 0.17  # inches from one small text to the next below it
STEPS = (1, 2, 3, 7, 14)  # days from tick to tick
MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)
END = 0.99  # the share of credit from which on the rest is a tail
