"""Compose plain YAML with Hydra, check it once, and hand over frozen dataclasses: no OmegaConf after that."""

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from conf.schema import Config

FOLDER = Path(__file__).resolve().parent


class ConfigError(ValueError):
    """A configuration that is not one: names the field, the value and the way out."""


def groups() -> dict[str, list[str]]:
    """The configuration groups and what each offers."""
    return {
        folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
        for folder in sorted(FOLDER.iterdir())
        if folder.is_dir() and any(folder.glob("*.yaml"))
    }


def rewrite(override: str) -> str:
    """`a.b=c` becomes `++a.b=c`, so that any field of the schema can be set; `group=choice` stays as it is.

    A value that Hydra's grammar cannot read (a URL with `?`, a Chinese path) is quoted.
    """
    key, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[+~]{0,2}[A-Za-z_][\w@./-]*", key):
        raise ConfigError(f"{override!r} is no override: write key=value")
    if key in groups() and re.fullmatch(r"[\w,-]+", value):
        unknown = [choice for choice in value.split(",") if choice not in groups()[key]]
        if unknown:
            raise ConfigError(f"{key}={unknown[0]}: no such choice; conf/{key} has {', '.join(groups()[key])}")
        return override
    return f"{key if key[0] in '+~' else '++' + key}={_quoted(value)}"


def _quoted(value: str) -> str:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        OverridesParser.create().parse_override(f"++key={value}")
    except HydraException:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return value


def expand(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The cells of a sweep: `a.b=1,2 c=3,4` gives four lists of single-valued overrides, in order."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser, choices = OverridesParser.create(), []
    for override in overrides:
        parsed = parser.parse_override(rewrite(override))
        if parsed.is_sweep_override():
            key = rewrite(override).partition("=")[0]
            choices.append([f"{key}={value}" for value in parsed.sweep_string_iterator()])
        else:
            choices.append([rewrite(override)])
    yield from (list(cell) for cell in itertools.product(*choices))


def compose(overrides: Sequence[str]) -> dict[str, Any]:
    """Plain containers composed from conf/*.yaml and overrides already rewritten."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    parser = OverridesParser.create()
    whole = [override for override in overrides if _is_mapping(override)]
    try:
        with initialize_config_dir(str(FOLDER), version_base="1.3"):
            composed = hydra_compose("config", overrides=[o for o in overrides if o not in whole])
        for override in parser.parse_overrides(whole):
            # Hydra would merge, and leave the fields of the alternative that stood there before.
            OmegaConf.update(composed, override.key_or_group, override.value(), merge=False, force_add=True)
        container = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}: missing; set it with {error.full_key}=<value>") from None
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"configuration: {error}") from error
    if not isinstance(container, dict):
        raise ConfigError("configuration: conf/config.yaml is not a mapping")
    return {str(key): value for key, value in container.items()}


def _is_mapping(override: str) -> bool:
    """Whether an override gives a whole mapping, which replaces what stood there."""
    return override.startswith("++") and override.partition("=")[2].lstrip().startswith("{")


def validate(container: Mapping[str, Any]) -> Config:
    """The typed configuration. Raises ConfigError naming every wrong field."""
    try:
        return TypeAdapter(Config).validate_python(dict(container))
    except ValidationError as error:
        raise ConfigError("\n".join(_explained(item, container) for item in error.errors())) from None


def load(overrides: Sequence[str]) -> Config:
    """Compose and validate overrides as a user writes them."""
    return validate(compose([rewrite(override) for override in overrides]))


def _explained(item: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """One line for one pydantic error: path, value, what is wrong, the nearest valid name."""
    path = _path(item["loc"], container)
    value = item["input"] if not isinstance(item["input"], dict | list) else "..."
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{path}={value!r}: no such field{_nearest(path)}"
    if item["type"].startswith("missing"):
        return f"{path}: missing; set it with {path}=<value>"
    return f"{path}={value!r}: {item['msg'][0].lower()}{item['msg'][1:]}"


def _path(location: Sequence[int | str], container: Mapping[str, Any]) -> str:
    """Pydantic's location without the discriminators it puts in."""
    out: list[str] = []
    here: Any = container
    for index, part in enumerate(location):
        inside = isinstance(here, Mapping) and part in here
        discriminator = isinstance(here, Mapping) and part in here.values() and index < len(location) - 1
        if inside or not discriminator:
            out.append(str(part))
            here = here.get(part) if isinstance(here, Mapping) else here
    return ".".join(out)


def _nearest(path: str) -> str:
    names = list(fields(Config))
    close = difflib.get_close_matches(path, names, 1, 0.6)
    last = path.rpartition(".")[2]
    same = [name for name in names if name.rpartition(".")[2] == last]
    best = same or close
    return f"; did you mean {best[0]}?" if best else "; `siku config --search WORD` lists all"


def fields(kind: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401
    """Dotted names of a configuration dataclass's fields; mapping members show as `<name>`."""
    import dataclasses
    import typing

    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name = f"{prefix}{field.name}"
        yield name
        yield from _inner(hints[field.name], name)


def _inner(hint: Any, name: str) -> Iterator[str]:  # noqa: ANN401
    import dataclasses
    import typing

    if dataclasses.is_dataclass(hint):
        yield from fields(hint, f"{name}.")
        return
    arguments = typing.get_args(hint)
    mapping = typing.get_origin(hint) in (dict, Mapping)
    for argument in arguments[1:] if mapping else arguments:
        yield from _inner(argument, f"{name}.<name>" if mapping else name)
