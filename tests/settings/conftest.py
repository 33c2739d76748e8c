import pytest


@pytest.fixture(autouse=True)
def _bare(bare_environment):
    """Remove the settings of the environment in which the tests run."""
