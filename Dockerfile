# Container image of ihc with server and PostgreSQL support.
#
#   docker build -t ihc .
#   docker run --rm -v "$PWD/data:/app/data" --user "$(id -u)" ihc
#   docker run --rm -p 8000:8000 -e IHC_SERVER_KEYS ihc serve --host 0.0.0.0
FROM python:3.12-slim

WORKDIR /app
ENV PATH="/app/.venv/bin:$PATH" \
    HOME=/app/home \
    PYTHONUNBUFFERED=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy

COPY pyproject.toml uv.lock README.md LICENSE ./
COPY ihc ihc/
COPY notebooks notebooks/
COPY fixtures fixtures/

# uv and its downloads are removed within the layer. Any user may write to data and to home (caches of matplotlib and
# Jupyter), and to nothing else.
RUN python -m venv .uv \
    && .uv/bin/pip install --quiet --no-cache-dir "uv>=0.9,<1" \
    && .uv/bin/uv sync --locked --no-dev --extra server --extra postgres --no-editable --no-cache --compile-bytecode \
        --python python \
    && rm -r .uv ihc notebooks fixtures \
    && mkdir -p data home \
    && chmod 1777 data home

USER 10001:10001
EXPOSE 8000

# Checks /health if the container runs a server; a container that makes a report counts as healthy.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "\
import http.client, re, sys; \
command = open('/proc/1/cmdline').read(); \
'serve' in command.split('\\0') or sys.exit(); \
port = re.search('--port[=\\0]([0-9]+)', command); \
server = http.client.HTTPConnection('127.0.0.1', int(port[1]) if port else 8000, timeout=4); \
server.request('GET', '/health'); \
sys.exit(server.getresponse().status != 200)"]

ENTRYPOINT ["ihc"]
CMD ["run"]
