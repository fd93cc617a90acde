"""Strangers' `.pt` files are read without running anything of theirs, or refused in one sentence."""

import argparse
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lect.engine.contract.errors import BackboneError
from lect.engine.model.foreign.checkpoint import StandIn, plain, read_checkpoint


class Hostile:
    """Unpickled by an ordinary reader, it makes a file."""

    def __init__(self, call: object, *arguments: object):
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call, self.arguments


def test_tensors_containers_and_other_programs_classes_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("fairseq.data.dictionary")
    module.Dictionary = type("Dictionary", (), {"__module__": module.__name__})  # type: ignore[attr-defined]
    dictionary = module.Dictionary()  # type: ignore[attr-defined]
    dictionary.symbols = ["<s>", "<pad>"]
    value = {
        "model": OrderedDict(weight=torch.arange(6.0).reshape(2, 3)),
        "args": argparse.Namespace(lr=[1e-3], arch="wav2seq"),
        "task_state": {"target_dictionary": dictionary},
        "best": np.float64(1.5),
    }
    with monkeypatch.context() as patch:
        for name in ("fairseq", "fairseq.data", module.__name__):
            patch.setitem(sys.modules, name, module)
        torch.save(value, tmp_path / "model.pt")
    read = read_checkpoint(tmp_path / "model.pt")
    torch.testing.assert_close(read["model"]["weight"], value["model"]["weight"])
    assert isinstance(read["args"], StandIn) and isinstance(read["best"], StandIn)
    assert plain(read["args"]) == {"lr": [1e-3], "arch": "wav2seq"}
    assert plain(read["task_state"]) == {"target_dictionary": {"symbols": ["<s>", "<pad>"]}}
    assert "fairseq" not in sys.modules


def test_omegaconfs_containers_and_nodes_are_read_as_plain_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {name: types.ModuleType(f"omegaconf.{name}") for name in ("dictconfig", "listconfig", "nodes", "base")}
    made = {}
    for name, class_name in (("dictconfig", "DictConfig"), ("listconfig", "ListConfig"), ("nodes", "AnyNode")):
        made[class_name] = type(class_name, (), {"__module__": f"omegaconf.{name}"})
        setattr(modules[name], class_name, made[class_name])

    def node(kind: str, **state: object) -> object:
        value = made[kind]()
        value.__dict__.update(state, _metadata={"object_type": dict, "ref_type": Any, "element_type": int})
        return value

    rates = node("ListConfig", _content=[node("AnyNode", _val=0.1), node("AnyNode", _val=0.5)])
    config = node("DictConfig", _content={"heads": node("AnyNode", _val=12), "rates": rates})
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
        for name, module in modules.items():
            patch.setitem(sys.modules, f"omegaconf.{name}", module)
        torch.save({"cfg": config}, tmp_path / "model.pt")
    assert plain(read_checkpoint(tmp_path / "model.pt")["cfg"]) == {"heads": 12, "rates": [0.1, 0.5]}


@pytest.mark.parametrize(
    "call", [(exec, "open({!r}, 'w').close()"), (Path.touch, None)], ids=["builtin", "method of a class"]
)
def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path: Path, call: tuple[object, str | None]) -> None:
    trace = tmp_path / "was here"
    function, source = call
    hostile = Hostile(function, source.format(str(trace)) if source else trace)
    torch.save({"model": {"weight": torch.zeros(2)}, "extra": hostile}, tmp_path / "model.pt")
    with pytest.raises(BackboneError, match="nothing of it ran"):
        read_checkpoint(tmp_path / "model.pt")
    assert not trace.exists()
    torch.load(tmp_path / "model.pt", weights_only=False)
    assert trace.exists(), "the pickle must be one that works"


def test_a_known_programs_name_runs_nothing_of_it(tmp_path: Path) -> None:
    trace = tmp_path / "trace.npy"
    torch.save({"extra": Hostile(np.save, str(trace), [1])}, tmp_path / "model.pt")
    assert isinstance(read_checkpoint(tmp_path / "model.pt")["extra"], StandIn)
    assert not trace.exists()


def test_other_and_damaged_files_are_told_in_one_sentence(tmp_path: Path) -> None:
    torch.save({"model": {"weight": torch.zeros(1000)}}, tmp_path / "whole.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:2000])
    (tmp_path / "text.pt").write_text("hello")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    torch.save({"text": "x"}, tmp_path / "protocol.pt", pickle_protocol=4)
    for name, words in {
        "cut.pt": "cut short",
        "text.pt": "is no checkpoint",
        "list.pt": "no dictionary",
        "protocol.pt": "cut short, damaged",
        "absent.pt": "cannot be read",
    }.items():
        with pytest.raises(BackboneError, match=words) as raised:
            read_checkpoint(tmp_path / name)
        assert str(raised.value).count("\n") == 0
