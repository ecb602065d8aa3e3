# The image of Airflow's services: Airflow with the locked packages, and beside it the Spark environment and Java 17.
FROM apache/airflow:3.3.1-python3.11

USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o airflow -g root -m 0775 /opt/goldmill /goldmill /goldmill/landing

USER airflow
WORKDIR /opt/goldmill

# Packages before code: a change of code rebuilds the last layers only.
# The image's own Postgres drivers stay: they are what Airflow's metadata database is reached by.
COPY --chown=airflow:root requirements.txt ./
RUN uv pip install --no-cache --require-hashes --requirement requirements.txt
COPY --chown=airflow:root spark_jobs/requirements.txt spark_jobs/
RUN uv venv --python 3.11 .venv-spark \
    && uv pip install --no-cache --python .venv-spark/bin/python --require-hashes --requirement spark_jobs/requirements.txt

COPY --chown=airflow:root include include
# Both environments see the library; Airflow puts dags/ and plugins/ on its path itself.
ENV PYTHONPATH=/opt/goldmill/include
RUN .venv-spark/bin/python -m goldmill.runtime.jars /opt/goldmill/jars
COPY --chown=airflow:root spark_jobs spark_jobs
COPY --chown=airflow:root dags dags
COPY --chown=airflow:root plugins plugins
