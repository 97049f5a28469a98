"""Gene sets and lists as people save them, whole and broken, and genes found whatever their case."""

from __future__ import annotations

import math
import tracemalloc

import pytest

from deepvelo.contents.genes import GeneIndex
from deepvelo.errors import InputError
from deepvelo.tl.gene_sets import sets as gene_sets
from deepvelo.tl.gene_sets.sets import match_genes, read_gene_list, read_gmt, read_terms, spelled


@pytest.fixture
def file(tmp_path):
    def write(text, *, name="sets.gmt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_gmt_is_a_name_a_description_and_genes(file):
    path = file("AXON\thttp://x\tTMSB10\tCPE\n\nCYCLE\t\tMki67\tTop2a\tMki67\t\t\n")
    assert read_gmt(path) == {"AXON": ("TMSB10", "CPE"), "CYCLE": ("Mki67", "Top2a")}


def test_gmt_of_windows_with_weights_as_enrichr_writes_them(file):
    path = file("\ufeffAXON\t\tSTAT1,0.83\tCPE,1e-3\tHLA-A, 2\r\n")
    assert read_gmt(path) == {"AXON": ("STAT1", "CPE", "HLA-A")}


def test_gmt_need_not_be_called_gmt(file):
    assert read_gmt(file("A\t\tCpe", name="sets.txt")) == {"A": ("Cpe",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A\t\tCpe\nB Cpe Actb\n", r"sets\.gmt, line 2 is not a gene set: it has no tab"),
        ("A\t\tCpe\n\nB\tdescription\n", r"line 3 is not a gene set: the set 'B' has no gene"),
        ("A\t\tCpe\nB\tdescription\t\t\n", r"line 2 is not a gene set: the set 'B' has no gene"),
        ("\t\tCpe\n", r"line 1 is not a gene set: its first column is empty"),
        ("A\t\tCpe,Actb,Eomes\n", r"line 1 is not a gene set: the genes 'Cpe,Actb,Eomes' are not separated"),
        ("A\t\tCpe Actb Eomes\n", r"line 1 is not a gene set: the genes 'Cpe Actb Eomes' are not separated"),
        ("A\t\tCpe\nB\t\tCpe\nA\t\tActb\n", r"line 3 is not a gene set: the set 'A' is already on line 1"),
        ("\n \n", r"sets\.gmt holds no gene set"),
        ("<html><body>Not found</body></html>", r"line 1 is not a gene set: it has no tab"),
        (b"\x1f\x8b\x08\x00packed", r"sets\.gmt is not plain text in UTF-8"),
    ],
)
def test_malformed_gmt_tells_file_line_and_why(file, text, message):
    with pytest.raises(InputError, match=message):
        read_gmt(file(text))


@pytest.mark.parametrize("read", [read_gmt, read_gene_list, read_terms])
def test_a_file_that_is_not_there(tmp_path, read):
    with pytest.raises(InputError, match=r"nowhere\.gmt cannot be read: No such file.*Check the path"):
        read(tmp_path / "nowhere.gmt")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "Tmsb10\nCpe\nEomes\n",
        "# granule markers\n\nTmsb10  # thymosin\nCpe\n\nEomes\nCpe\n",
        "gene,score\nTmsb10,3.5\nCpe,2\nEomes,\n",
        '"Gene Symbol";"score"\n"Tmsb10";"3,5"\n"Cpe";"2"\n"Eomes";"1"\n',
        "\tmean\nTmsb10\t3.5\nCpe\t2\nEomes\t1\n",  # as pandas writes its index
        "\ufeffTmsb10\r\nCpe\r\nEomes",
    ],
)
def test_gene_lists_as_people_save_them(file, text):
    assert read_gene_list(file(text)) == ("Tmsb10", "Cpe", "Eomes")


def test_only_the_first_line_can_be_a_header(file):
    assert read_gene_list(file("Cpe, 'GENE'; Index\n")) == ("Cpe", "GENE", "Index")
    assert read_gene_list(file("Cpe\nGENE\nIndex\n")) == ("Cpe", "GENE", "Index")


@pytest.mark.parametrize("text", ["", "# nothing\n\n", "gene\n", ",1\n,2\n"])
def test_a_list_without_genes(file, text):
    with pytest.raises(InputError, match=r"sets\.gmt holds no gene\. Give one gene per line"):
        read_gene_list(file(text))


def test_terms_keep_their_commas(file):
    path = file("# what matters here\nneuro\naxon guidance, motor\nneuro\n")
    assert read_terms(path) == ("neuro", "axon guidance, motor")
    with pytest.raises(InputError, match="holds no term"):
        read_terms(file("# none\n"))


