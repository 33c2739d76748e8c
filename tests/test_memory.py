import sys

import psutil
import pytest

from ihc.memory import free_memory, give_back_memory

MEMORY = (
    "MemTotal:       24684084 kB\nMemFree:          100000 kB\nMemAvailable:   10000000 kB\nHugePages_Total:       0\n"
)
NEW = {"sys/fs/cgroup/memory.max": "7000000000\n", "sys/fs/cgroup/memory.current": "5000000000\n"}
OLD = {
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "7000000000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000000000\n",
}


def system(folder, files):
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_free_memory_is_what_linux_reports(tmp_path):
    assert free_memory(system(tmp_path, {"proc/meminfo": MEMORY})) == 10_000_000 * 1024


@pytest.mark.parametrize("group", [NEW, OLD], ids=["v2", "v1"])
def test_a_container_limit_counts_and_cached_files_are_reclaimable(tmp_path, group):
    # 7 GB - 5 GB used, of which 1 GB is cached files
    stat = f"{next(iter(group)).rpartition('/')[0]}/memory.stat"
    files = {"proc/meminfo": MEMORY, **group, stat: "anon 4000000000\ninactive_file 1000000000\n"}
    assert free_memory(system(tmp_path, files)) == 3_000_000_000


def test_a_container_without_a_limit_can_use_all(tmp_path):
    files = {"proc/meminfo": MEMORY, **NEW, "sys/fs/cgroup/memory.max": "max\n"}
    assert free_memory(system(tmp_path, files)) == 10_000_000 * 1024


def test_other_systems_report_installed_memory_if_known(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}.__getitem__)
    assert free_memory(tmp_path) == 40_960
    monkeypatch.delattr("os.sysconf")
    assert free_memory(tmp_path) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems give memory back on their own")
def test_freed_memory_below_a_block_in_use_is_given_back():
    own = psutil.Process()
    blocks = [bytes(100_000) for _ in range(1000)]  # 100 MB, in blocks of the heap
    blocks.append(bytes(100_000))  # the last one keeps the heap from shrinking
    del blocks[:1000]
    before = own.memory_info().rss
    give_back_memory()
    assert before - own.memory_info().rss > 50_000_000
