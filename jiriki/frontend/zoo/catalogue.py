"""The catalogue of models: what each is, where it comes from, under which licence.

Concept: `catalogue.toml` beside this file, parsed and checked once.
In: the TOML. Out: `ModelCard`s and the `Package`s that data and weights come from.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jiriki.frontend.zoo.errors import ZooError
from jiriki.frontend.zoo.packages import Package


class WeightsKind(StrEnum):
    """Whether answers mean anything: `dummy` weights have the right shapes and random values."""

    TRAINED = "trained"
    DUMMY = "dummy"


class ModelCard(BaseModel):
    """One model of the zoo, everything but its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    weights: WeightsKind
    package: Package | None = None
    member: str | None = None
    licence: str
    inputs: dict[str, tuple[int, ...]] = Field(min_length=1)
    macs: int = Field(gt=0)
    preprocessing: str
    calibration: str
    has_photos: bool = False

    @model_validator(mode="after")
    def _member_has_package(self) -> ModelCard:
        if (self.package is None) != (self.member is None):
            raise ValueError("package and member go together")
        return self


class Catalogue(BaseModel):
    """Every model and every package, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, ModelCard]
    packages: dict[str, Package]


def parse_catalogue(text: str) -> Catalogue:
    """Parse the catalogue's TOML; a model refers to its package by the package's key."""
    document = tomllib.loads(text)
    packages = {name: Package(name=name, **fields) for name, fields in document["packages"].items()}
    models = {}
    for name, fields in document["models"].items():
        package = packages[fields.pop("package")] if "package" in fields else None
        models[name] = ModelCard(name=name, package=package, **fields)
    return Catalogue(models=models, packages=packages)


@cache
def catalogue() -> Catalogue:
    """Return the catalogue that the package ships."""
    return parse_catalogue(
        files("jiriki.frontend.zoo").joinpath("catalogue.toml").read_text("utf-8")
    )


def list_models() -> tuple[ModelCard, ...]:
    """Return every model's card, in the catalogue's order."""
    return tuple(catalogue().models.values())


def model_card(name: str) -> ModelCard:
    """Return one model's card, or raise with the names there are."""
    models = catalogue().models
    if name not in models:
        raise ZooError(f"model {name!r} is not in the zoo; choose one of {', '.join(models)}")
    return models[name]
