"""A build, from the claim to the version: what the tasks of ``corpus_build`` do between the Spark jobs.

Plain functions of URIs, without Airflow: a task calls one and hands on what it returns.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from goldmill.errors import GoldmillError
from goldmill.evaluation_sets import digests
from goldmill.gates.result import GateResult, assert_gates_passed
from goldmill.lake.catalog import open_catalog
from goldmill.lake.versions import VersionManifest, Versions, version_digest
from goldmill.ledger import open_ledger
from goldmill.lineage.events import ParentOfRun, emit_version
from goldmill.recipe import Recipe, load_recipe
from goldmill.report import StageReport
from goldmill.revision import code_revision
from goldmill.settings import Settings
from goldmill.spec import STAGES, StageSpec, manifest_digest
from goldmill.storage import delete, exists, list_files, read_text, write_text

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_PUBLISHED = "published"


class BuildError(GoldmillError):
    """A build cannot go on."""


class Build(BaseModel):
    """What the tasks of one build share; a JSON file in the build's work area."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    build_id: str = Field(description="Made from the run that started the build.")
    run: str = Field(description="`dag_id/run_id` of that run: tells whether the build is alive.")
    date: str = Field(description="UTC date of the first claim, for the tag.")
    branch: str = Field(description="Iceberg branch.")
    recipe: Recipe = Field(description="The recipe.")
    rebuild_from: str | None = Field(description="Version whose objects are built anew.")
    objects: list[dict[str, Any]] = Field(description="The claimed objects.")

    @classmethod
    def read(cls, work_uri: str) -> Self:
        """Read the build file of a work area.

        Raises:
            FileNotFoundError: the work area is gone; claim again.
        """
        return cls.model_validate_json(read_text(f"{work_uri}/build.json"))

    @staticmethod
    def exists(work_uri: str) -> bool:
        """Whether the work area has a build file."""
        return exists(f"{work_uri}/build.json")

    def write(self, work_uri: str) -> None:
        """Write the build file."""
        write_text(f"{work_uri}/build.json", self.model_dump_json(indent=2))

    @property
    def rebuild(self) -> bool:
        """Whether the build starts from an empty corpus."""
        return self.rebuild_from is not None


def build_id_of(run: str) -> str:
    """Id of the build that the run ``dag_id/run_id`` makes: the same for every attempt of the run."""
    return hashlib.sha256(run.encode()).hexdigest()[:12]


def claim(
    run: str,
    recipe_name: str,
    *,
    max_bytes: int | None = None,
    sources: list[str] | None = None,
    rebuild_from: str | None = None,
) -> str | None:
    """Claim objects for a build and write its specs.

    Args:
        run: ``dag_id/run_id``.
        recipe_name: name, path or URI of the recipe.
        max_bytes: stop claiming before the objects are larger than this together.
        sources: claim objects of these sources only; a rebuild takes all that went into its version.
        rebuild_from: build the objects of this version and of all that it adds to anew, from an empty corpus.

    Returns:
        URI of the build's work area, or None where there is nothing to build.

    Raises:
        RecipeError: the recipe is missing or wrong; nothing was claimed.
        UnknownVersion: there is no version ``rebuild_from``; nothing was claimed.
        BuildError: the recipe's tokenizer file is not there; nothing was claimed.
        EvaluationSetError: an evaluation set of the recipe is not there; nothing was claimed.
    """
    settings = Settings.load()
    recipe = load_recipe(recipe_name)
    _check_tokenizer(recipe)
    evaluation_sets = digests(recipe.decontaminate)
    ledger = open_ledger(settings)
    build_id = build_id_of(run)
    work_uri = settings.places.build_uri(build_id)
    build = Build(
        build_id=build_id,
        run=run,
        date=Build.read(work_uri).date if Build.exists(work_uri) else datetime.now(UTC).strftime("%Y%m%d"),
        branch=f"build_{build_id}",
        recipe=recipe,
        rebuild_from=rebuild_from,
        objects=[],
    )
    # Written before the claim: whoever finds a claim can find out whether its build is alive.
    build.write(work_uri)
    if rebuild_from is None:
        claimed = ledger.claim(build_id, max_bytes=max_bytes, sources=_wanted(recipe, sources))
    else:
        history = [manifest.version for manifest in versions(settings, recipe.corpus).history(rebuild_from)]
        claimed = ledger.reclaim(build_id, history)
    if not claimed:
        delete(work_uri)
        return None
    build = build.model_copy(update={"objects": [asdict(item) for item in claimed]})
    build.write(work_uri)
    _write_specs(settings, build, evaluation_sets)
    log.info("build %s: %d objects, %.1f MB", build_id, len(claimed), sum(o.size_bytes for o in claimed) / 1e6)
    return work_uri