def test_human_names_find_mouse_genes():
    match = match_genes(["TMSB10", "CPE", "HBB", "C1orf43"], ["Cpe", "Tmsb10", "Actb", "c1ORF43"])
    assert match.matched == ("Tmsb10", "Cpe", "c1ORF43")
    assert match.missing == ("HBB",)
    assert match.share == 0.75


def test_a_gene_counts_once_however_often_it_is_spelled():
    match = match_genes(["TMSB10", "Tmsb10", "HBB", "Hbb"], ["Tmsb10", "Cpe"])
    assert (match.matched, match.missing, match.share) == (("Tmsb10",), ("HBB",), 0.5)


def test_the_very_spelling_goes_first_where_two_species_were_counted():
    index = GeneIndex(["Actb", "ACTB", "Cpe"])
    assert index.match(["ACTB"]).matched == ("ACTB",)
    assert index.match(["Actb"]).matched == ("Actb",)
    assert index.match(["actb"]).matched == ("Actb",)


def test_lists_and_sets_are_spelled_as_the_data_are():
    index = GeneIndex(["GRCh38_ACTB", "mm10___Cpe"], aliases={"ENSG1": "GRCh38_ACTB"})
    assert spelled(["cpe", "ENSG1", "HBB"], index, what="x") == ("mm10___Cpe", "GRCh38_ACTB", "HBB")
    assert spelled({"late": ["ACTB"], "b": []}, index, what="x") == {"late": ("GRCh38_ACTB",), "b": ()}
    with pytest.raises(InputError, match=r"None of the 1 gene of list\.txt"):
        spelled(["HBB"], index, what="list.txt")


def test_a_list_with_no_match_shows_both_kinds_of_name():
    ids = [f"ENSMUSG0000000{n}" for n in range(4)]
    with pytest.raises(
        InputError,
        match=r"None of the 4 genes of the list of factors \('ENSMUSG00000000', .*, …\) is among the 2 tested ones "
        r"\('Cpe', 'Actb'\)\. Use the same kind of names",
    ):
        match_genes(ids, ["Cpe", "Actb"], what="the list of factors")
    assert math.isnan(GeneIndex(["Cpe"]).match([]).share)


def test_numbers_beside_genes_are_no_genes_and_entrez_ids_are(file):
    assert read_gene_list(file("Sox2,0.5,-1.2e-05")) == ("Sox2",)
    assert read_gene_list(file("6657,4609")) == ("6657", "4609")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A\t\t" + "1" * 20_000, r"line 1 is not a gene set: '1+…1+' has 20,000 characters"),
        ("A\t\tX\t" + "a" * 500 + "\n", r"line 1 is not a gene set: 'a+…a+' has 500 characters"),
        ("a" * 2000 + "\t\tCpe\n", r"line 1 is not a gene set: 'a+…a+' has 2,000 characters"),
        ("A\t\tCpe\nB\t\t" + "Cpe\t" * 1_100_000, r"line 2 is longer than 4 MB"),
        ("A\t\tC\0pe\n", r"not plain text"),
        ("A\t\tCpe\n".encode("utf-16"), r"not plain text"),
    ],
)
def test_gmt_with_long_names_and_lines_is_refused_in_a_short_sentence(file, text, message):
    with pytest.raises(InputError, match=message) as error:
        read_gmt(file(text))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("_LONGEST_GMT", "larger than 0.01 kB"),
        ("_MOST_SETS", "more than 10 gene sets"),
        ("_MOST_GENES", "more than 10 genes"),
        ("_MOST_DIFFERENT", "more than 10 distinct genes"),
    ],
)
def test_gmt_beyond_the_limits_is_refused(file, monkeypatch, limit, message):
    path = file("".join(f"S{n}\t\tG{n}\tG{n + 1}\n" for n in range(11)))
    assert len(read_gmt(path)) == 11
    monkeypatch.setattr(gene_sets, limit, 10)
    with pytest.raises(InputError, match=message):
        read_gmt(path)


@pytest.mark.parametrize("read", [read_gmt, read_gene_list, read_terms])
def test_a_file_without_end_is_refused(read):
    with pytest.raises(InputError, match="not plain text"):
        read("/dev/zero")


def test_lists_with_long_names_are_refused(file):
    with pytest.raises(InputError, match=r"not a list of genes: 'a+…a+' has 3,000 characters"):
        read_gene_list(file("Cpe\n" + "a" * 3000))
    with pytest.raises(InputError, match=r"not a list of terms: 'a+…a+' has 3,000 characters"):
        read_terms(file("a" * 3000))


@pytest.mark.slow
def test_a_gmt_takes_as_much_memory_as_its_sets_not_its_names(file):
    line = "\t".join(["", "", *(f"GENE{n}" for n in range(10_000))])
    path = file("".join(f"SET{n}{line}\n" for n in range(220)))
    assert path.stat().st_size > 19e6
    tracemalloc.start()
    try:
        sets = read_gmt(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(sets) == 220
    assert peak < 30e6
