"""The one command that a checklist asks for."""

from __future__ import annotations

import pytest

from producer.cutover.cut_over_request import CutOverRequest
from producer.cutover.source_collections import ACCEPTING, COMPARING
from producer.doctor.check import Check


@pytest.mark.parametrize(
    ("request_", "needs", "command"),
    [
        (CutOverRequest(), [], "dataworks cutover mig-1"),
        (CutOverRequest(), [COMPARING], "dataworks cutover mig-1 --verify full"),
        (
            CutOverRequest("none", 2.5, block_writes=True),
            [ACCEPTING, COMPARING],
            "dataworks cutover mig-1 --verify full --quiet 2.5s --block-writes --accept-failures",
        ),
        (
            CutOverRequest("full"),
            [ACCEPTING],
            "dataworks cutover mig-1 --verify full --accept-failures",
        ),
        (
            CutOverRequest("none"),
            [ACCEPTING],
            "dataworks cutover mig-1 --verify none --accept-failures",
        ),
    ],
)
def test_the_command_has_what_was_given_and_what_is_needed(
    request_: CutOverRequest, needs: list[str], command: str
) -> None:
    checks = [Check("name", ok=False, found="", needs=flags) for flags in needs]
    fine = Check("fine", ok=True, found="", needs=ACCEPTING)
    assert request_.with_what_is_needed([*checks, fine]).command("mig-1") == command