def _check_tokenizer(recipe: Recipe) -> None:
    """Refuse a missing file now, and not when two stages have run. What is in it, the tokenize stage finds out."""
    path = recipe.tokenizer.path
    if path is not None and not exists(path):
        raise BuildError(
            f"recipe {recipe.name!r}, tokenizer.path: there is no file {path}; correct the path, or leave it out to "
            "train a tokenizer on the corpus"
        )


def _wanted(recipe: Recipe, sources: list[str] | None) -> list[str] | None:
    taken = recipe.claimed_sources
    if sources is None:
        return taken
    for source in sources:
        recipe.source(source)  # raises for a source that the recipe does not take
    return sources


def _write_specs(settings: Settings, build: Build, evaluation_sets: dict[str, str]) -> None:
    places, recipe = settings.places, build.recipe
    manifest_uri = f"{places.build_uri(build.build_id)}/objects.jsonl"
    write_text(manifest_uri, "".join(json.dumps(row, sort_keys=True) + "\n" for row in build.objects))
    for stage in STAGES:
        StageSpec(
            stage=stage,
            build_id=build.build_id,
            branch=build.branch,
            rebuild=build.rebuild,
            recipe=recipe,
            catalog=settings.catalog,
            landing_uri=places.landing_uri,
            manifest_uri=manifest_uri,
            manifest_digest=manifest_digest(build.objects),
            evaluation_sets=evaluation_sets,
            input_bytes=sum(row["size_bytes"] for row in build.objects),
            work_uri=places.stage_uri(build.build_id, stage),
            tokenizers_uri=places.tokenizers_uri(recipe.corpus),
            exports_uri=places.exports_uri(recipe.corpus, build.build_id),
            lineage=settings.lineage.model_copy(
                update={"events_path": _events_path(settings, build, f"{stage}.kernels")}
            ),
            partitions=settings.spark.partitions,
            code_revision=code_revision(),
        ).write()


def release_dead_builds(is_alive: Callable[[str], bool]) -> list[str]:
    """Abandon builds that hold a claim or the turn and whose run is over; returns their ids.

    Args:
        is_alive: whether the run ``dag_id/run_id`` is queued or running.
    """
    settings = Settings.load()
    ledger = open_ledger(settings)

    def is_build_alive(build_id: str) -> bool:
        work_uri = settings.places.build_uri(build_id)
        return Build.exists(work_uri) and is_alive(Build.read(work_uri).run)

    # First what abandoning can do better than releasing: it drops the branch, and settles what was published.
    dead = [claim.build_id for claim in ledger.claims() if not is_build_alive(claim.build_id)]
    for build_id in dead:
        work_uri = settings.places.build_uri(build_id)
        if Build.exists(work_uri):
            log.warning("build %s holds objects, but its run is over: closing it", build_id)
            abandon(work_uri)
    return sorted({*dead, *ledger.release_stale(is_build_alive)})


def take_turn(work_uri: str) -> bool:
    """Try to become the one build that may deduplicate and publish; True when this build is."""
    settings, build = Settings.load(), Build.read(work_uri)
    return open_ledger(settings).take_turn(build.recipe.corpus, build.build_id)


def publish(work_uri: str, parent_run: ParentOfRun | None = None) -> str:
    """Publish the build as a version and return its tag. Safe to repeat.

    Raises:
        GateFailed: a gate has not passed, or has audited another state of the branch.
        PublishRefused: the branch cannot become ``main``.
    """
    settings, build = Settings.load(), Build.read(work_uri)
    places, recipe = settings.places, build.recipe
    known = versions(settings, recipe.corpus)
    done = _published(known, build, work_uri)
    if done is not None:
        return done
    reports = {s: StageReport.read(f"{places.stage_uri(build.build_id, s)}/report.json") for s in STAGES}
    gates = {s: GateResult.read(f"{places.stage_uri(build.build_id, s)}/gate.json") for s in STAGES}
    assert_gates_passed(gates.values(), build.build_id, known.heads(build.branch))
    parent = None if build.rebuild else known.current()
    digest = version_digest(
        known.get(parent).digest if parent else None,
        {
            "recipe": recipe.digest,
            "tokenizer": reports["tokenize"].metrics["tokenizer"]["sha256"],
            **{stage: report.digest for stage, report in reports.items()},
        },
    )
    version = f"{recipe.corpus}-{build.date}-{digest[:8]}"
    manifest = VersionManifest(
        version=version,
        digest=digest,
        corpus=recipe.corpus,
        parent=parent,
        build_id=build.build_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=recipe.model_dump(mode="json"),
        recipe_digest=recipe.digest,
        tokenizer=reports["tokenize"].metrics["tokenizer"],
        snapshots=reports["tokenize"].snapshots,
        reports={stage: report.model_dump(mode="json") for stage, report in reports.items()},
        gates={stage: gate.model_dump(mode="json") for stage, gate in gates.items()},
        objects=[{key: row[key] for key in ("object_key", "source", "size_bytes", "etag")} for row in build.objects],
        quarantined=reports["refine"].metrics["quarantined_objects"],
        exports=reports["tokenize"].metrics["exports"],
        lineage=settings.lineage.events_path,
    )
    published = known.publish(manifest, build.branch)
    write_text(f"{work_uri}/{_PUBLISHED}", published)
    if known.get(published).build_id != build.build_id:
        log.info(
            "the content is that of %s, which exists: its files for trainers stay, those of this build go", published
        )
        delete(places.exports_uri(recipe.corpus, build.build_id))
    emit_version(
        manifest,
        known.manifest_uri(published),
        known.locations(),
        settings.lineage.namespace,
        _events_path(settings, build, "publish"),
        parent_run,
    )
    log.info("published %s (digest %s)", published, digest)
    return published


