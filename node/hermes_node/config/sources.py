"""Fill the configuration from defaults, a TOML file and the environment, in this order of strength."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from hermes_core.bounds import LimitError, quote
from hermes_core.errors import ConfigError
from hermes_node.config.rules import check_config
from hermes_node.config.sections import SECTIONS, Config

ENV_PREFIX = "HERMES_"
PASSPHRASE_ENV = "HERMES_KEYSTORE_PASSPHRASE"  # noqa: S105 - the name of a variable, not a secret
MAX_FILE_BYTES = 1 << 20

# Kubernetes puts these into every pod for every Service of the namespace; a Service may be called hermes-app.
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)\Z")
# Control characters, line separators, and what is left of bytes that are no UTF-8.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def load_config(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read, merge and check. ConfigError names the dotted field, and the variable where it came from one."""
    values = _read_file(path) if path is not None else {}
    variables = _environment_settings(environment)
    for (section, name), variable in variables.items():
        values.setdefault(section, {})[name] = environment[variable]
    try:
        config = Config(**{name: _build_section(name, values.get(name, {})) for name in SECTIONS})
        check_config(config)
    except ConfigError as error:
        section, _, name = error.field.partition("[")[0].partition(".")
        if (section, name) in variables:
            raise ConfigError(error.field, f"{error.problem} (from {variables[section, name]})") from None
        raise
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
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, no UTF-8, or a number of thousands of digits
        raise ConfigError("--config", f"{path} is not TOML: {error}") from None
    for name, section in content.items():
        if name not in SECTIONS:
            raise ConfigError(_one_line(name), "unknown section" + _nearest(name, SECTIONS))
        if not isinstance(section, dict):
            raise ConfigError(name, "must be a table, as in [" + name + "]")
        for key in section:
            _known_field(name, key)
    return content


def _environment_settings(environment: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Section and name of a setting to the variable that sets it."""
    settings = {}
    for variable in sorted(environment):
        section, _, name = variable.removeprefix(ENV_PREFIX).lower().partition("_")
        if not variable.startswith(ENV_PREFIX) or section not in SECTIONS or not name or variable == PASSPHRASE_ENV:
            continue
        if name not in _field_names(section) and _SERVICE_LINK.search(variable):
            continue
        _known_field(section, name, shown=variable)
        settings[section, name] = variable
    return settings


def _field_names(section: str) -> list[str]:
    return [item.name for item in fields(SECTIONS[section])]


def _known_field(section: str, name: str, *, shown: str = "") -> None:
    if name not in _field_names(section):
        raise ConfigError(
            _one_line(shown or f"{section}.{name}"), "unknown setting" + _nearest(name, _field_names(section), f"{section}.")
        )


def _nearest(name: str, known: Any, prefix: str = "") -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {prefix}{close[0]}?" if close else f"; known: {', '.join(known)}"


def _one_line(name: str) -> str:
    """A name from outside, fit for the one line that tells of it."""
    return quote(name) if _UNFIT.search(name) else name


def _build_section(name: str, values: Mapping[str, Any]) -> Any:
    section = SECTIONS[name]
    hints = get_type_hints(section)
    parsed = {key: _convert(f"{name}.{key}", hints[key], raw) for key, raw in values.items()}
    try:
        return section(**parsed)
    except LimitError as error:
        refused = error.renamed(lambda field: f"{name}.{field}")
        raise ConfigError(refused.field, refused.detail) from None


def _convert(dotted: str, kind: Any, raw: Any) -> Any:
    """What a file or a variable says, as the setting's type; the section judges its range."""
    converters: dict[Any, Callable[[str, Any], Any]] = {
        bool: _convert_bool,
        int: _convert_int,
        float: _convert_float,
        tuple[str, ...]: _convert_list,
    }
    plain = tuple[str, ...] if get_origin(kind) is tuple else kind
    convert: Callable[[str, Any], Any] = converters.get(plain, _require_text)
    return convert(dotted, raw)


def _convert_bool(dotted: str, raw: Any) -> bool:
    if isinstance(raw, str) and raw.lower() in _TRUE + _FALSE:
        return raw.lower() in _TRUE
    return bool(_require(dotted, raw, bool, "true or false"))


def _convert_int(dotted: str, raw: Any) -> int:
    if isinstance(raw, str) and re.fullmatch(r"-?[0-9]{1,20}", raw):
        return int(raw)
    return int(_require(dotted, raw, int, "a whole number"))


def _convert_float(dotted: str, raw: Any) -> float:
    try:
        return float(raw if isinstance(raw, str) else _require(dotted, raw, (int, float), "a number"))
    except ValueError:
        raise ConfigError(dotted, f"{quote(raw)} is not a number") from None
    except OverflowError:
        return math.inf  # a whole number that no float holds


def _convert_list(dotted: str, raw: Any) -> tuple[str, ...]:
    if isinstance(raw, str):
        return tuple(part.strip() for part in _require_text(dotted, raw).split(",") if part.strip())
    items = _require(dotted, raw, list, "a list of texts")
    return tuple(_require_text(dotted, part, "a list of texts") for part in items)


def _require_text(dotted: str, raw: Any, wanted: str = "text") -> str:
    """Text that a path, an address and a line of a log can hold."""
    text: str = _require(dotted, raw, str, wanted)
    if _UNFIT.search(text):
        raise ConfigError(dotted, f"{quote(text)} holds a control character or broken UTF-8")
    return text


def _require(dotted: str, raw: Any, kinds: Any, wanted: str) -> Any:
    if not isinstance(raw, kinds) or (isinstance(raw, bool) and kinds is not bool):
        raise ConfigError(
            dotted,
            f"must be {wanted}, not {type(raw).__name__}" if not isinstance(raw, str) else f"{quote(raw)} is not {wanted}",
        )
    return raw
