"""How large a thing may be that a file or an option names: a cap on each, and why it is that.

A cap stands far above any sound use and far below what exhausts a machine. Ranges of single settings stand
with the settings; what several modules share stands here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

#: Training seeds per arm: intervals over seeds stop getting narrower long before.
MOST_SEEDS = 1000
#: Trainings of one run, ten times what docs/scaling.md works out; a plan of them is held in memory.
MOST_TRAININGS = 100_000
#: Trainings at a time on one machine: each is a process.
MOST_WORKERS = 1024
#: Classes: confusion counts grow by the square, and 2,000 resamples of 200 classes are 640 MB.
MOST_CLASSES = 200
#: Images of a case. Each has a branch of its own in the network.
MOST_VIEWS = 16
#: Values of a categorical column: each is an input of the network. More are ids or free text.
MOST_CATEGORIES = 1000
#: Inputs that all columns of a case make together.
MOST_INPUTS = 10_000
#: Parameters of a network: 2 GB of weights, 8 GB with the optimizer's state.
MOST_PARAMETERS = 500_000_000
#: Values of one image in one layer: 256 px with 1,024 channels, 1,024 px with 64; 256 MB.
MOST_ACTIVATIONS = 2**26
#: Bytes of a file of weights, read whole: the largest backbone of torchvision has 2.6 GB.
MOST_WEIGHTS = 4_000_000_000
#: Bytes of a text table, read whole: ten million rows of 100 bytes.
MOST_TABLE_BYTES = 1_000_000_000
#: Columns of a table, and characters of a column's name.
MOST_COLUMNS, MOST_NAME = 10_000, 1000
#: Cells of a table that is read cell by cell, each an object of some 60 bytes; a row costs as much as five.
MOST_CELLS, ROW = 50_000_000, 5
#: Cases of a published figure or matrix; a matrix is expanded to its cases.
MOST_PUBLISHED = 1_000_000

#: How many times its own size a zip may grow: JPEGs do not, tables grow 3 to 12 times, a bomb 1,000 times.
MAX_RATIO = 100
#: What a zip of any ratio may bring, in bytes: no disk is filled by that.
HARMLESS = 100_000_000

#: Bytes of a report that is read, and of what it carries, unpacked: a table of a million rows and 20 classes.
MOST_REPORT, MOST_EVIDENCE = 500_000_000, 500_000_000
#: Files that a report carries, and pages and text of a PDF: 10 times the largest report of 30 arms.
MOST_CARRIED, MOST_PAGES, MOST_PAGE_BYTES = 32, 2000, 50_000_000

#: Side of the square images that a network sees, in pixels.
ImageSize = Annotated[int, Field(ge=16, le=1024)]
#: A published number of cases.
Published = Annotated[int, Field(ge=0, le=MOST_PUBLISHED)]


def most_rows(n_columns: int) -> int:
    """Rows that a table of so many columns may have."""
    return MOST_CELLS // (n_columns + ROW)
