from __future__ import annotations

import numpy as np
import pandas as pd

from deepvelo.pl.sensitivity_map import sensitivity_map


def test_shares_are_coloured_by_how_good_they_are_and_written_as_they_are():
    table = pd.DataFrame(
        {"agreement": [1.0, -0.5], "reversed": [0.0, 0.75], "A > B": [0.25, np.nan]},
        index=["base run", "genes 300"],
    )
    fig = sensitivity_map(table, titles={"agreement": "Agreement"}, shares=("reversed",))
    (heat,) = fig.data
    assert list(heat.x) == ["Agreement", "reversed", "A > B"]
    np.testing.assert_array_equal(heat.z, [[1, 1, 0.25], [-0.5, -0.5, np.nan]])
    assert heat.text.tolist() == [["1.00", "0%", "0.25"], ["−0.50", "75%", "–"]]
    assert (heat.zmin, heat.zmax) == (-1, 1)
    assert fig.layout.yaxis.autorange == "reversed"  # the first row on top
