import numpy as np
import pandas as pd

from deepvelo.tl.lineage.group_shares import STAGES, fate_shares, stage_shares

GROUPS = np.array(["a", "a", "a", "a", "b", "b", "c"])


def test_stages_are_thirds_of_time():
    time = np.array([0.0, 0.2, 0.5, np.nan, 0.9, 1.0, np.nan])
    shares = stage_shares(GROUPS, time)
    assert list(shares.columns) == list(STAGES)
    np.testing.assert_allclose(shares.loc["a"], [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(shares.loc["b"], [0, 0, 1])
    assert shares.loc["c"].isna().all()


def test_fates_are_means_over_cells_that_have_one():
    probabilities = pd.DataFrame(
        {"x": [1, 0.5, 0, np.nan, 0.2, 0.4, np.nan], "y": [0, 0.5, 1, np.nan, 0.8, 0.6, np.nan]}
    )
    shares = fate_shares(GROUPS, probabilities)
    np.testing.assert_allclose(shares.loc["a"], [0.5, 0.5])
    np.testing.assert_allclose(shares.loc["b"], [0.3, 0.7])
    assert shares.loc["c"].isna().all()
