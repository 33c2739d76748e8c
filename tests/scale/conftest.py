from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def small_partitions() -> Iterator[None]:
    """Partitions as small as the files, as in a large shop; otherwise all rows would be one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ihc.scale.job.AT_A_TIME", 1)
        yield
