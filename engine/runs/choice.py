"""The vocabulary of a run whose language the backbone may write well already: chosen by what it writes of dev, alone.

Where so few characters are wrong, new letters would have to be learnt from nothing, and ten minutes leave as many
wrong, or more; what there is to gain, its own tokens can gain.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..contract.events import Event, OwnTokensChosen
from ..contract.files import read_json, write_json
from ..contract.run_files import RunFiles
from ..contract.run_request import RunRequest
from ..data.store import Project
from ..decoding.search import DecodeOptions
from ..model.backbone import open_backbone
from ..model.device import choose_device
from ..model.weights import load_model
from ..scoring.edit_distance import character_error_rate
from .preparation import RunData, checked, run_vocabulary
from .scored import bare_recogniser, load_waveforms

# Of characters wrong. Own tokens do better in Dutch (0.07), Finnish (0.08) and Swedish (0.25), as well in Estonian
# (0.23), and in Lithuanian (0.29) in words but not in characters; letters in Persian (0.43).
WELL = 0.3
CLIPS = 12  # of dev, of all lengths: a Whisper's windows take seconds each


def choose_vocabulary(project: Project, run_id: str) -> Iterator[Event]:
    """Settles what `create_run` left open, once: the run writes in the backbone's own tokens where it does so well."""
    files = RunFiles(project.run(run_id).folder)
    if not files.asked.exists():
        return
    asked = RunRequest.from_json(read_json(files.asked))
    request = checked(replace(asked, vocabulary="backbone"))
    vocabulary, backbone = run_vocabulary(project, request, ()), open_backbone(request.backbone)
    clips = sorted(RunData.open(project, run_id).clips["dev"], key=lambda clip: clip.seconds)
    clips = clips[:: max(1, len(clips) // CLIPS)][:CLIPS]
    device = choose_device(request.device, request.precision)
    recogniser = bare_recogniser(load_model(backbone), backbone, vocabulary, DecodeOptions(beam_size=1), device)
    texts = [project.rules.apply(text) for text in recogniser.texts(load_waveforms(clips))]
    wrong = character_error_rate(texts, [project.rules.apply(clip.text) for clip in clips])
    if wrong <= WELL:
        write_json(files.vocabulary, vocabulary.to_json())
        write_json(files.settings, request.to_json())
        yield OwnTokensChosen(wrong, len(clips))
    files.asked.unlink()
