"""The ``goldmill`` command line: look into the lake, explain a document, roll back, land objects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from goldmill import __version__
from goldmill.errors import GoldmillError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goldmill.lake.versions import Versions

app = typer.Typer(
    name="goldmill",
    help="Goldmill mills raw data into versioned gold training data.\n\nThe settings say which lake this is about: "
    "the profile GOLDMILL_PROFILE (default local) and GOLDMILL_HOME (default ./.goldmill).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_out = Console(soft_wrap=True)

Corpus = Annotated[str, typer.Option("--corpus", help="Name of the corpus, as in the recipe.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """Run the command line; an error for people is printed without a trace."""
    try:
        app()
    except GoldmillError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/red] {error}", highlight=False)
        raise SystemExit(1) from None


def _versions(corpus: str) -> Versions:
    from goldmill.build import versions  # late: --help must not wait for the catalog's libraries
    from goldmill.settings import Settings

    return versions(Settings.load(), corpus)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        # Names, digests and paths are there to be copied: folded, never cut.
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    _out.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)


@app.command()
def version() -> None:
    """Print the release of Goldmill."""
    from goldmill.revision import code_revision

    _out.print(f"goldmill {__version__} ({code_revision()})")


@app.command()
def versions(corpus: Corpus = "corpus", as_json: AsJson = False) -> None:
    """List the versions of a corpus, oldest first; the current one is marked."""
    known = _versions(corpus)
    manifests = [known.get(tag) for tag in known.tags()]
    if as_json:
        fields = {"version", "digest", "parent", "created_at"}
        _out.print_json(json.dumps([manifest.model_dump(mode="json", include=fields) for manifest in manifests]))
        return
    if not manifests:
        _out.print(f"Corpus {corpus!r} has no version yet. `make demo` builds a first one.")
        return
    current = known.current()
    rows = [
        (
            "*" if m.version == current else "",
            m.version,
            m.parent,
            m.created_at,
            len(m.objects),
            m.reports["deduplicate"]["rows_out"],
            m.reports["tokenize"]["metrics"]["tokens"],
            m.reports["tokenize"]["metrics"]["sequences"],
        )
        for m in manifests
    ]
    _print_table(("", "version", "adds to", "published (UTC)", "objects", "documents", "tokens", "sequences"), rows)


@app.command()
def show(version: str, corpus: Corpus = "corpus", as_json: AsJson = False) -> None:
    """Show what went into a version: sources, rows by stage and rule, gates, files for trainers."""
    manifest = _versions(corpus).get(version)
    if as_json:
        _out.print_json(manifest.model_dump_json())
        return
    _print_table(
        ("fact", "value"),
        [
            ("version", manifest.version),
            ("digest", manifest.digest),
            ("adds to", manifest.parent or "nothing: first build or rebuild"),
            ("build", manifest.build_id),
            ("recipe", f"{manifest.recipe['name']} ({manifest.recipe_digest[:8]})"),
            ("tokenizer", f"{manifest.tokenizer['uri']} ({manifest.tokenizer['vocab_size']:,} entries)"),
            ("objects", len(manifest.objects)),
            ("quarantined objects", len(manifest.quarantined)),
            ("lineage", manifest.lineage),
        ],
    )
    rows = [
        (stage, source, counts["rows_in"], counts["rows_out"], counts["removed"], counts["quarantined"])
        for stage, report in manifest.reports.items()
        for source, counts in report["by_source"].items()
    ]
    _print_table(("stage", "source", "rows in", "out", "removed", "quarantined"), rows)
    removed = [
        (stage, rule, count)
        for stage, report in manifest.reports.items()
        for rule, count in {**report["removed_by_rule"], **report["quarantined_by_code"]}.items()
    ]
    _print_table(("stage", "rule or error", "rows"), removed)
    gates = [
        (stage, "passed" if gate["passed"] else "FAILED", len(gate["expectations"]))
        for stage, gate in manifest.gates.items()
    ]
    _print_table(("gate", "outcome", "expectations"), gates)
    files = [(f["split"], f["format"], f["uri"], f["size_bytes"], f["sequences"]) for f in manifest.exports]
    _print_table(("split", "format", "file", "bytes", "sequences"), files)


@app.command()
def diff(old: str, new: str, corpus: Corpus = "corpus", as_json: AsJson = False) -> None:
    """Compare two versions: documents added and removed by source, recipe values that differ."""
    found = _versions(corpus).diff(old, new)
    if as_json:
        _out.print_json(found.model_dump_json())
        return
    _print_table(
        ("source", "added", "removed", "kept"),
        [(source, c["added"], c["removed"], c["kept"]) for source, c in found.sources.items()],
        f"documents, {old} to {new}",
    )
    if found.recipe:
        _print_table(("recipe value", old, new), [(path, *values) for path, values in found.recipe.items()])
    else:
        _out.print("The recipes are the same.")


@app.command()
def why(
    document: Annotated[str, typer.Argument(help="Document id, URL, or key of a landed object.")],
    version: Annotated[str | None, typer.Option(help="Look in this version; the current one by default.")] = None,
    corpus: Corpus = "corpus",
    as_json: AsJson = False,
) -> None:
    """Say what happened to a document: where it came from, what removed it, what it matched."""
    rows = _versions(corpus).why(document, version)
    if as_json:
        _out.print_json(json.dumps(rows))
        return
    if not rows:
        raise GoldmillError(
            f"{document!r} is in no row of the corpus {corpus!r}. Give a document id, a URL, or the key of an object "
            "as it lies in the landing area, e.g. source/file.txt. What has not been built yet is in the ledger: "
            "`goldmill ledger`."
        )
    for row in rows:
        place = f"{row['object_key']}#{row['record_path']}" if row["record_path"] else row["object_key"]
        _out.print(f"[bold]{row['document_id']}[/bold] {row['status']}", highlight=False)
        _out.print(f"  from     {place} (source {row['source']}, build {row['build_id']})", highlight=False)
        if row["url"]:
            _out.print(f"  url      {row['url']}", highlight=False)
        if row["status"] == "kept":
            _out.print(f"  text     {row['kind']}, {row['language']}, {row['text_bytes']:,} bytes", highlight=False)
            continue
        measured = "" if row["score"] is None else f": {row['score']:.4g}"
        bound = "" if row["threshold"] is None else f" (threshold {row['threshold']:.4g})"
        _out.print(f"  {row['status']:<8} in {row['stage']} by {row['rule']}{measured}{bound}", highlight=False)
        if row["detail"]:
            _out.print(f"  because  {row['detail']}", highlight=False)
        if row["matched"]:
            matched = row["matched"]
            _out.print(f"  matches  {matched['document_id']} from {matched['object_key']}", highlight=False)


@app.command()
def rollback(
    version: str,
    corpus: Corpus = "corpus",
    requeue: Annotated[
        bool, typer.Option(help="Give the objects of the versions that are left back to the next build.")
    ] = True,
) -> None:
    """Make an earlier version current again. Nothing is deleted: the later versions keep their tags."""
    from goldmill.build import roll_back

    left, requeued = roll_back(corpus, version, requeue=requeue)
    _out.print(f"{corpus} is at {version} again; left: {', '.join(left) or 'none'}; objects requeued: {requeued:,}")


@app.command()
def ledger() -> None:
    """Count what has arrived, by source and state; list claims and quarantined objects."""
    from goldmill.ledger import open_ledger
    from goldmill.settings import Settings

    opened = open_ledger(Settings.load())
    _print_table(
        ("source", "state", "objects", "bytes"),
        [(c.source, c.state.value, c.objects, c.size_bytes) for c in opened.summary()],
    )
    claims = opened.claims()
    if claims:
        _print_table(("build", "objects", "bytes", "since"), [tuple(claim) for claim in claims], "claims")
    quarantined = opened.quarantined()
    if quarantined:
        _print_table(("object", "error"), [(q.object_key, q.error) for q in quarantined], "quarantined")


@app.command()
def release(build_id: Annotated[str, typer.Argument(help="The build, as `goldmill ledger` names it.")]) -> None:
    """Undo a build that is stuck: drop its branch, return its claim. Only for one that does not run any more."""
    from goldmill.build import Build, abandon
    from goldmill.ledger import open_ledger
    from goldmill.settings import Settings

    settings = Settings.load()
    work_uri = settings.places.build_uri(build_id)
    if Build.exists(work_uri):
        abandon(work_uri)
    else:
        open_ledger(settings).release(build_id)
    _out.print(f"build {build_id}: claim released, branch dropped")


@app.command()
def land(path: Annotated[str, typer.Argument(help="Directory, file or URI to copy into the landing area.")]) -> None:
    """Copy data into the landing area under a source of its base name; what is there unchanged is passed over."""
    from goldmill.demo.input import land_own_input
    from goldmill.settings import Settings

    _out.print(f"landed {land_own_input(path, Settings.load().places.landing_uri):,} new objects")


@app.command()
def recipe(
    name: Annotated[str, typer.Argument(help="Bundled name, path or URI.")] = "default",
    as_json: AsJson = False,
) -> None:
    """Check a recipe and print it with all its defaults."""
    from goldmill.recipe import load_recipe

    loaded = load_recipe(name)
    if as_json:
        _out.print_json(loaded.model_dump_json())
        return
    import yaml

    _out.print(yaml.safe_dump(loaded.model_dump(mode="json"), sort_keys=False), highlight=False)
    _out.print(f"# digest {loaded.digest}", highlight=False)


if __name__ == "__main__":
    main()
