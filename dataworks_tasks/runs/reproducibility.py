"""Whether two machines make the same documents: versions, and methods that cannot be repeated."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

from dataworks_tasks.errors import NEW_RUN, SpecRefused
from dataworks_tasks.runs.spec import GenerationJob, RunSpec

METHODS_REFUSED = frozenset({
    "add_provider", "format", "parse", "provider", "seed", "seed_instance", "set_formatter",
    "set_arguments", "get_formatter", "get_providers", "del_arguments", "get_arguments",
    "binary", "zip", "tar", "image", "json_bytes", "xml", "pytimezone", "enum", "optional",
})  # fmt: skip
"""Not methods that make a value of their own."""

CLOCK_METHODS = frozenset({
    "am_pm", "credit_card_expire", "credit_card_full", "date", "date_between",
    "date_between_dates", "date_object", "date_of_birth", "date_this_century",
    "date_this_decade", "date_this_month", "date_this_year", "date_time", "date_time_ad",
    "date_time_between", "date_time_between_dates", "date_time_this_century",
    "date_time_this_decade", "date_time_this_month", "date_time_this_year", "day_of_month",
    "day_of_week", "future_date", "future_datetime", "iso8601", "month", "month_name",
    "passport_dates", "passport_dob", "passport_full", "past_date", "past_datetime", "profile",
    "pydict", "pyiterable", "pylist", "pyobject", "pyset", "pystruct", "pytuple",
    "simple_profile", "time", "time_delta", "time_object", "time_series", "unix_time", "year",
})  # fmt: skip
"""Methods whose values depend on the day they are called."""

UNSEEDED_METHODS = frozenset({
    "color", "color_hsl", "color_hsv", "color_rgb", "color_rgb_float", "passport_gender",
})  # fmt: skip
"""Methods that draw from a random source of their own, which no seed reaches."""


DOCUMENTS_FORMAT = 4
"""Counts changes in the documents that templates make from a seed.

A run keeps the one that it started with.
"""


def check_documents(spec: RunSpec) -> None:
    """Raise SpecRefused for a run whose template another version of DataWorks reads differently."""
    if isinstance(spec.data_job, GenerationJob):
        check_documents_format(spec.data_job)


def check_documents_format(job: GenerationJob) -> None:
    """Raise SpecRefused for a job whose documents this version would make differently."""
    if job.template is not None and job.documents_format != DOCUMENTS_FORMAT:
        raise SpecRefused(
            f"the run's template produces documents of format {job.documents_format}, "
            f"but this version of DataWorks produces format {DOCUMENTS_FORMAT}",
            f"Finish the run with the version that it began with, or {NEW_RUN} with --drop",
        )


def versions() -> dict[str, str]:
    """Return the versions of everything that affects a document's bytes."""
    packages = {name: version(name) for name in ("dataworks", "faker", "numpy", "pymongo")}
    return {**packages, "python": platform.python_version()}


def made_otherwise(what: str, made_with: Mapping[str, str]) -> SpecRefused:
    """Build the error for a process whose versions produce other ``what`` than the producer's."""
    here = versions()
    others = [
        f"{name} {there} there, {here.get(name, 'none')} here"
        for name, there in made_with.items()
        if here.get(name) != there
    ]
    return SpecRefused(
        f"this worker produces different {what} from the producer of the run: "
        + ("; ".join(others) or "the same versions, so a plugin or its data differs"),
        "Install the same versions on every machine: pip install -c constraints.txt dataworks",
    )
