"""The pipeline of a run: attribution, notebooks and report."""
