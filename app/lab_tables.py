"""The experiments of arXiv 2310.02971 and of our own defaults, as tables of `lect train` options.

Its sizes are those that its parameter counts imply; batches and steps are Wav2Seq's own for fine-tuning (400 s a step,
arXiv 2205.01086), since the paper states none.
"""

from dataclasses import dataclass

PAPER = "--per-device-train-batch-size 32 --copies 1"  # 32 clips are about 400 s; no copies, as there
TEN_HOURS, HUNDRED_HOURS = f"{PAPER} --max-steps 20000", f"{PAPER} --max-steps 80000"
LIBRISPEECH = ("train-clean-100", "dev-clean", "test-clean")
PROMPTS = tuple(f"prompt --num-virtual-tokens {length}" for length in (60, 120, 180))
ADAPTERS = tuple(f"adapter --rank {rank}" for rank in (64, 128, 192))
FINETUNES = tuple(f"finetune --finetune-layers {layers}" for layers in (1, 2))
ONE_EACH = (PROMPTS[1], ADAPTERS[1], FINETUNES[1])


@dataclass(frozen=True)
class Table:
    """What is compared on what."""

    about: str
    systems: tuple[str, ...]  # a method, and options of `lect train`
    options: str = ""  # of every system
    minutes: tuple[float, ...] = ()  # of training speech; (): all there is
    layout: str = "auto"  # as `lect import` names them
    only: tuple[str, ...] = ()  # folders of the set that are taken; (): all
    train: str = ""  # folder of the set that names its training clips; the set itself then gives dev and test
    folders: str = ""  # below --data, where each language or part has its own
    equal: bool = False  # whether sizes are chosen so that all have as many trainable parameters as the first system


TABLES = {
    "librispeech-100h": Table(
        "prompts, adapters and fine-tuning of the last layers on 100 hours of LibriSpeech",
        PROMPTS + ADAPTERS + FINETUNES,
        HUNDRED_HOURS,
        layout="librispeech",
        only=LIBRISPEECH,
    ),
    "librispeech-10h": Table(
        "the same on ten of these hours",
        PROMPTS + ADAPTERS + FINETUNES,
        TEN_HOURS,
        (600.0,),
        "librispeech",
        LIBRISPEECH,
    ),
    "mls-full": Table(
        "prompt, adapter and fine-tuning in the languages of Multilingual LibriSpeech",
        ONE_EACH,
        HUNDRED_HOURS,
        layout="mls",
        folders="mls_*",
    ),
    "mls-limited": Table(
        "the same on ten hours of each",
        ONE_EACH,
        TEN_HOURS,
        layout="mls",
        train="train/limited_supervision",
        folders="mls_*",
    ),
    "snips": Table("slot filling on Audio SNIPS", ONE_EACH, TEN_HOURS, layout="snips"),
    "placement": Table(
        "where prompts stand, at equal numbers of trainable parameters",
        tuple(
            f"prompt --placement {where}"
            for where in ("e:all,d:all", "e:first3", "e:last3", "e:last6", "e:all", "d:all", "e:last3,d:all")
        ),
        equal=True,
    ),
    "length": Table("how long prompts are", tuple(f"prompt --num-virtual-tokens {n}" for n in (1, 4, 16, 60, 120))),
    "methods": Table(
        "every method, at equal numbers of trainable parameters, by minutes of speech",
        ("prompt", "adapter", "lora", "vocabulary", "finetune --finetune-layers 1", "scratch"),
        minutes=(5.0, 10.0, 30.0),
        equal=True,
    ),
    "prompts": Table(
        "what prompts start from and are trained through, and whether CTC helps",
        (
            "prompt",
            "prompt --initialisation random",
            "prompt --initialisation zero-value",
            "prompt --reparameterise",
            "prompt --shared-key-value",
            "prompt --ctc-weight 0",
        ),
    ),
}
