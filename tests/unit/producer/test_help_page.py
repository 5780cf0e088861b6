"""Pages of the documentation as ``dataworks help`` prints them."""

from __future__ import annotations

import re

from producer.cli.help import topics
from producer.view.help_page import shown_page

PAGE = """# Fill it

Read [how long](how-long.md) first, and **then** [the reference](../templates.md#types) about
`types`:

<!-- run -->
```console
$ dataworks plan shop \\
    --total 5
...documents...
exact output
```

![a picture](run.png)

- one
  that continues
- two

| it says | so | again? |
| --- | --- | --- |
| no worker | start one | no |
| nothing | | |

| key | meaning |
| --- | --- |
| `a` | first |
"""


def test_markup_and_test_marks_are_gone() -> None:
    shown = shown_page(PAGE, ["how-long"], 40)
    assert shown == (
        "Fill it\n=======\n\n"
        "Read how long (dataworks help how-long)\nfirst, and then the reference about\ntypes:\n\n"
        "    $ dataworks plan shop \\\n        --total 5\n    exact output\n\n"
        " • one that continues\n • two\n\n"
        " it says    so         again?\n ────────────────────────────\n"
        " no worker  start one  no\n nothing\n\n"
        " key  meaning\n ────────────\n a    first\n"
    )


def test_every_topic_fits_a_terminal_of_80_columns() -> None:
    pages = topics()
    for name, path in pages.items():
        shown = shown_page(path.read_text(), pages, 80)
        assert all(len(line) <= 80 for line in shown.splitlines()), name
        assert not re.search(r"<!--|-->|\]\(|^\||^```|\.md\b", shown, re.MULTILINE), name
