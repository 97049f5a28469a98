"""Lists of cells as people paste them; the cells of each are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo.errors import InputError
from deepvelo.selections import find_cells, names, same_cells

CODES = ["AAACCTGAGAAACCAT", "AAACCTGAGAAACCGC", "AAACCTGAGAAACCTA", "TTTGTCATCTTTACGT"]


def table(names, **columns):
    return pd.DataFrame(columns, index=list(names))


ONE_SAMPLE = table(f"{code}-1" for code in CODES)
# both samples have the first barcode; the second occurs in one of them alone
TWO_SAMPLES = table(["ctrl_" + CODES[0], "stim_" + CODES[0], "ctrl_" + CODES[1], "stim_" + CODES[2]])


def rows(found):
    return np.flatnonzero(found.cells).tolist()


@pytest.mark.parametrize(
    "text",
    [
        "{0}-1\n{2}-1\n",
        "\ufeff{0}-1\r\n\r\n  {2}-1  ",
        "{0}-1,{2}-1",
        "{0}-1; {2}-1",
        "{0}-1\t{2}-1",
        "{0}-1 {2}-1",
        "'{0}-1', \"{2}-1\"",
        "['{0}-1', '{2}-1']",
        "{0}\n{2}",
        "{0}-2\n{2}-2",  # one sample, so the number means nothing
        "sample7:{0}x\nsample7:{2}x",
        "{0}-1-0\n{2}-1-0",
        "barcode\n{0}-1\n{2}-1",
        '"","x"\n"1","{0}-1"\n"2","{2}-1"\n',
        "cluster,barcode,n\n3,{0}-1,17\n3,{2}-1,2\n",
        "barcode\tcluster\n{0}-1\tNaive CD4, T\n{2}-1\tB\n",
        "{0}-1\n{2}-1\n{0}-1",
    ],
)
def test_every_way_to_write_a_list_finds_its_cells(text):
    found = find_cells(text.format(*CODES), ONE_SAMPLE)
    assert rows(found) == [0, 2]
    assert (found.n_given, found.n_found, found.unknown, found.ambiguous) == (2, 2, [], [])
    assert found.report == "2 of 2 names found."


def test_unknown_names_are_counted_and_shown():
    given = [f"{CODES[0]}-1", *(f"CCCCCCCCCCCCCCC{letter}-1" for letter in "ACGT"), "typo"]
    found = find_cells("\n".join(given), ONE_SAMPLE)
    assert rows(found) == [0]
    assert found.unknown == given[1:]
    assert found.report == (
        "1 of 6 names found. 5 are not in this run, for example 'CCCCCCCCCCCCCCCA-1', 'CCCCCCCCCCCCCCCC-1', "
        "'CCCCCCCCCCCCCCCG-1'."
    )


def test_a_barcode_of_two_samples_is_ambiguous_unless_the_name_tells_the_sample():
    found = find_cells(f"{CODES[0]}-1\n{CODES[1]}-1", TWO_SAMPLES)
    assert rows(found) == [2]
    assert found.ambiguous == [f"{CODES[0]}-1"]
    assert found.report == f"1 of 2 names found. 1 is shared by several cells: '{CODES[0]}-1'."
    assert rows(find_cells(f"stim:{CODES[0]}x", TWO_SAMPLES)) == [1]


@pytest.mark.parametrize("name", [f"stim_{CODES[1]}", f"other_{CODES[1]}-1"])
def test_a_cell_of_another_sample_is_not_taken_for_it(name):
    found = find_cells(f"{name}\nctrl_{CODES[0]}", TWO_SAMPLES)
    assert rows(found) == [0]
    assert found.unknown == [name]


def test_numbers_that_tell_samples_apart_are_compared():
    obs = table([f"{CODES[0]}-1", f"{CODES[0]}-2", f"{CODES[1]}-1"])
    found = find_cells(f"x_{CODES[0]}-2\n{CODES[1]}-2\n{CODES[0]}", obs)
    assert (rows(found), found.unknown, found.ambiguous) == ([1], [f"{CODES[1]}-2"], [CODES[0]])


def test_names_with_separators_are_read_as_whole_lines():
    obs = table(["cell 1, left", "cell 1, right", "cell 2, left"])
    assert rows(find_cells("cell 1, right\ncell 2, left", obs)) == [1, 2]
    assert rows(find_cells("Cell_1 (Right)", table(["cell 1 left", "cell 1 right"]))) == [1]


def test_row_numbers_are_found_exactly():
    obs = table(["0", "1", "2", "10"])
    found = find_cells("1,10,3", obs)
    assert (rows(found), found.unknown) == ([1, 3], ["3"])


def test_columns_with_barcodes_are_searched_if_no_cell_has_the_name():
    obs = table(map(str, range(4)), barcode=[f"{code}-1" for code in CODES], kind=list("aabb"))
    assert rows(find_cells("\n".join(CODES[1:3]), obs)) == [1, 2]
    assert rows(find_cells("3\n0", obs)) == [0, 3]


def test_one_cell_and_all_cells():
    assert rows(find_cells(CODES[3], ONE_SAMPLE)) == [3]
    everything = find_cells("\n".join(ONE_SAMPLE.index), ONE_SAMPLE)
    assert rows(everything) == [0, 1, 2, 3]
    assert rows(find_cells("typo", table([]))) == []


@pytest.mark.parametrize("text", ["", " \n\t\n", "''", ",,;"])
def test_an_empty_list_is_refused(text):
    with pytest.raises(InputError, match=r"no names of cells. Give the barcodes"):
        find_cells(text, ONE_SAMPLE)


def test_a_list_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(names, "MOST_CHARACTERS", 2000)
    with pytest.raises(InputError, match=r"larger than 2 kB. Give the names of the cells alone"):
        find_cells("x" * 2001, ONE_SAMPLE)


def test_one_line_of_very_many_names_is_read():
    many = [f"{i:06d}{CODES[0]}" for i in range(20_000)]
    found = find_cells(",".join(many), table([many[7], many[19_999], "other"]))
    assert (rows(found), found.n_given) == ([0, 1], 20_000)


def test_cells_of_another_run_are_found_by_equal_names_alone():
    found = same_cells(["b", "x", "b", f"{CODES[0]}-1"], pd.Index(["a", "b", CODES[0]]))
    assert rows(found) == [1]
    assert (found.n_given, found.unknown) == (3, ["x", f"{CODES[0]}-1"])
    nothing = same_cells([], pd.Index(["a"]))
    assert (rows(nothing), nothing.n_given) == ([], 0)
