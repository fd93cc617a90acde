"""The names of graphs in a folder, by build. It does not know what they compute."""

from dataclasses import dataclass
from pathlib import Path

from lect.engine.contract.builds import BUILDS

ENCODER = "encoder_model.onnx"
DECODER = "decoder_model_merged.onnx"
# The same decoder with a backbone's own large vocabulary inside: as an input it would be read anew for each token.
OWN_DECODER = "decoder_own_vocabulary.onnx"


@dataclass(frozen=True)
class GraphFiles:
    """Where the graphs of one build are looked for."""

    encoder: Path
    decoder: Path
    own_decoder: Path

    @property
    def are_there(self) -> bool:
        """Whether both that everything needs are there."""
        return self.encoder.is_file() and self.decoder.is_file()


def graph_files(folder: Path, build: str = "float32") -> GraphFiles:
    """A backbone's graphs, or, as float32 whatever it is, the one build of a portable export."""
    assert build in BUILDS
    return GraphFiles(*(_place(folder, name, build) for name in (ENCODER, DECODER, OWN_DECODER)))


def graph_name(name: str, build: str) -> str:
    """A graph's file name; all builds lie beside the weights, as ONNX Runtime follows pointers into no other folder."""
    return name if build == "float32" else f"{Path(name).stem}_{build}.onnx"


def _place(folder: Path, name: str, build: str) -> Path:
    beside, apart = folder / graph_name(name, build), folder / build / name
    # Backbones and bundles of Lect 0.1 have their int8 graphs, with weights of their own, in a folder of that name.
    return apart if apart.is_file() and not beside.is_file() else beside
