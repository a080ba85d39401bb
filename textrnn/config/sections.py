"""Sections of a config: frozen values with declared types and bounds, validated by pydantic.

Values that obviously fit their declarations need no pydantic, whose import takes longer than predicting a line: those
of model files, and defaults. All others, and the messages about faults, are pydantic's, from the same declarations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import BaseModel

Self = TypeVar("Self", bound="Section")
Hint = Any
"""The type in an annotation."""


class Bounds:
    """Bounds of a number, of the length of text or a list, or the pattern of a text; also as metadata of a type."""

    __is_annotated_types_grouped_metadata__ = True  # pydantic reads the bounds by iteration

    def __init__(
        self,
        *,
        ge: float | None = None,
        gt: float | None = None,
        le: float | None = None,
        lt: float | None = None,
        min_length: int | None = None,
        pattern: str | None = None,
    ) -> None:
        limits = {"ge": ge, "gt": gt, "le": le, "lt": lt, "min_length": min_length, "pattern": pattern}
        self.limits: dict[str, Any] = {name: limit for name, limit in limits.items() if limit is not None}

    def __iter__(self) -> Iterator[object]:
        """Yield the bounds as metadata that pydantic knows."""
        from pydantic import Field  # noqa: PLC0415 - prediction does not need it

        yield from Field(**self.limits).metadata

    def allow(self, value: Any) -> bool:
        """Return whether ``value``, which has the right type, is within the bounds; null is."""
        return value is None or all(_TESTS[name](value, limit) for name, limit in self.limits.items())


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "ge": lambda value, limit: value >= limit,
    "gt": lambda value, limit: value > limit,
    "le": lambda value, limit: value <= limit,
    "lt": lambda value, limit: value < limit,
    "min_length": lambda value, limit: len(value) >= limit,
    "pattern": lambda value, limit: re.fullmatch(limit, value) is not None,
}


class Check:
    """Metadata of a type: a function that returns the value to use, or raises ValueError with what it should be.

    It runs ``before`` the check of the type, or after it.
    """

    __is_annotated_types_grouped_metadata__ = True

    def __init__(self, function: Callable[[Any], Any], *, before: bool = False) -> None:
        self._function, self._before = function, before

    def __iter__(self) -> Iterator[object]:
        """Yield the validator of pydantic."""
        from pydantic import AfterValidator, BeforeValidator  # noqa: PLC0415 - prediction does not need it

        yield (BeforeValidator if self._before else AfterValidator)(self._function)

    def allow(self, value: Any) -> bool:
        """Return whether the function leaves ``value`` as it is."""
        try:
            return bool(self._function(value) == value)
        except ValueError:
            return False


class Key:
    """The default, the description and the bounds of a key of a section."""

    def __init__(self, default: Any, description: str, bounds: Bounds) -> None:
        self.default, self.description, self.bounds = default, description, bounds


def key(default: Any, *, description: str, **bounds: Any) -> Any:
    """Declare a key of a section; ``bounds`` are those of :class:`Bounds`."""
    return Key(default, description, Bounds(**bounds))


class Section:
    """A group of keys, or of sections; unknown keys and values of another type or out of bounds are errors.

    The methods are those of ``pydantic.BaseModel`` with the same names.

    Raises:
        pydantic.ValidationError: a ValueError, with all faults.
    """

    model_fields: ClassVar[dict[str, Key]]
    model_fields_set: frozenset[str]
    """The keys that were given a value, be it the default."""

    def __init_subclass__(cls) -> None:
        """Collect the keys, whose annotations are evaluated."""
        cls.model_fields = {}
        for name in cls.__annotations__:
            given = cls.__dict__[name]
            cls.model_fields[name] = given if isinstance(given, Key) else Key(given, "", Bounds())

    def __init__(self, **values: Any) -> None:
        checked = self.model_validate(values)
        self._set(vars(checked), checked.model_fields_set)

    @classmethod
    def model_validate(cls: type[Self], values: Any) -> Self:
        """Return the section with ``values`` by key, and the defaults of the others."""
        section = cls._accept(values)
        return section if section is not None else cls._from_model(make_model(cls).model_validate(values))

    @classmethod
    def model_construct(cls: type[Self], _fields_set: Collection[str], **values: Any) -> Self:
        """Return the section with ``values``, which are valid."""
        section = cls.__new__(cls)
        section._set({name: field.default for name, field in cls.model_fields.items()} | values, _fields_set)
        return section

    def model_copy(self: Self, *, update: Mapping[str, Any]) -> Self:
        """Return the section with other, valid values of some keys."""
        values = dict(self) | dict(update)
        return self.model_construct(self.model_fields_set | update.keys(), **values)

    def model_dump(self, *, include: Collection[str] | None = None) -> dict[str, Any]:
        """Return plain values by key, those of ``include`` alone if it is given."""
        return {
            name: value.model_dump() if isinstance(value, Section) else _copy(value)
            for name, value in self
            if include is None or name in include
        }

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """Return the JSON schema."""
        return make_model(cls).model_json_schema()

    @classmethod
    def _accept(cls: type[Self], values: Any) -> Self | None:
        """Return the section if ``values`` certainly are valid and stay as they are; None if pydantic has to see."""
        if type(values) is not dict:
            return None
        accepted: dict[str, Any] = {}
        for name, value in values.items():
            field, hint = cls.model_fields.get(name), cls.__annotations__.get(name)
            if field is None:
                return None
            if isinstance(field.default, Section):
                section = type(field.default)
                part = value if isinstance(value, section) else section._accept(value)
                if part is None:
                    return None
                accepted[name] = part
            elif fits(value, hint) and field.bounds.allow(value):
                accepted[name] = _copy(value)
            else:
                return None
        return cls.model_construct(accepted.keys(), **accepted)

    @classmethod
    def _from_model(cls: type[Self], model: BaseModel) -> Self:
        hints = cls.__annotations__
        values = {name: hints[name]._from_model(value) if _is_model(value) else value for name, value in model}
        return cls.model_construct(model.model_fields_set, **values)

    def _set(self, values: Mapping[str, Any], given: Collection[str]) -> None:
        self.__dict__.update(values, model_fields_set=frozenset(given))

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Yield each key and its value."""
        return ((name, getattr(self, name)) for name in self.model_fields)

    def __eq__(self, other: object) -> bool:
        return dict(self) == dict(other) if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self)})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")


