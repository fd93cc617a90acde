"""The pack of a run: the one that there is, else a new one."""

from lect.engine.data.clips import Run
from lect.engine.data.store import Project


def packed(project: Project, run: Run) -> None:
    """Makes the run's pack unless it is there, or its backbone's own weights have changed. Raises UsageError."""
    from lect.exports.pack_assembly import check_packable, default_path, pack_contents, pack_run

    if any(pack.run == run.id and pack.path.is_file() for pack in project.packs()):
        return
    check_packable(run)
    pack_run(project, run, default_path(project, run), pack_contents(project, run))
