"""Which kind of entity a label of a schema means, by its name."""

import re
from collections.abc import Sequence

from preannotation_assets.simulator.entities import EntityKind

__all__ = ["best_label", "kinds_of_label"]

_SYNONYMS: dict[EntityKind, str] = {
    EntityKind.VESSEL_NAME: (
        "vesselname vessel vessels ship ships shipname nameofship nameofvessel boat schiff "
        "schiffsname navire nomdunavire"
    ),
    EntityKind.IMO_NUMBER: ("imonumber imo imono imonr imoid"),
    EntityKind.CALL_SIGN: ("callsign callsigns radiocallsign rufzeichen indicatif signalletters"),
    EntityKind.FLAG: ("flag flags flagstate nationality flagge pavillon"),
    EntityKind.PORT_OF_REGISTRY: ("portofregistry homeport registryport heimathafen portdattache"),
    EntityKind.PORT: (
        "port ports portname harbour harbor hafen portofcall portofloading portofdischarge "
        "loadingport dischargeport departureport arrivalport origin destination location locations "
        "loc place places placename city town gpe ort lieu"
    ),
    EntityKind.OWNER: (
        "owner owners shipowner registeredowner company companies manager operator organisation "
        "organization organisations organizations org eigner reederei armateur"
    ),
    EntityKind.MASTER: ("master captain captains skipper mastername captainname kapitan capitaine commander"),
    EntityKind.BUILDER: ("builder builders shipbuilder shipyard yard werft bauwerft constructeur chantier"),
    EntityKind.YEAR_BUILT: (
        "yearbuilt builtyear yearofbuild buildyear built year baujahr anneedeconstruction"
    ),
    EntityKind.GROSS_TONNAGE: (
        "grosstonnage tonnage gt grt grossregistertonnage grossregisteredtonnage brt brz"
    ),
    EntityKind.DATE: ("date dates datum day time eventdate dateofissue issuedate"),
    EntityKind.CARGO: ("cargo cargoes cargotype goods commodity ladung cargaison"),
    EntityKind.PERSON: ("person persons people per pers personname human"),
}
_BROADER: dict[EntityKind, tuple[EntityKind, ...]] = {
    EntityKind.PERSON: (EntityKind.MASTER,),
    EntityKind.PORT: (EntityKind.PORT_OF_REGISTRY,),
    EntityKind.OWNER: (EntityKind.BUILDER,),
}
_KIND_OF_NAME = {name: kind for kind, names in _SYNONYMS.items() for name in names.split()}


def kinds_of_label(label: str) -> tuple[EntityKind, ...]:
    """The kinds a label takes, its own first; none for a label the rules do not know.

    Case and anything that is neither letter nor digit are ignored: ``Vessel-Name`` is ``vessel_name``.
    """
    kind = _KIND_OF_NAME.get(re.sub(r"[\W_]+", "", label).lower())
    return () if kind is None else (kind, *_BROADER.get(kind, ()))


def best_label(labels: Sequence[str], kind: EntityKind) -> str | None:
    """The label that means ``kind``, or else the first that includes it, or None."""
    including = [label for label in labels if kind in kinds_of_label(label)]
    return next(
        (label for label in including if kinds_of_label(label)[0] is kind), next(iter(including), None)
    )
