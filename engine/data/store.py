"""A project: one folder with a database, recordings, runs and packs, that can be copied and opened elsewhere.

    lect.db  audio/<aa>/<sha256>.<ext>  runs/<id>/  packs/  cache/  trash/

Every action opens the database, does one transaction and closes it: any thread or process may act at any time, and
at rest the folder is whole. A recording lies on the disk, synced, before the transaction that names it commits, and
the file of a clip that is not deleted is always in `audio/`. Files are only written or moved inside a transaction, so
that there is one writer at a time. Does not know audio formats, layouts of data sets, or how a training works.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from ..contract.errors import StoreError
from ..contract.files import write_bytes
from ..text.rules import TextRules
from . import clips as records
from .clips import SPLITS, UNSPLIT, Clip, Community, Edit, Kept, Pack, Run, Score, Speaker, Take
from .migrations import (
    BUSY_TIMEOUT_S,
    MIGRATIONS,
    check_shape,
    connection,
    migrate,
    plain_errors,
    shape_version,
    transaction,
)
from .splits import SplitReport, assign

DATABASE = "lect.db"
FOLDERS = ("audio", "runs", "packs", "cache", "trash")
SYNC_THREADS = 16  # a file system gathers syncs that come together: 10 times faster than one after another


class Project:
    """One user's work on one lect. Its methods raise StoreError when the folder or the database cannot be used."""

    def __init__(self, folder: Path, busy_timeout_s: float = BUSY_TIMEOUT_S):
        self.folder, self._busy_timeout_s = Path(os.path.abspath(folder)), busy_timeout_s

    @classmethod
    def create(cls, folder: Path, name: str, language: str, rules: TextRules | None = None) -> "Project":
        """Makes a project in `folder`, which may exist but must not hold one. rules: the default ones when None."""
        project = cls(folder)
        with plain_errors(project.folder):
            for each in FOLDERS:
                (project.folder / each).mkdir(parents=True, exist_ok=True)
        with project._connection(create=True) as db:
            db.execute("PRAGMA journal_mode = WAL")  # readers go on while one writes; kept in the file
            with transaction(db):
                migrate(db)
                if db.table("project").count:
                    raise StoreError(f"{project.folder} already holds a project: open it, or name another folder.")
                shown = name.strip() or project.folder.name
                db.table("project").insert(records.project_row(shown, language.strip(), rules or TextRules()))
        return project

    @classmethod
    def open(cls, folder: Path) -> "Project":
        """Opens the project in `folder`, and brings one made by an older version up to date."""
        project = cls(folder)
        missing = StoreError(f"{project.folder} is no Lect project: make one with lect init, or name another folder.")
        if not (project.folder / DATABASE).is_file():
            raise missing
        with project._connection() as db:
            version = shape_version(db)
            if version == 0:  # killed while it was made
                raise missing
            if version < len(MIGRATIONS):
                with transaction(db):
                    migrate(db)
            check_shape(db, project.folder)
        return project

    @property
    def name(self) -> str:
        """What the user calls it. This and the other settings are read anew each time: other windows change them."""
        return str(self._setting("name"))

    @property
    def language(self) -> str:
        """The language of clips that state none."""
        return str(self._setting("language"))

    @property
    def rules(self) -> TextRules:
        """How labels are normalised at use."""
        return TextRules.from_json(json.loads(self._setting("rules")))

    @property
    def split_rule(self) -> str:
        """How the clips were split, in words; empty when `assign_splits` was never called."""
        return str(self._setting("split_rule"))

    @property
    def split_seed(self) -> int:
        """The seed of the last `assign_splits`."""
        return int(self._setting("split_seed"))

    def set_name(self, name: str) -> None:
        """Renames the project, not its folder."""
        self._set({"name": name})

    def set_language(self, language: str) -> None:
        """Changes the language of clips that are kept from now on."""
        self._set({"language": language})

    def set_rules(self, rules: TextRules) -> None:
        """Changes how labels are normalised; the labels themselves stay as given."""
        self._set({"rules": records.to_json(rules.to_json())})

    def clips(self, split: str | None = None, usable_only: bool = False) -> list[Clip]:
        """The clips that are not deleted, oldest first; of one split ("" is none), or all."""
        where, values = ("trashed is null", []) if split is None else ("trashed is null and split = ?", [split])
        with self._connection() as db:
            found = [self._clip(row) for row in db.table("clips").rows_where(where, values, order_by="id")]
        return [clip for clip in found if clip.usable] if usable_only else found

    def clip(self, clip_id: int) -> Clip | None:
        """One clip, unless it is deleted or was never there."""
        with self._connection() as db:
            rows = db.table("clips").rows_where("trashed is null and id = ?", [clip_id])
            return next(map(self._clip, rows), None)

    def trash(self) -> list[Clip]:
        """The deleted clips, the last deleted first."""
        with self._connection() as db:
            rows = db.table("clips").rows_where("trashed is not null", order_by="trashed desc, id desc")
            return [self._clip(row) for row in rows]

    def keep(
        self,
        source: Path | tuple[bytes, str],
        waveform: NDArray[np.float32],
        text: str,
        speaker: str = "",
        *,
        language: str = "",
        split: str = UNSPLIT,
    ) -> Kept:
        """Keeps one recording. source: its file, or (bytes, extension); waveform: (samples,) float32 at 16 kHz.

        It is on the disk, synced, and in the database when this returns. A sound that is there already is not
        written again, and its first label stays. Raises TextError for an empty label.
        """
        return self.keep_all([records.make_take(source, waveform, text, speaker, language=language, split=split)])[0]

    def keep_all(self, takes: Sequence[Take]) -> list[Kept]:
        """Keeps some recordings in one transaction: all of them, or none when it raises."""
        originals = [take.original() for take in takes]
        with self._write() as db:
            language = str(db.table("project").get(1)["language"])
            kept, files = [], []
            for take, data in zip(takes, originals, strict=True):
                digest = hashlib.sha256(data).hexdigest()
                known = _same_sound(db, digest, take.sound_sha256)
                row = known or _insert_clip(db, take, digest, take.language or language)
                kept.append(Kept(self._clip(row), known is not None, row["trashed"] is not None))
                if not known:
                    files.append((self._file(row), data))
            self._write_files(files)
        return kept

    def delete(self, ids: Iterable[int]) -> None:
        """Moves clips to the trash; `restore` brings them back."""
        with self._write() as db:
            _edit(db, ids, {"trashed": records.now()})
        # Only once that is on the disk: a kill in between leaves a file in the wrong place, never a clip without one.
        self._empty_out()

    def restore(self, ids: Iterable[int]) -> None:
        """Brings deleted clips back, label, split and all."""
        with self._write() as db:
            ids = list(ids)
            for clip_id in ids:
                self._bring_back(_get(db, "clips", clip_id))
            _edit(db, ids, {"trashed": None})

    def edit(self, ids: Iterable[int], **changes: str | bool) -> None:
        """Changes text, speaker, split ("" is none) or `excluded` (kept and not used) of clips in one action.

        A new speaker's name becomes a new speaker. Raises TextError for an empty text.
        """
        if "text" in changes:
            records.check_label(str(changes["text"]))
        if "speaker" in changes:
            changes["speaker"] = str(changes["speaker"]).strip()
        assert changes.keys() <= {"text", "speaker", "split", "excluded"}, changes
        assert changes.get("split", UNSPLIT) in (*SPLITS, UNSPLIT), changes
        with self._write() as db:
            if "speaker" in changes:
                db.table("speakers").insert(Speaker(str(changes["speaker"])).row(), ignore=True)
            _edit(db, ids, changes)

    def relabel(self, clip_id: int, text: str) -> None:
        """Gives a clip another label. Raises TextError when it is empty."""
        self.edit([clip_id], text=text)

    def set_speaker(self, ids: Iterable[int], speaker: str) -> None:
        """Says who speaks in these clips."""
        self.edit(ids, speaker=speaker)

    def set_split(self, ids: Iterable[int], split: str) -> None:
        """Puts clips into "train", "dev", "test", or "" for none."""
        self.edit(ids, split=split)

    def last_edit(self) -> Edit | None:
        """What `undo` would take back."""
        with self._connection() as db:
            return next(
                (records.edit_of(row) for row in db.table("edits").rows_where(order_by="id desc", limit=1)), None
            )

    def undo(self) -> Edit | None:
        """Takes back the last edit of clips (delete, restore, edit, assign_splits), and tells which it was."""
        with self._write() as db:
            row = next(db.table("edits").rows_where(order_by="id desc", limit=1), None)
            if row is None:
                return None
            last = records.edit_of(row)
            for clip_id, columns in last.before.items():
                if columns.get("trashed", records.now()) is None:
                    self._bring_back(_get(db, "clips", clip_id))
                db.table("clips").update(clip_id, columns)
            db.table("edits").delete(row["id"])
        self._empty_out()
        return last

    def assign_splits(self, seed: int = 0, reassign: bool = False, apart: bool = False) -> SplitReport:
        """Splits the clips by `splits.assign`, all but excluded ones; what has a split keeps it unless `reassign`."""
        with self._write() as db:
            wanted = "trashed is null and not excluded"
            clips = [self._clip(row) for row in db.table("clips").rows_where(wanted, order_by="id")]
            report = assign(clips, seed, reassign, apart)
            changed = [each for each in clips if report.assignment[each.id] != each.split]
            if changed:  # else the rule that is saved still tells how the clips were split
                _note(db, {each.id: {"split": each.split} for each in changed})
                db.conn.executemany(
                    "update clips set split = ? where id = ?",
                    [(report.assignment[each.id], each.id) for each in changed],
                )
                db.table("project").update(1, {"split_rule": report.rule, "split_seed": seed})
        return report

    def speakers(self) -> list[Speaker]:
        """The known speakers by name."""
        with self._connection() as db:
            return [Speaker.from_row(row) for row in db.table("speakers").rows_where("name != ''", order_by="name")]

    def save_speakers(self, speakers: Iterable[Speaker]) -> None:
        """Adds speakers, or changes what is known of those with these names."""
        with self._write() as db:
            db.table("speakers").upsert_all([speaker.row() for speaker in speakers], pk="name")

    def community(self) -> Community:
        """Whose recordings these are, and what it allows."""
        return Community.from_json(json.loads(self._setting("community")))

    def save_community(self, community: Community) -> None:
        """Changes that."""
        self._set({"community": records.to_json(asdict(community))})

    def add_run(self, settings: dict[str, Any]) -> str:
        """Enters a new run and makes its folder; its id. `settings["method"]` names its method."""
        with self._write() as db:
            run_id = records.run_name(_insert(db, "runs", records.run_row(settings)))
            (self.folder / "runs" / run_id).mkdir(parents=True, exist_ok=True)
        return run_id

    def update_run(self, run_id: str, *, status: str | None = None, **facts: Any) -> None:
        """Sets a run's status, and adds facts (JSON values) to those it has."""
        with self._write() as db:
            row = _get(db, "runs", run_id)
            changes = {"facts": records.to_json(json.loads(row["facts"]) | facts), "status": status or row["status"]}
            db.table("runs").update(row["id"], changes)

    def start_queued(self, busy: Callable[[Run], bool], start: Callable[[Run], int]) -> str | None:
        """Takes the oldest queued run out of the queue and starts it, unless one is busy; its id.

        start: gives the process's number. It is one transaction, so that of two callers only one starts it.
        """
        with self._write() as db:
            runs = [self._run(row) for row in db.table("runs").rows_where(order_by="id")]
            waiting = next((run for run in runs if run.status == "queued"), None)
            if waiting is None or any(map(busy, runs)):
                return None
            facts = records.to_json(waiting.facts | {"pid": start(waiting)})
            db.table("runs").update(_get(db, "runs", waiting.id)["id"], {"facts": facts, "status": "training"})
            return waiting.id

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        with self._connection() as db:
            return [self._run(row) for row in db.table("runs").rows_where(order_by="id")]

    def run(self, run_id: str) -> Run:
        """One run. Raises StoreError when there is none of this id."""
        with self._connection() as db:
            return self._run(_get(db, "runs", run_id))

    def add_score(self, run_id: str, split: str, figures: dict[str, Any]) -> None:
        """Enters a run's figures on a split."""
        with self._write() as db:
            run = _get(db, "runs", run_id)["id"]
            db.table("scores").insert(
                {"run": run, "split": split, "created": records.now(), "figures": records.to_json(figures)}
            )

    def scores(self, run_id: str) -> list[Score]:
        """A run's scores, oldest first."""
        with self._connection() as db:
            rows = db.table("scores").rows_where("run = ?", [_get(db, "runs", run_id)["id"]], order_by="id")
            return [Score(run_id, row["split"], row["created"], json.loads(row["figures"])) for row in rows]

    def add_pack(self, run_id: str, path: Path, sha256: str) -> None:
        """Enters a pack file that was made from a run."""
        path = Path(os.path.abspath(path))
        inside = path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else str(path)
        with self._write() as db:
            run = _get(db, "runs", run_id)["id"]
            db.table("packs").insert({"run": run, "path": inside, "sha256": sha256, "created": records.now()})

    def packs(self) -> list[Pack]:
        """All packs, oldest first."""
        with self._connection() as db:
            rows = db.table("packs").rows_where(order_by="id")
            return [Pack(records.run_name(r["run"]), self.folder / r["path"], r["sha256"], r["created"]) for r in rows]

    def partial_files(self) -> list[Path]:
        """Recordings that a kill left half written: whoever writes one holds the database, so nobody does now."""
        with self._write():
            return [path for folder in ("audio", "trash") for path in (self.folder / folder).rglob(".*.part")]

    def remove_partial_files(self) -> None:
        """Removes them; once one is there that nobody writes, nobody ever will."""
        for path in self.partial_files():
            path.unlink(missing_ok=True)

    def _connection(self, *, create: bool = False) -> AbstractContextManager[Database]:
        return connection(self.folder, DATABASE, create=create, busy_timeout_s=self._busy_timeout_s)

    @contextmanager
    def _write(self) -> Iterator[Database]:
        with self._connection() as db, transaction(db):
            yield db

    def _setting(self, name: str) -> Any:
        with self._connection() as db:
            return db.table("project").get(1)[name]

    def _set(self, changes: dict[str, Any]) -> None:
        with self._write() as db:
            db.table("project").update(1, changes)

    def _bring_back(self, row: dict[str, Any]) -> None:
        if not (kept := self._file({**row, "trashed": None})).exists():
            _move(self._file(row), kept)

    def _empty_out(self) -> None:
        """Moves the files of deleted clips to the trash, those that a kill left too."""
        with self._write() as db:
            for row in list(db.table("clips").rows_where("trashed is not null")):
                if (kept := self._file({**row, "trashed": None})).exists():
                    _move(kept, self._file(row))

    def _file(self, row: dict[str, Any]) -> Path:
        name = f"{row['sha256']}.{row['extension']}"
        return self.folder / "trash" / name if row["trashed"] else self.folder / "audio" / name[:2] / name

    def _write_files(self, files: list[tuple[Path, bytes]]) -> None:
        if new := [folder for folder in {path.parent for path, _ in files} if not folder.exists()]:
            for folder in new:
                folder.mkdir(parents=True)
            _sync_folder(new[0].parent)
        with ThreadPoolExecutor(SYNC_THREADS) as pool:
            list(pool.map(lambda file: write_bytes(*file), files))

    def _clip(self, row: dict[str, Any]) -> Clip:
        return records.clip_of(row, self._file(row))

    def _run(self, row: dict[str, Any]) -> Run:
        return records.run_of(row, self.folder / "runs" / records.run_name(row["id"]))


