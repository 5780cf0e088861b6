# One image for worker, Flower and producer: they differ only in their command and environment.
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /build
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY dataworks_tasks dataworks_tasks
COPY producer producer
COPY profiles profiles
COPY docs/questions docs/questions
# A virtual environment without pip: what is not in the image cannot be used against it.
# Every dependency is the one whose hash is in requirements.lock.
RUN python -m venv --without-pip /opt/dataworks \
 && python -m pip --python /opt/dataworks/bin/python install --no-cache-dir \
      --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock \
 && python -m pip --python /opt/dataworks/bin/python install --no-cache-dir \
      --disable-pip-version-check --no-deps .

FROM ${PYTHON}
# Logs are written line by line. The root file system may be read-only, so nothing is compiled there;
# programs that need a home or a cache find it on the tmpfs.
ENV PATH=/opt/dataworks/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
COPY --from=build /opt/dataworks /opt/dataworks
WORKDIR /work
USER 10001:10001
# Exec form: Celery is process 1 and gets SIGTERM itself, which is its warm shutdown.
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "dataworks_tasks", "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
