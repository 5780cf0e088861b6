"""What is known of Faker's methods: which make no value, and which cannot be repeated."""

from __future__ import annotations

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
