"""Known cells in many dresses: matched with themselves, or not at all."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from anndata.utils import make_index_unique

from deepvelo.errors import InputError
from deepvelo.io.matching import Matching, match_cells
from tests.long_text import within

RNG = np.random.default_rng(0)


def codes(n: int, length: int = 16) -> list[str]:
    letters = RNG.choice(list("ACGT"), (n, length))
    found = list(dict.fromkeys("".join(row) for row in letters))
    assert len(found) == n
    return found


BARCODES = codes(60)
A, B, C = BARCODES[:3]


def obs(names, **columns) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.Index([str(name) for name in names]))


def match(processed, counts) -> np.ndarray:
    """Positions of the partners, by names alone."""
    return match_cells(obs(processed), obs(counts)).partner


@pytest.mark.parametrize(
    ("processed", "counts"),
    [
        ("{}-1", "sample1:{}x"),
        ("{}", "sample1:{}x"),
        ("{}-1-0", "{}-1"),
        ("sample1_{}-1", "sample1:{}x"),
        ("sample1_{}-1-0", "sample1:{}x"),
        ("{}-1_1", "possorted_genome_bam_ABC12:{}x"),
        ("10x81_2_{}-", "10X81_2:{}x"),
        ("{}", "{}"),
        ("sampleA#{}-1", "{}.1"),
    ],
)
@pytest.mark.parametrize("barcodes", [BARCODES, [b.lower() for b in BARCODES]])
def test_one_sample_in_any_dress(processed, counts, barcodes):
    order = RNG.permutation(len(BARCODES))
    found = match([processed.format(b) for b in barcodes], [counts.format(BARCODES[i]) for i in order])
    np.testing.assert_array_equal(order[found], np.arange(len(BARCODES)))


@pytest.mark.parametrize(
    ("processed", "counts"),
    [
        ("plate1_{}", "plate1:{}x"),
        ("{}-1", "plate1:{}x"),
        ("{}", "{}"),
    ],
)
def test_short_barcodes(processed, counts):
    short = codes(60, 8)
    found = match([processed.format(b) for b in short], [counts.format(b) for b in short])
    np.testing.assert_array_equal(found, np.arange(60))


def test_barcodes_in_parts():
    """inDrops and split-pool protocols join several barcodes, with or without a separator."""
    parts = [(a, b) for a in codes(6, 8) for b in codes(6, 8)]
    found = match([f"{a}-{b}" for a, b in parts], [f"lib:{a}{b}x" for a, b in parts])
    np.testing.assert_array_equal(found, np.arange(36))


WELLS = [f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13)]


@pytest.mark.parametrize(
    ("processed", "counts"),
    [
        ("plate1_{}", "plate1_{}"),
        ("plate1_{}", "Plate1.{}"),
        ("plate1_{}-0", "plate1_{}"),
        ("plate1_{}", "onefilepercell_A01_unique_and_others_J2CH1:plate1_{}_unsorted.bam"),
        ("plate1_{}", "plate1_{}.unique.dedup.bam"),
    ],
)
def test_names_without_barcodes(processed, counts):
    found = match([processed.format(w) for w in WELLS], [counts.format(w) for w in WELLS[::-1]])
    np.testing.assert_array_equal(found, np.arange(96)[::-1])


@pytest.mark.parametrize(
    ("processed", "counts", "expected"),
    [
        # the sample's name decides
        ([f"s1_{A}-1", f"s2_{A}-1"], [f"s2:{A}x", f"s1:{A}x"], [1, 0]),
        ([f"s2_{A}-1-0"], [f"s1:{A}x", f"s2:{A}x"], [1]),
        ([f"ctrl_rep1_{A}", f"treat_rep1_{A}"], [f"Treat:{A}x", f"Ctrl:{A}x"], [1, 0]),
        # a number is no name of a sample, and nothing else tells them apart: no guess
        ([f"{A}-1", f"{A}-2"], [f"{A}-2", f"{A}-1"], [-1, -1]),
        ([f"{A}-1"], [f"s1:{A}x", f"s2:{A}x"], [-1]),
        ([f"{A}-1", f"{A}-2"], [f"s1:{A}x", f"s2:{A}x"], [-1, -1]),
        ([f"{A}-1", f"{A}-2"], [f"s1:{A}x"], [-1, -1]),
        ([A], [f"s1:{A}x", f"s2:{A}x"], [-1]),
        # other samples' cells of the same wells
        ([f"plate1_{w}" for w in WELLS], [f"plate2_{w}" for w in WELLS], [-1] * 96),
        ([f"{w}-0" for w in WELLS] + [f"{w}-1" for w in WELLS], WELLS, [-1] * 192),
        (["neuron"], ["glia"], [-1]),
        # two barcodes in one name
        ([f"{A}-{B}-1", f"{A}-{C}-1"], [f"x:{A}-{C}", f"x:{A}-{B}"], [1, 0]),
        # numbers are no names, whatever stands before them
        ([str(i) for i in range(9)], [str(i) for i in range(9)], [-1] * 9),
        ([f"cell_{i}" for i in range(9)], [f"cell_{i}" for i in range(9)], [-1] * 9),
    ],
)
def test_samples_are_never_mixed_up(processed, counts, expected):
    assert match(processed, counts).tolist() == expected


def test_numbered_names_were_kept_where_some_are_missing():
    assert match(["cell_2", "cell_5", "cell_6"], [f"cell_{i}" for i in range(9)]).tolist() == [2, 5, 6]


def test_numbered_names_with_other_barcodes_were_made_anew():
    processed = obs([f"cell_{i}" for i in range(1, 30, 2)], barcode=BARCODES[:15])
    counts = obs([f"cell_{i}" for i in range(30)], barcodes=BARCODES[:30])
    np.testing.assert_array_equal(match_cells(processed, counts).partner, np.arange(15))


def two_samples() -> tuple[list[str], list[str]]:
    """Barcodes of two samples, five of them in both."""
    return BARCODES[:30], BARCODES[25:55]


@pytest.mark.parametrize(("first", "second"), [("old:{}x", "young:{}x"), ("{}-1", "{}-0"), ("{}-1", "{}-2")])
def test_suffix_means_what_the_barcodes_say_that_occur_once(first, second):
    old, young = two_samples()
    processed = [f"{b}-0" for b in old] + [f"{b}-1" for b in young]
    counts = [second.format(b) for b in young] + [first.format(b) for b in old]
    np.testing.assert_array_equal(match(processed, counts), np.r_[30:60, 0:30])


def test_made_unique_suffix_is_no_sample():
    """anndata numbers the later of two equal names, and the two files have the samples in another order."""
    barcodes = codes(230)
    old, young = barcodes[:120], barcodes[110:]
    processed = make_index_unique(pd.Index([f"{b}-1" for b in old + young]))
    counts = make_index_unique(pd.Index([f"{b}-1" for b in young + old]))
    found = match(list(processed), list(counts))
    truth = np.r_[120:240, 0:120]
    shared = np.r_[110:130]
    assert (found[shared] == -1).all()
    np.testing.assert_array_equal(np.delete(found, shared), np.delete(truth, shared))

    sample = ["old"] * 120 + ["young"] * 120
    matching = match_cells(obs(processed, sample=sample), obs(counts, batch=sample[::-1]))
    np.testing.assert_array_equal(matching.partner, truth)
    assert "'sample'" in matching.rule
    assert "'batch'" in matching.rule


def test_one_sample_among_several_with_its_barcodes():
    """The processed file has one sample only; five of its barcodes also occur in the other."""
    old, young = two_samples()
    counts = [f"{b}-0" for b in young] + [f"{b}-1" for b in old]
    np.testing.assert_array_equal(match(old, counts), np.arange(30, 60))


def test_sample_without_counts_meets_none():
    """The counts have one of two samples: a cell of the other one has a barcode there by chance."""
    old, young = two_samples()
    found = match(
        [f"{b}-0" for b in old] + [f"{b}-1" for b in young], [f"{b}-1" for b in [*old[:25], young[0]]]
    )
    np.testing.assert_array_equal(found, np.r_[0:26, [-1] * 34])


def test_chance_meeting_of_two_samples_is_not_a_match():
    """Of sample 2 only one barcode is in the counts, and there it belongs to sample 1."""
    processed = [f"{b}-1" for b in BARCODES[:20]] + [f"{BARCODES[30]}-2"]
    counts = [f"one:{b}x" for b in BARCODES[:20]] + [f"one:{b}x" for b in BARCODES[30:32]]
    found = match(processed, counts)
    assert found[-1] == -1
    np.testing.assert_array_equal(found[:-1], np.arange(20))


@pytest.mark.parametrize("n_shared", [1, 4, 10, 25])
@pytest.mark.parametrize("processed", ["{b}-{k}", "{s}_{b}", "{b}"])
def test_sample_without_counts_meets_no_third_one(n_shared, processed):
    """The counts have ctrl and another sample, and some of its barcodes occur in treat."""
    barcodes = codes(240 + n_shared)
    ctrl, treat, other = barcodes[:80], barcodes[80:160], barcodes[160 - n_shared : 240 - n_shared]
    both = [("ctrl", 0, b) for b in ctrl] + [("treat", 1, b) for b in treat]
    table = obs([processed.format(s=s, k=k, b=b) for s, k, b in both], sample=[s for s, _, _ in both])
    counts = obs([f"other:{b}x" for b in other] + [f"ctrl:{b}x" for b in ctrl])
    found = match_cells(table, counts).partner
    assert (found[80:] == -1).all()
    assert set(found[:80] - np.arange(80, 160)) <= {0} or (found == -1).all()


def test_samples_are_told_by_numbers_with_decimals():
    """R writes numbers of samples as decimals."""
    old, young = two_samples()
    processed = obs(old + young, batch=[1.0] * 30 + [2.0] * 30)
    counts = obs(young + old, batch=[1] * 30 + [2] * 30)
    np.testing.assert_array_equal(match_cells(processed, counts).partner, np.r_[30:60, 0:30])


def test_plates_with_the_same_barcodes_need_the_name_of_the_plate():
    first, second = ([f"{plate}_{w}" for w in WELLS] for plate in ("P1", "P2"))
    short = codes(96, 8)
    np.testing.assert_array_equal(match(first + second, second + first), np.r_[96:192, 0:96])
    numbered = [[f"{b}-{plate}" for plate in (0, 1) for b in short] for _ in range(2)]
    assert (match(*numbered) == -1).all()
    plate = ["P1"] * 96 + ["P2"] * 96
    told = match_cells(obs(numbered[0], plate=plate), obs(numbered[1], plate=plate[::-1]))
    np.testing.assert_array_equal(told.partner, np.r_[96:192, 0:96])


@pytest.mark.parametrize("column", ["barcode", "CellID", "index_of_mine"])
def test_row_numbers_yield_to_a_column_of_barcodes(column):
    order = RNG.permutation(60)
    processed = obs(range(60), **{column: BARCODES})
    counts = obs(range(60), barcodes=pd.Categorical([f"{BARCODES[i]}-1" for i in order]))
    matching = match_cells(processed, counts)
    np.testing.assert_array_equal(order[matching.partner], np.arange(60))
    assert f"'{column}'" in matching.rule


def test_columns_that_tell_no_samples_are_no_evidence():
    """Clusters go across samples, and a column of one value is everywhere."""
    old, young = two_samples()
    sample = [f"{b}-0" for b in old] + [f"{b}-1" for b in young]
    table = obs(sample, clusters=RNG.choice(list("ab"), 60), organism="mouse", score=RNG.normal(size=60))
    np.testing.assert_array_equal(match_cells(table, table).partner, np.arange(60))


def test_two_ways_that_disagree_are_refused():
    processed = obs([f"{b}-1" for b in BARCODES], barcode=BARCODES[::-1])
    counts = obs([f"s:{b}x" for b in BARCODES], barcode=BARCODES)
    with pytest.raises(InputError, match=r"contradict each other in 60 of 60 cells.*'barcode'"):
        match_cells(processed, counts)


def test_cells_that_occur_twice_stay_unmatched():
    found = match([*BARCODES, BARCODES[0]], BARCODES)
    assert found[0] == found[-1] == -1
    np.testing.assert_array_equal(found[1:-1], np.arange(1, 60))


@pytest.mark.parametrize(
    "names",
    [
        [A] * 300,
        ["cell"] * 300,
        [""] * 300,
        [f"{A}-{n}" for n in range(300)],
        [f"plate{n}_{A}" for n in range(300)],
        [*[A] * 200, *codes(100)],
    ],
    ids=["one barcode", "one name", "no name", "numbered", "prefixed", "beside others"],
)
def test_cells_that_share_a_name_meet_none(names):
    matching = match_cells(obs(names), obs(names))
    assert not (matching.partner[:200] >= 0).any()


def test_names_of_a_thousand_letters_are_matched_as_others():
    names = [code * 60 for code in BARCODES]
    assert match_cells(obs(names), obs(names[::-1])).rate == 1


def plates(n_cells: int, n_plates: int) -> pd.DataFrame:
    """Most cells on plates that have all their barcodes in common, and some others that have their own."""
    shared, own = n_cells * 19 // 20, n_cells // 20
    barcodes = codes(shared // n_plates + own)
    of_plates = [(barcode, plate) for barcode in barcodes[own:] for plate in range(n_plates)]
    others = [(barcode, n % n_plates) for n, barcode in enumerate(barcodes[:own])]
    names, plate = zip(*others, *of_plates, strict=True)
    return obs(names, sample=[f"plate{n}" for n in plate])


def test_plates_take_memory_by_their_cells_not_their_pairs(monkeypatch):
    monkeypatch.setattr("deepvelo.io.matching.pairs._PAIRS_PER_BLOCK", 2000)
    cells = plates(2000, 95)  # 180,000 pairs
    tracemalloc.start()
    try:
        matching = match_cells(cells, cells.copy())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (matching.partner == np.arange(len(cells))).all()
    assert peak < 4e6


@pytest.mark.slow
def test_forty_thousand_cells_on_plates_take_seconds():
    cells = plates(40_000, 95)
    with within(20):
        matching = match_cells(cells, cells.copy())
    assert (matching.partner == np.arange(len(cells))).all()


@pytest.mark.slow
def test_tables_of_many_columns_take_no_square_of_time():
    columns = {f"name{n}": [f"n{n}_{m}x" for m in range(60)] for n in range(80)}
    columns |= {f"group{n}": [f"s{(m * n) % 7}" for m in range(60)] for n in range(80)}
    with within(5):
        assert match_cells(obs(BARCODES, **columns), obs(BARCODES, **columns)).rate == 1


# Random dresses

_DRESSES = (
    "{b}",
    "{b}-1",
    "{b}-{k}",
    "{b}-1-{k}",
    "{b}-1_{k}",
    "{s}_{b}-1",
    "{s}:{b}x",
    "{s}#{b}-1",
    "{s}_{b}-1-{k}",
)
_NAMES = (("ctrl", "treat", "ko"), ("s1", "s2", "s3"), ("E12_rep1", "E12_rep2", "E14_rep1"))


def random_cells(rng: np.random.Generator) -> pd.DataFrame:
    """Samples of one experiment: barcode, number of the sample, and of the cell; up to a tenth shared."""
    n_samples, n = int(rng.integers(1, 4)), int(rng.integers(20, 120))
    n_shared = int(n * rng.choice([0, 0.02, 0.1]))
    letters = rng.choice(list("ACGT"), ((n_samples + 1) * n, rng.choice([10, 16])))
    pool = list(dict.fromkeys("".join(row) for row in letters))
    rows = [
        (barcode, s)
        for s in range(n_samples)
        for barcode in [*pool[: n_shared if s else n], *(pool[n * s + n_shared : n * (s + 1)] if s else [])]
    ]
    return pd.DataFrame(rows, columns=["b", "s"]).assign(truth=np.arange(len(rows)))


def random_side(
    rng: np.random.Generator, cells: pd.DataFrame, names: tuple[str, ...], kept: float
) -> pd.DataFrame:
    """Some of the cells, samples in any order, under names and with columns as a lab may have them; and the truth."""
    order = list(rng.permutation(cells["s"].unique()))
    order = order[: 1 + int(rng.integers(len(order)))] if rng.random() < 0.3 else order
    cells = pd.concat([cells[cells["s"] == s].assign(k=k) for k, s in enumerate(order)])
    if made_unique_first := rng.random() < 0.5:
        keep = rng.random(len(cells)) < kept
    else:
        cells = cells[rng.random(len(cells)) < kept]
    dress = str(rng.choice(_DRESSES))
    labels = [
        dress.format(b=b, s=names[s], k=k) for b, s, k in zip(cells["b"], cells["s"], cells["k"], strict=True)
    ]
    table = obs(make_index_unique(pd.Index(labels)), truth=cells["truth"].to_numpy())
    if rng.random() < 0.2:
        numbered = str(rng.choice(["{}", "cell_{}"]))
        table.index = pd.Index([numbered.format(i) for i in range(len(table))])
        table["barcodes"] = labels
    if rng.random() < 0.3:
        table[str(rng.choice(["sample", "batch", "orig.ident"]))] = [
            k if kept < 0.8 else names[s] for s, k in zip(cells["s"], cells["k"], strict=True)
        ]
    table["clusters"] = rng.choice(list("abc"), len(table))
    table = table[keep] if made_unique_first else table
    return table.sample(frac=1, random_state=int(rng.integers(1 << 30)))


def matched(processed: pd.DataFrame, counts: pd.DataFrame) -> tuple[Matching, int]:
    """The matching, and how many cells met another one."""
    tables = processed.drop(columns="truth"), counts.drop(columns="truth")
    matching = match_cells(*tables)
    got = matching.partner >= 0
    assert len(set(matching.partner[got])) == got.sum()
    truth = processed["truth"].to_numpy()[got], counts["truth"].to_numpy()[matching.partner[got]]
    return matching, int((truth[0] != truth[1]).sum())


@pytest.mark.parametrize("seed", range(8))
def test_no_cell_ever_meets_another(seed):
    n_joined = 0
    for part in range(4):
        rng = np.random.default_rng([seed, part])
        cells = random_cells(rng)
        names = _NAMES[rng.integers(3)]
        processed = random_side(rng, cells, names, float(rng.choice([1, 0.9, 0.5])))
        counts = random_side(rng, cells, names, float(rng.choice([1, 1, 0.9])))
        matching, n_wrong = matched(processed, counts)
        if matching.rate >= 0.5:
            n_joined += 1
            assert n_wrong == 0, (seed, part, matching.rule)
    assert n_joined >= 1, "never to join is no way out"
