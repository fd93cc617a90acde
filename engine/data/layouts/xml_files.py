"""XML from strangers, as ELAN's and FLEx's files are: it can neither grow nor fetch anything."""

import xml.etree.ElementTree as ET
from pathlib import PurePosixPath
from typing import NoReturn
from urllib.parse import unquote
from xml.parsers import expat

from ...contract.errors import TextError


def parse_xml(data: bytes, name: str, program: str) -> ET.Element:
    """The root of a file that `program` writes. Raises TextError for document types, entities and damage."""
    builder, parser = ET.TreeBuilder(), expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise TextError(
            f"{name} declares a document type, which {program}'s files never do: save it again in {program}."
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:  # LookupError: of an unknown encoding
        raise TextError(f"{name} is damaged ({error}): save it again in {program}.") from error


def recording_path(address: str | None) -> str:
    """The path in the address of a recording, with slashes; "" where there is none."""
    path = unquote(address or "").replace("\\", "/").removeprefix("file:")
    return path if PurePosixPath(path).name else ""
