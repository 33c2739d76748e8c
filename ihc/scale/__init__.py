"""Attribution on a Dask cluster, for data larger than memory."""
