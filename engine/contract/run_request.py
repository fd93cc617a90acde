"""What a person asks of a training: the page and the command line fill in this one form."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from .adaptation_spec import AUTO, AdaptationSpec
from .train_settings import Augmentation, TrainSettings

STARTER = "starter"
WHISPER = "whisper-base"  # what is taught, and transcribes, where neither a pack nor a backbone is named
VocabularyChoice = Literal["auto", "new", "words", "backbone"]
VOCABULARY_CHOICES: tuple[VocabularyChoice, ...] = get_args(VocabularyChoice)
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class RunRequest:
    """What a person asks for."""

    backbone: str = WHISPER
    device: str = "auto"
    precision: str = "auto"
    settings: TrainSettings = field(default_factory=lambda: TrainSettings(spec=AdaptationSpec(AUTO)))
    vocabulary: VocabularyChoice = "auto"  # see run_vocabulary
    language: str = ""  # whose token the decoder is started with, where a backbone has such tokens; "": the project's
    minutes: float = 0.0  # of the training clips, those used; 0: all
    texts: str = ""  # file of more sentences of the lect, one a line, for the language model
    language_model_weight: float | None = None  # 0: no language model; None: chosen on dev
    start: str = ""  # the run whose result the training starts from; "": the backbone alone
    guessed_by: str = ""  # the run whose guesses at recordings that nobody has written down are learnt too
    stated: tuple[str, ...] = ()  # fields of settings and spec that were asked for at their usual value, see `recipe`

    def keeps_vocabulary(self, kind: str) -> bool:
        """Whether a run on a backbone with such a vocabulary writes in a Whisper's own, which does not learn."""
        return kind == "bytes" and self.vocabulary in ("auto", "backbone")

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `method` is what the store lists runs by."""
        value = {**asdict(self), "method": self.settings.spec.method}
        return value if self.stated else {name: item for name, item in value.items() if name != "stated"}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "RunRequest":
        """From `to_json`."""
        settings = dict(value["settings"])
        spec, augmentation = AdaptationSpec(**settings.pop("spec")), dict(settings.pop("augmentation"))
        augmentation["snr_db"] = tuple(augmentation["snr_db"])
        return cls(
            value["backbone"],
            value["device"],
            value["precision"],
            TrainSettings(spec=spec, augmentation=Augmentation(**augmentation), **settings),
            value.get("vocabulary", "auto"),
            value.get("language", ""),
            value.get("minutes", 0.0),
            value.get("texts", ""),
            value.get("language_model_weight"),
            value.get("start", ""),
            value.get("guessed_by", ""),
            tuple(value.get("stated", ())),
        )
