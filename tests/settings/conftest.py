import pytest


@pytest.fixture(autouse=True)
def _bare(bare_environment):
    """Without the settings of whoever runs the tests."""
