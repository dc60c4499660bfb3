"""Fill the configuration from defaults, a TOML file and the environment, in this order of strength."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, get_type_hints

from hermes_core.errors import ConfigError
from hermes_node.config.rules import check_config
from hermes_node.config.sections import SECTIONS, Config

ENV_PREFIX = "HERMES_"
PASSPHRASE_ENV = "HERMES_KEYSTORE_PASSPHRASE"  # noqa: S105 - the name of a variable, not a secret
MAX_FILE_BYTES = 1 << 20

# Kubernetes puts these into every pod for every Service of the namespace; a Service may be called hermes-app.
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)\Z")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def load_config(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read, merge and check. ConfigError names the dotted field."""
    values = _read_file(path) if path is not None else {}
    for section, name, text in _environment_settings(environment):
        values.setdefault(section, {})[name] = text
    config = Config(**{name: _build_section(name, values.get(name, {})) for name in SECTIONS})
    check_config(config)
    return config


def _read_file(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError("--config", f"cannot read {path}: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError("--config", f"{path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        content = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("--config", f"{path} is not TOML: {error}") from None
    for name, section in content.items():
        if name not in SECTIONS:
            raise ConfigError(name, "unknown section" + _nearest(name, SECTIONS))
        if not isinstance(section, dict):
            raise ConfigError(name, "must be a table, as in [" + name + "]")
        for key in section:
            _known_field(name, key)
    return content


def _environment_settings(environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    settings = []
    for variable, text in sorted(environment.items()):
        section, _, name = variable.removeprefix(ENV_PREFIX).lower().partition("_")
        if not variable.startswith(ENV_PREFIX) or section not in SECTIONS or not name or variable == PASSPHRASE_ENV:
            continue
        if name not in _field_names(section) and _SERVICE_LINK.search(variable):
            continue
        _known_field(section, name, shown=variable)
        settings.append((section, name, text))
    return settings


def _field_names(section: str) -> list[str]:
    return [item.name for item in fields(SECTIONS[section])]


def _known_field(section: str, name: str, *, shown: str = "") -> None:
    if name not in _field_names(section):
        raise ConfigError(
            shown or f"{section}.{name}", "unknown setting" + _nearest(name, _field_names(section), f"{section}.")
        )


def _nearest(name: str, known: Any, prefix: str = "") -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {prefix}{close[0]}?" if close else f"; known: {', '.join(known)}"


def _build_section(name: str, values: Mapping[str, Any]) -> Any:
    section = SECTIONS[name]
    hints = get_type_hints(section)
    parsed = {
        item.name: _parse_value(f"{name}.{item.name}", hints[item.name], item, values[item.name])
        for item in fields(section)
        if item.name in values
    }
    return section(**parsed)


def _parse_value(dotted: str, kind: Any, item: Field[Any], raw: Any) -> Any:
    value = _convert(dotted, kind, raw)
    choices = item.metadata["choices"]
    if choices and value not in choices:
        raise ConfigError(dotted, f"{value!r} is not one of {', '.join(choices)}")
    minimum, maximum = item.metadata["minimum"], item.metadata["maximum"]
    # `not (a <= b)` also refuses NaN.
    if minimum is not None and not (minimum <= value <= maximum):
        raise ConfigError(dotted, f"{value} is not between {minimum} and {maximum}")
    return value


def _convert(dotted: str, kind: Any, raw: Any) -> Any:  # noqa: PLR0911 - one return a type reads best
    if kind is bool:
        if isinstance(raw, str) and raw.lower() in _TRUE + _FALSE:
            return raw.lower() in _TRUE
        return _require(dotted, raw, bool, "true or false")
    if kind is str:
        return _require(dotted, raw, str, "text")
    if kind is int:
        if isinstance(raw, str) and re.fullmatch(r"-?[0-9]{1,20}", raw):
            return int(raw)
        return _require(dotted, raw, int, "a whole number")
    if kind is float:
        if isinstance(raw, str):
            try:
                return float(raw)
            except ValueError:
                pass
        return float(_require(dotted, raw, (int, float), "a number"))
    if isinstance(raw, str):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    items = _require(dotted, raw, list, "a list of texts")
    return tuple(_require(dotted, part, str, "a list of texts") for part in items)


def _require(dotted: str, raw: Any, kinds: Any, wanted: str) -> Any:
    if not isinstance(raw, kinds) or (isinstance(raw, bool) and kinds is not bool):
        raise ConfigError(
            dotted, f"must be {wanted}, not {type(raw).__name__}" if not isinstance(raw, str) else f"{raw!r} is not {wanted}"
        )
    return raw
