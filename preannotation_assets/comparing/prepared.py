"""Settings that were held against their servers before anything is asked: all that a run would ask with."""

import os
from dataclasses import dataclass

from preannotation_assets.definitions import Resources, build_resources
from preannotation_assets.defs.assets.raw_model_outputs.cascade import SmallModel, find_small_model
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.model_servers.model_access import ModelAccess
from preannotation_assets.model_servers.preflight import notes_of
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.publishing.calibrations import calibrated_version, calibration_doubt
from preannotation_assets.settings import Settings
from preannotation_assets.trying.batch_pages import chunk_limits

__all__ = ["PreparedSettings", "prepare"]


@dataclass(frozen=True, slots=True)
class PreparedSettings:
    """What a run over a dataset with some settings asks, and what it makes of the answers.

    ``small`` is the model that a cascade asks first, None without one. ``notes`` are lines for whoever
    compares.
    """

    dataset: str
    resources: Resources
    access: ModelAccess
    template: RequestTemplate
    scheme: LabelScheme
    limits: ChunkLimits
    calibration: Calibration | None
    small: SmallModel | None
    notes: tuple[str, ...]

    @property
    def model_version(self) -> str:
        """As a run would publish it."""
        template = self.template
        answers = self.small.cascade_version(template) if self.small else template.model_version
        return calibrated_version(answers, self.calibration)

    @property
    def servers(self) -> dict[str, int]:
        """How many servers share the requests to each model."""
        of_small = {self.small.template.model: len(self.small.access.endpoints)} if self.small else {}
        return {self.template.model: len(self.access.endpoints), **of_small}


def prepare(settings: Settings, dataset: str) -> PreparedSettings:
    """Holds settings against label scheme, lake and servers, as a run does before it asks.

    Raises:
        PreannotationError: what would stop the run, in one line.
    """
    resources = build_resources(settings)
    store = resources["storage"].open_for_publishing()
    scheme = resources["label_scheme"].load()
    calibration = resources["publishing"].load_calibration(store)
    access = resources["model_server"].access()
    prompt = access.prompt(scheme)
    access.require_room(prompt, settings.chunking.chunk_tokens)
    identity = access.identify(os.environ)
    template = access.template(identity, prompt)
    small = find_small_model(resources["cascade"], resources["model_server"], template, scheme, store)
    doubt = calibration_doubt(calibration, template.model_version)
    return PreparedSettings(
        dataset=dataset,
        resources=resources,
        access=access.for_identity(identity),
        template=template,
        scheme=scheme,
        limits=chunk_limits(settings, store, dataset),
        calibration=calibration,
        small=small,
        notes=(*notes_of(identity, *([small.identity] if small else [])), *([doubt] if doubt else ())),
    )
