"""Spark settings that open the lake's catalog; needs no Spark, since Airflow writes them into spark-submit."""

from __future__ import annotations


def catalog_conf(name: str, catalog_type: str, properties: dict[str, str]) -> dict[str, str]:
    """Spark settings for the Iceberg catalog ``name``.

    ``properties`` are the catalog's own (``uri``, ``warehouse``, ``jdbc.*``, ``io-impl``...).
    """
    prefix = f"spark.sql.catalog.{name}"
    conf = {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        prefix: "org.apache.iceberg.spark.SparkCatalog",
        # Two builds commit to the same tables: a cached table would hide the other one's commit.
        f"{prefix}.cache-enabled": "false",
    }
    if catalog_type == "sql":
        # Not `type=jdbc`: see Lake.open for the reason.
        conf[f"{prefix}.catalog-impl"] = "org.apache.iceberg.jdbc.JdbcCatalog"
        conf[f"{prefix}.jdbc.schema-version"] = "V1"
    else:
        conf[f"{prefix}.type"] = catalog_type
    conf.update({f"{prefix}.{key}": value for key, value in properties.items()})
    return conf
