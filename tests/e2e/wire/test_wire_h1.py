"""HTTP/1 on the wire: see table.py. Each row names the section of the RFC that decides it."""
import pytest
from harness.lab import Lab

from .h1_rows import ROWS
from .table import Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("wire"))
    yield Bench(lab)
    lab.close()


@pytest.mark.parametrize("row", ROWS, ids=[f"{r.section.replace(' ', '-')}:{r.name}" for r in ROWS])
def test_row(bench, row):
    bench.run(row)


def test_rows_are_told_apart():
    assert len({r.name for r in ROWS}) == len(ROWS)
