"""### Build a version of the corpus

Claims what has arrived and mills it into a new version: an audited, tokenized, tagged snapshot.

| task | reads | writes |
|---|---|---|
| `claim_objects` | the ledger | the claim, the list of objects, one spec a stage |
| `refine_documents` | landed objects | `documents`, `removals` on the build's branch |
| `wait_for_turn` | the ledger | the turn: one build of a corpus at a time goes on |
| `deduplicate_documents` | the branch, all `signatures` | `removals`, `signatures`; duplicates leave `documents` |
| `tokenize_corpus` | the branch | `sequences`, TFRecord and Megatron files |
| `gate_*` | the branch as it was committed | Data Docs; fails the build where an expectation fails |
| `publish_version` | the branch, all gate results | `main` (one fast-forward) and the tag `corpus-<date>-<digest8>` |
| `settle_objects` | | the ledger: the objects belong to the version now |
| `abandon_build` | | only after a failure: drops the branch, releases the claim |

**When it is red**: the failed task's log ends with what went wrong, in which object or expectation, and what to do.
`abandon_build` has returned the claim by then: the next run, or this run cleared from the start, builds the same
objects again. Nothing of the failed build is visible to readers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

# Where Airflow 3.1 and 3.3 have it in different places, the compatibility provider has it in one.
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import DAG, Metadata, Param, get_current_context, task

from goldmill.dag_defaults import ARRIVALS, CORPUS, default_args
from goldmill.gates.operator import GateOperator
from goldmill.platforms import platform

# The work area of the build: what `claim_objects` returned, as a template.
WORK = "{{ ti.xcom_pull(task_ids='claim_objects') }}"

with DAG(
    dag_id="corpus_build",
    description="Mill what has arrived into an audited, versioned, tokenized corpus.",
    doc_md=__doc__,
    schedule=[ARRIVALS],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Two builds claim different objects and refine side by side; from deduplication on they take turns.
    max_active_runs=2,
    default_args=default_args(),
    is_paused_upon_creation=False,
    tags=["corpus", "build"],
    params={
        "recipe": Param(
            "default", type="string", description="Name of a bundled recipe, or path or URI of a YAML file."
        ),
        "max_bytes": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="Claim objects of at most this size together, in bytes.",
        ),
        "sources": Param(
            None, type=["null", "array"], items={"type": "string"}, description="Claim objects of these sources only."
        ),
        "rebuild_from": Param(
            None,
            type=["null", "string"],
            description="Version whose objects are built anew, from an empty corpus: for a new recipe or tokenizer.",
        ),
    },
):

    @task
    def claim_objects() -> str:
        """Release the claims of dead builds, claim objects, write the specs; returns the URI of the work area."""
        from goldmill.airflow_runs import is_run_alive
        from goldmill.build import BuildError, claim, release_dead_builds
        from goldmill.lake.versions import UnknownVersion
        from goldmill.recipe import RecipeError

        context = get_current_context()
        params: dict[str, Any] = context["params"]
        run = f"{context['dag'].dag_id}/{context['run_id']}"
        release_dead_builds(is_run_alive)
        try:
            work_uri = claim(
                run,
                params["recipe"],
                max_bytes=params["max_bytes"],
                sources=params["sources"],
                rebuild_from=params["rebuild_from"],
            )
        except (RecipeError, BuildError, UnknownVersion) as error:
            # What the parameters ask for cannot be had: trying again would not change that.
            raise AirflowFailException(str(error)) from error
        if work_uri is None:
            raise AirflowSkipException("nothing to build: the ledger holds no object that is recorded and unclaimed")
        return work_uri

    @task.sensor(poke_interval=10, mode="reschedule")
    def wait_for_turn(work_uri: str) -> bool:
        """Wait until no other build of the corpus is between deduplication and publishing."""
        from goldmill.airflow_runs import is_run_alive
        from goldmill.build import release_dead_builds, take_turn

        release_dead_builds(is_run_alive)
        return take_turn(work_uri)

    @task(outlets=[CORPUS])
    def publish_version(work_uri: str) -> Any:
        """Fast-forward `main` to the audited branch and tag it; returns the version."""
        from goldmill.airflow_runs import parent_of_current_task
        from goldmill.build import publish

        version = publish(work_uri, parent_of_current_task())
        yield Metadata(CORPUS, {"version": version})
        return version

    @task
    def settle_objects(work_uri: str, version: str) -> None:
        """Record in the ledger which version the objects went into; hand on the turn; collect the lineage."""
        from goldmill.build import settle

        settle(work_uri, version)

    @task(trigger_rule="one_failed")
    def abandon_build(work_uri: str | None) -> None:
        """Drop the branch of the failed build and release its claim."""
        from goldmill.build import abandon

        if work_uri is None:
            raise AirflowSkipException("nothing was claimed, so there is nothing to undo")
        abandon(work_uri)

    def spark_stage(job: str, stage: str) -> Any:
        """The Spark job of a stage and its gate."""
        job_task = platform().spark_job(job, f"{WORK}/{stage}/spec.json", f"{WORK}/lineage/{stage}.spark.jsonl")
        gate = GateOperator(task_id=f"gate_{stage}", stage=stage, work_uri=f"{WORK}/{stage}")
        job_task >> gate
        return job_task, gate

    # What a task returns is typed as a reference to it, which stands for the value in the calls below.
    claimed: Any = claim_objects()
    refine, gate_refine = spark_stage("refine_documents", "refine")
    turn = wait_for_turn(claimed)
    deduplicate, gate_deduplicate = spark_stage("deduplicate_documents", "deduplicate")
    tokenize, gate_tokenize = spark_stage("tokenize_corpus", "tokenize")
    published: Any = publish_version(claimed)
    settled = settle_objects(claimed, published)

    claimed >> refine
    gate_refine >> turn >> deduplicate
    gate_deduplicate >> tokenize
    gate_tokenize >> published >> settled
    # Not behind `settle_objects`: what is published is not undone, and a leaf that fails makes the run red.
    published >> abandon_build(claimed)
