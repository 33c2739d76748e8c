"""Hand-made grids of settings, like those of `sensitivity`."""

import pandas as pd

from ihc.analysis.sensitivity import AS_IS

NAN = float("nan")
BASE = (NAN, "IHC", AS_IS)
OTHER = (NAN, "Linear", AS_IS)


def grid_of(*cells, cost=100.0):
    """A cell is `((lookback, model, redistribution), {channel_name: ROAS})`; each channel costs the same."""
    tables = []
    for (days, model, redistribution), roas in cells:
        table = pd.DataFrame({"channel_name": pd.array(list(roas), dtype="str"), "ROAS": list(roas.values())})
        table = table.assign(lookback_days=days, model=model, redistribution=redistribution, orders=10, ihc=5.0)
        rank = table["ROAS"].rank(ascending=False, method="min")
        tables.append(table.assign(cost=cost, ihc_revenue=table["ROAS"] * cost, rank=rank))
    return pd.concat(tables, ignore_index=True).astype({"lookback_days": "float64"})
