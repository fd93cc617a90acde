"""The project's cache of features: what the frozen part of a network makes of each clip, kept between trainings.

What a killed import or training left behind is counted and removed too.
"""

import argparse

from ..options import add_project, open_project
from ..output import print_result, size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do."""
    parser.add_argument(
        "what", choices=("info", "clear"), help="its size, or empty it; the next training fills it again"
    )
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Measures or empties."""
    project = open_project(args)
    from lect.engine.data.leftovers import bytes_of, leftovers, remove_leftovers
    from lect.engine.training.features import FeatureCache

    cache = FeatureCache(project.folder / "cache")
    if args.what == "clear":
        freed = cache.clear() + remove_leftovers(project)
        print_result(args, {"freed_bytes": freed}, f"{size(freed)} freed.")
    else:
        left = sum(map(bytes_of, leftovers(project)))
        facts = {"folder": cache.folder, "bytes": cache.size(), "max_bytes": cache.max_bytes, "leftover_bytes": left}
        text = f"{size(cache.size())} of at most {size(cache.max_bytes)} in {cache.folder}."
        text += f"\n{size(left)} that something which was ended left behind: lect cache clear removes it." * bool(left)
        print_result(args, facts, text)
    return 0