def _get(db: Database, table: str, key: int | str) -> dict[str, Any]:
    found = list(db.table(table).rows_where("id = ?", [int(key) if str(key).isdecimal() else -1]))
    if not found:
        raise StoreError(f"There is no {table[:-1]} {key} in this project: look it up in the list of {table}.")
    return dict(found[0])


def _edit(db: Database, ids: Iterable[int], changes: dict[str, Any]) -> None:
    """Changes clips, and notes what was there. Being deleted twice is no change."""
    before = {}
    for clip_id in ids:
        row = _get(db, "clips", clip_id)
        new = {name: value for name, value in changes.items() if row[name] != value}
        if new.get("trashed") and row["trashed"]:
            continue
        if new:
            before[clip_id] = {name: row[name] for name in new}
            db.table("clips").update(clip_id, new)
    _note(db, before)


def _note(db: Database, before: dict[int, dict[str, Any]]) -> None:
    if before:
        db.table("edits").insert({"made": records.now(), "before": records.to_json(before)})


def _same_sound(db: Database, digest: str, sound: str) -> dict[str, Any] | None:
    rows = db.table("clips").rows_where("sha256 = ? or sound_sha256 = ?", [digest, sound], order_by="id", limit=1)
    return next(iter(rows), None)


def _insert_clip(db: Database, take: Take, digest: str, language: str) -> dict[str, Any]:
    db.table("speakers").insert(Speaker(take.speaker).row(), ignore=True)
    row = records.clip_row(take, digest, language)
    return {**row, "id": _insert(db, "clips", row)}


def _insert(db: Database, table: str, row: dict[str, Any]) -> int:
    return cast(int, db.table(table).insert(row).last_pk)


def _move(source: Path, target: Path) -> None:
    if not source.exists():
        raise StoreError(f"The recording {source} is gone: put that file back, or record it again.")
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    _sync_folder(target.parent)
    _sync_folder(source.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "nt":  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
