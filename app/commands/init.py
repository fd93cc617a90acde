"""Makes a project: one folder for the clips, runs and packs of one lect, which can be copied to another machine."""

import argparse
from pathlib import Path

from ..output import print_result

UNDETERMINED = "und"  # BCP-47's own word for it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Folder, name, language and text rules."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where; made if it is not there")
    parser.add_argument("--name", default="", help="what to call it (the folder's name)")
    parser.add_argument(
        "--language", default=UNDETERMINED, metavar="TAG", help="any BCP-47 tag, such as quc or x-mylect"
    )
    rules = parser.add_argument_group("what is done to every label and transcript")
    rules.add_argument("--case", choices=("lower", "keep"), default="lower", help="keep: where case tells words apart")
    rules.add_argument("--punctuation", choices=("remove", "keep"), default="remove", help="(remove)")
    rules.add_argument("--remove", action="append", default=[], metavar="TEXT", help="take this out; may be repeated")
    rules.add_argument(
        "--replace",
        action="append",
        default=[],
        nargs=2,
        metavar=("OLD", "NEW"),
        help="write NEW for OLD; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Creates the project."""
    from lect.engine.data.store import Project
    from lect.engine.text.rules import TextRules

    rules = TextRules(args.case, args.punctuation, tuple(args.remove), tuple(map(tuple, args.replace)))
    project = Project.create(args.folder, args.name, args.language, rules)
    facts = {"project": project.folder, "name": project.name, "language": project.language, "rules": rules.name}
    text = f"Project {project.name} is in {project.folder}. Next: lect import SOURCE --project {args.folder}"
    print_result(args, facts, text)
    return 0
