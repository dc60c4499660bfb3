# One image for node, operator and tools (hermes-node, hermes-operator, hermesctl).
# Needs a base with python3 >= 3.11 and its venv module; the end-to-end tests pass one made without a registry.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS builder
WORKDIR /src
# Settings of the package index, where a machine needs some, come as secrets and stay in no layer.
ENV PIP_CONFIG_FILE=/run/secrets/pip_conf \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONDONTWRITEBYTECODE=1
# What Hermes depends on changes seldom: layers of its own, which a second build takes as they are.
COPY pyproject.toml ./
RUN --mount=type=secret,id=pip_conf --mount=type=secret,id=pip_ca \
    python3 -m venv /opt/hermes \
 && python3 -c 'import pathlib, tomllib; p = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]; e = p["optional-dependencies"]; print(*sorted({*p["dependencies"], *e["node"], *e["operator"], *e["ctl"]} - {p["name"] + "[node]"}), sep="\n")' > needed.txt \
 && /opt/hermes/bin/pip install --only-binary=:all: --no-compile --requirement needed.txt \
 && /opt/hermes/bin/python -m compileall -q -j 0 /opt/hermes/lib
COPY README.md LICENSE ./
COPY node/ node/
COPY client/ client/
COPY operator/ operator/
COPY proto/ proto/
COPY charts/ charts/
COPY crds/ crds/
COPY dashboards/ dashboards/
COPY alerts/ alerts/
RUN --mount=type=secret,id=pip_conf --mount=type=secret,id=pip_ca \
    /opt/hermes/bin/pip install --only-binary=:all: --no-binary=hermes-mesh --no-deps --compile . \
 && /opt/hermes/bin/pip uninstall --yes --quiet setuptools pip

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="hermes" \
      org.opencontainers.image.description="Encrypted chat routing node, its Kubernetes operator, and their tools" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/hermes/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
# The account gives the user its group where a pod names only the user.
RUN echo 'hermes:x:65532:' >> /etc/group \
 && echo 'hermes:x:65532:65532:hermes:/tmp:/usr/sbin/nologin' >> /etc/passwd
COPY --from=builder /opt/hermes /opt/hermes
WORKDIR /tmp
# Numeric, so that runAsNonRoot can be checked.
USER 65532:65532
ENTRYPOINT ["hermes-node"]
