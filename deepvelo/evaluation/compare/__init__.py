"""Several results of the same cells, matched by name and scored alike."""

from deepvelo.evaluation.compare.edges import GRANULE_EDGES, Edge, default_edges, parse_edges, require_edges
from deepvelo.evaluation.compare.match import Matched, match
from deepvelo.evaluation.compare.region import disagreeing_genes, pair_agreement
from deepvelo.evaluation.compare.report import to_csv, to_json
from deepvelo.evaluation.compare.results import LAYERS, ResultFile, method_names, method_of
from deepvelo.evaluation.compare.scores import (
    EFFECT_NOTE,
    SCORES,
    SMOOTHING_NOTE,
    SMOOTHNESS,
    Comparison,
    compare,
    definition,
)

__all__ = [
    "EFFECT_NOTE",
    "GRANULE_EDGES",
    "LAYERS",
    "SCORES",
    "SMOOTHING_NOTE",
    "SMOOTHNESS",
    "Comparison",
    "Edge",
    "Matched",
    "ResultFile",
    "compare",
    "default_edges",
    "definition",
    "disagreeing_genes",
    "match",
    "method_names",
    "method_of",
    "pair_agreement",
    "parse_edges",
    "require_edges",
    "to_csv",
    "to_json",
]
