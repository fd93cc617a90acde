"""The builds of a backbone's graphs, as folders, options and packs name them."""

from typing import Literal, get_args

Build = Literal["float32", "int8"]
BUILDS: tuple[Build, ...] = get_args(Build)
