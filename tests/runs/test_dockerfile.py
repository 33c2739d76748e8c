"""The commands of the Dockerfile, run in order in an empty folder, to test the image without Docker."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from helpers.commands import ROOT
from helpers.serving import free_port, is_up, until

IN_IMAGE = "/app"
KEY = "the only key"


@dataclass
class Image:
    """The result of a Dockerfile: the folder for /app, and how a container would be started in it."""

    context: Path
    folder: Path
    environment: dict[str, str]
    settings: dict[str, object] = field(default_factory=dict)

    def command(self, *arguments):
        """The command of a container with these arguments, by default the CMD."""
        return self.found([*self.settings["ENTRYPOINT"], *(arguments or self.settings["CMD"])])

    def found(self, command):
        program = shutil.which(command[0], path=self.environment["PATH"])
        assert program, f"{command[0]} is not on the image's PATH"
        return [program, *command[1:]]

    def run(self, command, **options):
        options = {"cwd": self.folder, "env": self.environment, "text": True, "timeout": 280, **options}
        return subprocess.run(command, capture_output=True, check=False, **options)

    def probe(self, process):
        """The exit code of the health check, with a local process as the container's process 1."""
        command = [part.replace("/proc/1/", f"/proc/{process.pid}/") for part in self.settings["HEALTHCHECK"]]
        return self.run(self.found(command)).returncode


def instructions(text):
    """`(name, rest)` of each instruction, continued lines joined."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in re.sub(r"\\\n", "", text).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


def is_ignored(path, patterns):
    """Whether .dockerignore excludes a path: the last pattern that matches it or a parent folder decides."""
    ignored = False
    parts = Path(path).parts
    above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        names = parts if wanted.startswith("**/") else above
        if any(fnmatch.fnmatchcase(name, wanted.removeprefix("**/")) for name in names):
            ignored = not pattern.startswith("!")
    return ignored


def patterns():
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def tracked_files():
    """The files of a clean checkout."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        return [name for name in names if (ROOT / name).is_file()]
    names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    return [name for name in names if not re.match(r"(\.venv|data|\.?build|dist)/", name)]


def do_copy(image, rest):
    *sources, target = [part for part in shlex.split(rest) if not part.startswith("--")]
    for source in sources:
        path = image.context / source
        if path.is_dir():
            shutil.copytree(path, image.folder / target, dirs_exist_ok=True)
        else:
            shutil.copy(path, image.folder / target)


def do_env(image, rest):
    for pair in shlex.split(rest):
        name, _, value = pair.partition("=")
        value = value.replace(IN_IMAGE, str(image.folder))
        image.environment[name] = re.sub(r"\$(\w+)", lambda match: image.environment[match[1]], value)


def do_run(image, rest):
    done = image.run(["sh", "-e", "-c", rest])
    assert done.returncode == 0, done.stdout + done.stderr


def do_healthcheck(image, rest):
    options, _, command = rest.partition("CMD ")
    assert all(re.fullmatch(r"--(interval|timeout|start-period|retries)=\d+s?", option) for option in options.split())
    image.settings["HEALTHCHECK"] = json.loads(command)


def do_workdir(image, rest):
    assert rest == IN_IMAGE


def keeping(name, read=str):
    return lambda image, rest: image.settings.__setitem__(name, read(rest))


STEPS = {
    "FROM": keeping("FROM"),
    "WORKDIR": do_workdir,
    "ENV": do_env,
    "COPY": do_copy,
    "RUN": do_run,
    "USER": keeping("USER"),
    "EXPOSE": keeping("EXPOSE"),
    "HEALTHCHECK": do_healthcheck,
    "ENTRYPOINT": keeping("ENTRYPOINT", json.loads),
    "CMD": keeping("CMD", json.loads),
}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The commands of the Dockerfile, run in order in an empty folder."""
    top = tmp_path_factory.mktemp("image")
    context, folder = top / "context", top / "folder"
    for name in tracked_files():
        if not is_ignored(name, patterns()):
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, context / name)
    folder.mkdir()
    python = str(Path(sys.base_prefix) / "bin")
    hidden = re.compile("IHC_|VIRTUAL_ENV|PYTHON|UV_|PYTEST|CI$")
    environment = {name: value for name, value in os.environ.items() if not hidden.match(name)}
    made = Image(context, folder, {**environment, "PATH": f"{python}:/usr/bin:/bin"})
    for name, rest in instructions((ROOT / "Dockerfile").read_text("utf-8")):
        STEPS[name](made, rest)
    return made


@pytest.mark.parametrize(
    "path", [".env", "data/shop.db", ".git/config", ".venv/bin/python", "tests/conftest.py", "ihc/__pycache__/x.pyc"]
)
def test_the_image_holds_neither_secrets_nor_data_nor_tests(path):
    assert is_ignored(path, patterns())


@pytest.mark.parametrize("path", ["ihc/models/ihc.py", "ihc/resources/page/style.css", "pyproject.toml", "uv.lock"])
def test_the_image_contains_its_sources(path):
    assert not is_ignored(path, patterns())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_image_is_slim_runs_as_any_user_and_starts_ihc(image):
    assert image.settings["FROM"] == "python:3.12-slim"
    assert re.fullmatch("[1-9][0-9]*:[1-9][0-9]*", image.settings["USER"])
    assert image.settings["EXPOSE"] == "8000"
    assert (image.settings["ENTRYPOINT"], image.settings["CMD"]) == (["ihc"], ["run"])
    assert sorted(path.name for path in image.folder.iterdir()) == [
        ".venv",
        "LICENSE",
        "README.md",
        "data",
        "home",
        "pyproject.toml",
        "uv.lock",
    ]
    installed = {path.name for path in image.folder.glob(".venv/lib/*/site-packages/*")}
    assert {"ihc", "fastapi", "gunicorn"} <= installed
    assert not {"pytest", "ruff", "schemathesis"} & installed


def files_of(folder):
    return {path for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in ("data", "home")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_by_default_it_makes_the_report_and_writes_to_data_and_home_alone(image):
    before = files_of(image.folder)
    done = image.run(image.command())
    assert done.returncode == 0, done.stderr
    assert "<html" in (image.folder / "data" / "report.html").read_text("utf-8")
    assert files_of(image.folder) == before


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_by_argument_it_serves_and_the_health_check_follows_it(image):
    port = free_port()
    settings = {**image.environment, "IHC_SERVER_KEYS": KEY}
    command = image.command("serve", "--host", "0.0.0.0", "--port", str(port))
    server = subprocess.Popen(command, cwd=image.folder, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}"))
        assert image.probe(server) == 0
        assert httpx.post(f"http://127.0.0.1:{port}/v1/compute_ihc", headers={"x-api-key": "wrong"}).status_code == 403
    finally:
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=30)
    assert server.returncode == 0, err.decode()
    refused = image.run(image.command("serve", "--host", "0.0.0.0"))
    assert refused.returncode == 1
    assert "IHC_SERVER_KEYS" in refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("arguments", "healthy"), [(["run"], True), (["serve", "--port={port}"], False)])
def test_the_health_check_applies_to_servers_only(image, arguments, healthy):
    arguments = [argument.format(port=free_port()) for argument in arguments]
    silent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)", *arguments])
    try:
        assert (image.probe(silent) == 0) is healthy
    finally:
        silent.kill()
        silent.wait()
