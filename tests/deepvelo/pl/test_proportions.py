import pandas as pd

from deepvelo.pl.proportions import proportions


def test_bars_are_the_fractions_with_the_number_of_cells():
    fractions = pd.DataFrame(
        {"spliced": [0.8, 0.9], "unspliced": [0.2, 0.1], "n_cells": [1500, 3]},
        index=["Neuroblast", "Astrocytes"],
    )
    fig = proportions(fractions)
    bars = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in fig.data}
    assert bars["unspliced"] == {"Neuroblast (1,500 cells)": 0.2, "Astrocytes (3 cells)": 0.1}
    assert bars["spliced"] == {"Neuroblast (1,500 cells)": 0.8, "Astrocytes (3 cells)": 0.9}
    assert fig.layout.xaxis.title.text == "share of counts"
    # read from the top
    assert fig.data[0].y[-1].startswith("Astrocytes")
