-- Runs once, when the volume of Postgres is empty. One database a purpose, so that each can be moved by itself.
CREATE DATABASE airflow;
CREATE DATABASE ledger;
CREATE DATABASE catalog;
CREATE DATABASE mlflow;
