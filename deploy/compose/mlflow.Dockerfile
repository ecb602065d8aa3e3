# MLflow's own image has no driver for Postgres and no client for S3.
FROM python:3.11-slim-bookworm
RUN pip install --no-cache-dir mlflow==3.17.2 "psycopg[binary]==3.3.9" boto3==1.44.5
RUN useradd --create-home mlflow
USER mlflow
