"""Compose plain YAML with Hydra, check it once, and hand over frozen dataclasses: no OmegaConf after that."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from conf.mistakes import sentences
from conf.overrides import Override, cells, file_of, parse
from conf.schema import Config
from conf.search import FOLDER, PACKAGED, ConfigError, Search, unreadable

OPEN = "???"  # what a file leaves to its user


@dataclass(frozen=True, slots=True)
class Composed:
    """Plain containers, and which file each group chose."""

    container: dict[str, Any]
    choices: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Given:
    """A configuration as its user gave it: what a record of the run keeps beside the values that came of it."""

    overrides: tuple[str, ...]
    choices: Mapping[str, str]  # group -> file
    files: Mapping[str, str]  # text of the user's own files, by path


@dataclass(frozen=True, slots=True)
class Cell:
    """One configuration of a command; `swept` holds its values of the keys that a sweep varies, as written."""

    config: Config
    given: Given
    swept: Mapping[str, str]

    def record(self) -> dict[str, Any]:
        """`config` and `given` as plain JSON values: paths and names of stages as they are, no hashes."""
        return {"config": self.config.plain(), "given": json.loads(json.dumps(asdict(self.given)))}


def compose(overrides: Sequence[Override], search: Search = PACKAGED) -> Composed:
    """What the files and single-valued overrides make together. Raises ConfigError."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    own = [
        search.file(each.key, each.values[0]) for each in overrides if each.action == "choose" and "@" not in each.key
    ]
    own = [path for path in own if not path.is_relative_to(FOLDER)]
    chosen = [_selection(each) for each in overrides if each.action == "choose"]
    if search.own is not None:
        quoted = str(search.own).replace("\\", "\\\\").replace("'", "\\'")
        chosen.append(f"hydra.searchpath=['file://{quoted}']")
    try:
        for file in own:
            if not isinstance(OmegaConf.to_container(OmegaConf.load(file), resolve=False) or [], dict):
                raise ConfigError(f"{file} holds no mapping: a file of a group has `key: value` lines")
        with initialize_config_dir(str(FOLDER), version_base="1.3"):
            composed = hydra_compose("config", overrides=chosen, return_hydra_config=True)
        choices = {str(group): str(name) for group, name in composed.hydra.runtime.choices.items()}
        for flag in (OmegaConf.set_struct, OmegaConf.set_readonly):
            flag(composed, False)
        del composed["hydra"]  # its own settings refer to a job that there is not
        container = OmegaConf.to_container(composed, resolve=True, throw_on_missing=False)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(unreadable(error, own)) from None
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"configuration: {' '.join(str(error).split())}") from error
    if not isinstance(container, dict):
        raise ConfigError("configuration: conf/config.yaml is not a mapping")
    plain = {str(key): value for key, value in container.items()}
    for each in overrides:
        if each.action != "choose":
            apply(each, plain, search)
    return Composed(plain, {group: name for group, name in choices.items() if not group.startswith("hydra/")})


def _selection(override: Override) -> str:
    """A choice in Hydra's grammar: `+` for a group that the packaged defaults do not have, Chinese names quoted."""
    key, name = override.key, override.values[0]
    new = "@" not in key and not (FOLDER / key).is_dir()
    return f"{'+' if new else ''}{key}='{name}'"


def apply(override: Override, container: dict[str, Any], search: Search = PACKAGED) -> None:
    """Set or remove a key of plain containers, in place. A whole mapping replaces what stood there."""
    *parents, last = override.key.split(".")
    here, removes = container, override.action == "remove"
    for depth, part in enumerate(parents, 1):
        if removes and part not in here:
            break
        if here.setdefault(part, {}) is None:
            here[part] = {}
        if not isinstance(here[part], dict):
            path = ".".join(parents[:depth])
            raise ConfigError(f"{override.text}: {path}={here[part]!r} holds no fields: set {path} itself")
        here = here[part]
    if not removes:
        here[last] = override.values[0]
    elif last in here:
        del here[last]
    elif override.key in search.groups():
        raise ConfigError(f"~{override.key}: one of the group is always chosen: {search.offered(override.key)}")
    else:
        near = difflib.get_close_matches(override.key, list(_paths(container, "")), 1, 0.6)
        raise ConfigError(
            f"~{override.key}: the configuration has no such key"
            + (f"; did you mean ~{near[0]}?" if near else "; `siku config --search WORD` lists all")
        )


def _paths(value: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, inner in value.items():
        yield f"{prefix}{key}"
        if isinstance(inner, Mapping):
            yield from _paths(inner, f"{prefix}{key}.")


def _unset(value: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Keys that a file leaves open."""
    for key, inner in value.items():
        if inner == OPEN:
            yield f"{prefix}{key}"
        elif isinstance(inner, Mapping):
            yield from _unset(inner, f"{prefix}{key}.")


def load_cells(overrides: Sequence[str], search: Search = PACKAGED) -> list[Cell]:
    """Every configuration that overrides ask for, in order: one, or a sweep's. Raises ConfigError."""
    parsed = parse(overrides, search)
    varied = {each.key for each in parsed if len(each.values) > 1}
    files = {str(path): _text(path) for text in overrides if text[0] == "@" for path in [file_of(text[1:], search)]}
    out = []
    for cell in cells(parsed):
        composed = compose(cell, search)
        own = (search.file(group, name) for group, name in composed.choices.items() if group in search.groups())
        texts = files | {str(path): _text(path) for path in own if not path.is_relative_to(FOLDER)}
        single = {each.key: each for each in cell if each.key in varied}
        asked = [text for text in overrides if text.partition("=")[0].lstrip("+") not in varied]
        asked += [each.text for each in single.values()]
        swept = {key: each.labels[0] for key, each in single.items()}
        out.append(Cell(validate(composed.container), Given(tuple(asked), composed.choices, texts), swept))
    return out


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def load_cell(overrides: Sequence[str], search: Search = PACKAGED) -> Cell:
    """The one configuration that overrides ask for. Raises ConfigError, for a sweep too."""
    for each in parse(overrides, search):
        if len(each.values) > 1:
            raise ConfigError(f"{each.text} has {len(each.values)} values: a sweep is `siku run -m`, a list is [a,b]")
    return load_cells(overrides, search)[0]


def load(overrides: Sequence[str], search: Search = PACKAGED) -> Config:
    """Compose and validate overrides as a user writes them."""
    return load_cell(overrides, search).config


def validate(container: Mapping[str, Any]) -> Config:
    """The typed configuration. Raises ConfigError naming every wrong field, misspelled ones first."""
    unset = list(_unset(container, ""))
    try:
        config = _adapter().validate_python(_set(container))
    except ValidationError as error:
        raise ConfigError("\n".join(sentences(error.errors(), container, unset, Config))) from None
    if unset:
        raise ConfigError("\n".join(sentences([], container, unset, Config)))
    return config


def _set(container: Mapping[str, Any]) -> dict[str, Any]:
    """A container without the fields that are left open."""
    return {
        key: _set(value) if isinstance(value, Mapping) else value for key, value in container.items() if value != OPEN
    }


@cache
def _adapter() -> TypeAdapter[Config]:
    """Built once: this is where plug-ins are loaded. Raises PluginError."""
    return TypeAdapter(Config)