def fits(value: Any, hint: Hint) -> bool:
    """Return whether ``value`` certainly has the type ``hint``, with all metadata, and pydantic would not change it."""
    origin: Any = get_origin(hint)
    parts = get_args(hint)
    if origin is Annotated:
        return fits(value, parts[0]) and all(part.allow(value) for part in parts[1:])
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return type(value) is str and value in parts
    if origin is list:
        return type(value) is list and all(fits(item, parts[0]) for item in value)
    if origin is dict:
        return type(value) is dict and all(fits(k, parts[0]) and fits(v, parts[1]) for k, v in value.items())
    if type(value) is float:
        return hint is float and math.isfinite(value)
    if type(value) is str:
        return hint is str and (value.isascii() or not re.search("[\ud800-\udfff]", value))
    return type(value) is hint or (value is None and hint is type(None))


_models: dict[type[Section], type[BaseModel]] = {}


def make_model(section: type[Section]) -> type[BaseModel]:
    """Return the pydantic model of ``section``, with the same name, docstring and keys; it is made once."""
    if section in _models:
        return _models[section]
    from pydantic import BaseModel, ConfigDict, Field, create_model  # noqa: PLC0415 - prediction does not need it

    class Model(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    keys: dict[str, Any] = {}
    for name, hint in section.__annotations__.items():
        field = section.model_fields[name]
        if isinstance(field.default, Section):
            model = make_model(type(field.default))
            keys[name] = (model, model())
        else:
            keys[name] = (hint, Field(field.default, description=field.description, **field.bounds.limits))
    model = create_model(section.__name__, __base__=Model, **keys)
    model.__doc__ = section.__doc__
    return _models.setdefault(section, model)


def _is_model(value: Any) -> bool:
    return hasattr(value, "model_fields_set")


def _copy(value: Any) -> Any:
    """Return a copy of plain values."""
    if isinstance(value, list):
        return [*map(_copy, value)]
    return {**value} if isinstance(value, dict) else value