def _published(known: Versions, build: Build, work_uri: str) -> str | None:
    """The version that the build has published already, if it has: its branch is gone then."""
    if exists(f"{work_uri}/{_PUBLISHED}"):
        return read_text(f"{work_uri}/{_PUBLISHED}")
    current = known.current()
    return current if current is not None and known.get(current).build_id == build.build_id else None


def settle(work_uri: str, version: str) -> None:
    """Close the build: objects belong to the version, lineage is one file, intermediate results go. Safe to repeat."""
    settings, build = Settings.load(), Build.read(work_uri)
    places = settings.places
    ledger = open_ledger(settings)
    by_key = {row["object_key"]: row for row in build.objects}
    if ledger.objects_of(build.build_id):
        refined = StageReport.read(f"{places.stage_uri(build.build_id, 'refine')}/report.json")
        for item in refined.metrics["quarantined_objects"]:
            row = by_key[item["object_key"]]
            ledger.quarantine(build.build_id, row["uri"], row["etag"], item["error"])
    ledger.settle(build.build_id, version)
    ledger.end_turn(build.recipe.corpus, build.build_id)
    collect_lineage(settings, build)
    for stage in STAGES:
        spec = StageSpec.read(f"{places.stage_uri(build.build_id, stage)}/spec.json")
        delete(spec.staging_uri)


def abandon(work_uri: str) -> None:
    """Undo a failed build: drop its branch and its files, return the claim and the turn. Safe to repeat.

    A build that died after its version was published is not undone but settled.
    """
    settings, build = Settings.load(), Build.read(work_uri)
    ledger = open_ledger(settings)
    known = versions(settings, build.recipe.corpus)
    published = _published(known, build, work_uri)
    if published is not None:
        settle(work_uri, published)
        return
    known.drop_branch(build.branch)
    delete(settings.places.exports_uri(build.recipe.corpus, build.build_id))
    ledger.release(build.build_id)
    log.warning("build %s abandoned: branch %s dropped, claim released", build.build_id, build.branch)


def roll_back(corpus: str, version: str, *, requeue: bool) -> tuple[list[str], int]:
    """Make ``version`` current again.

    Args:
        corpus: name of the corpus.
        version: the version.
        requeue: let the objects of the versions that are left be claimed again, else they are in no current version.

    Returns:
        The versions that are left, newest first, and the number of objects requeued.

    Raises:
        UnknownVersion: there is no such version.
        BuildError: a build is between deduplication and publishing; it would publish on top of what is left.
    """
    settings = Settings.load()
    ledger = open_ledger(settings)
    turn = f"rollback-{version}"
    if not ledger.take_turn(corpus, turn):
        raise BuildError(
            f"corpus {corpus!r}: build {ledger.turn_holder(corpus)} is about to publish; wait until it is done, "
            "or stop it, and roll back then"
        )
    try:
        left = versions(settings, corpus).rollback(version)
        return left, ledger.requeue(left) if requeue else 0
    finally:
        ledger.end_turn(corpus, turn)


def versions(settings: Settings, corpus: str) -> Versions:
    """The versions of a corpus."""
    return Versions(open_catalog(settings.catalog), corpus, settings.places.manifests_uri(corpus))


def _events_path(settings: Settings, build: Build, writer: str) -> str | None:
    """The event file of one writer of a build, where events go to files.

    Each process has a file of its own until the build is settled: two that append to one file could tear a line.
    """
    if settings.lineage.events_path is None:
        return None
    return f"{settings.places.build_uri(build.build_id)}/lineage/{writer}.jsonl".removeprefix("file://")


def collect_lineage(settings: Settings, build: Build) -> None:
    """Append the events of a build to the one event file, and remove its own files."""
    if settings.lineage.events_path is None:
        return
    directory = f"{settings.places.build_uri(build.build_id)}/lineage"
    events = "".join(read_text(uri) for uri in list_files(directory))
    path = Path(settings.lineage.events_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(events)
    delete(directory)
