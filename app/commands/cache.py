"""The project's cache of features: what the frozen part of a network makes of each clip, kept between trainings."""

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
    from lect.engine.training.features import FeatureCache

    cache = FeatureCache(project.folder / "cache")
    if args.what == "clear":
        freed = cache.clear()
        print_result(args, {"freed_bytes": freed}, f"{size(freed)} freed.")
    else:
        facts = {"folder": cache.folder, "bytes": cache.size(), "max_bytes": cache.max_bytes}
        print_result(args, facts, f"{size(cache.size())} of at most {size(cache.max_bytes)} in {cache.folder}.")
    return 0
