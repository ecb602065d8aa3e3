"""The demo: Airflow on this machine, real input, live progress, and a summary that can be checked."""
