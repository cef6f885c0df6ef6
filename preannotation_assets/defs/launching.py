"""What a launch may change, and what only the environment says.

Whoever reaches Dagster's web server can send a run any configuration that its schema takes. So the schema
takes what decides how the model is asked, and nothing that says where pages come from or go to, what runs, or
which file is read: that is fixed when the code location is loaded. What a launch leaves out stays as the
environment says.

The types are Dagster's plain ones. Those that it makes of a pydantic model also take ``{env: NAME}``, by
which a launch could have any variable of the code server sent to the model's server as the name of a model.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final

from dagster import (
    Bool,
    ConfigurableResource,
    Enum,
    EnumValue,
    Field,
    Float,
    InitResourceContext,
    Int,
    Noneable,
    ResourceDefinition,
    String,
)
from pydantic import BaseModel, ValidationError

from preannotation_assets.defs.resources.unusable import UnusableResource
from preannotation_assets.errors import SettingsError
from preannotation_assets.settings.fields import Setting
from preannotation_assets.settings.groups import REFUSED, SettingsGroup

__all__ = ["fixed_resource", "fixed_value", "launch_fields", "launchable_resource"]

_PLAIN: Final[Mapping[object, object]] = {bool: Bool, int: Int, float: Float, str: String, list: [String]}


def launch_fields(model: type[BaseModel], values: BaseModel) -> dict[str, Field]:
    """Dagster's fields for those of a model; what is left out has the value in ``values``."""
    return {name: _field(Setting("", name, field), values) for name, field in model.model_fields.items()}


def fixed_resource(resource: ConfigurableResource[Any]) -> ResourceDefinition:
    """The resource as it is; a launch that configures anything of it is refused."""
    return launchable_resource(resource, ())


def fixed_value(value: object) -> ResourceDefinition:
    """A value of this process as a resource; a launch that configures anything of it is refused."""
    return ResourceDefinition(lambda _: value, config_schema={})


def launchable_resource(
    resource: ConfigurableResource[Any],
    groups: Sequence[type[SettingsGroup]],
    at_most: Mapping[str, int] | None = None,
) -> ResourceDefinition:
    """The resource, of which a launch may change the settings of these groups.

    ``at_most`` has upper bounds, by the names of settings, which are their defaults as well. A value out of
    its bounds fails the step that uses the resource, in one line.
    """
    bounds = at_most or {}
    fields = {name: field for group in groups for name, field in launch_fields(group, resource).items()}
    fields |= {name: _bounded(fields[name], most) for name, most in bounds.items()}

    @contextmanager
    def lend(context: InitResourceContext) -> Iterator[object]:
        try:
            whole = _changed(resource, context.resource_config, bounds)
        except SettingsError as error:
            yield UnusableResource(error.problem, error.cure)
            return
        with whole.yield_for_execution(context) as ready:
            yield ready

    return ResourceDefinition(lend, config_schema=fields, description=type(resource).__doc__)


def _field(setting: Setting, values: BaseModel) -> Field:
    kind, value = setting.kind, getattr(values, setting.name)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        choices = Enum(kind.__name__, [EnumValue(member.name, member) for member in kind])
        return Field(choices, default_value=value.name, description=setting.field.description)
    optional = setting.field.annotation is not kind and kind is not list
    plain = Noneable(_PLAIN[kind]) if optional else _PLAIN[kind]
    return Field(plain, default_value=value, description=setting.field.description)


def _bounded(field: Field, most: int) -> Field:
    return Field(Int, default_value=most, description=f"{field.description} A launch may lower it.")


def _changed(
    resource: ConfigurableResource[Any], launched: Mapping[str, Any], at_most: Mapping[str, int]
) -> ConfigurableResource[Any]:
    """A resource of the same kind with these values.

    Raises:
        SettingsError: a value is out of its bounds. It does not repeat the value.
    """
    for name, most in at_most.items():
        if launched[name] > most:
            raise SettingsError(
                f"{name} of this launch is above {most}, which is the most in this environment",
                "launch with less, or raise it in the environment of the code server",
            )
    present = {name: getattr(resource, name) for name in type(resource).model_fields}
    try:
        return type(resource)(**{**present, **launched})
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        if detail["type"] == REFUSED:
            raise SettingsError(detail["ctx"]["problem"], detail["ctx"]["cure"]) from None
        place = ".".join(str(part) for part in detail["loc"])
        raise SettingsError(f"{place} of this launch is malformed", detail["msg"]) from None
