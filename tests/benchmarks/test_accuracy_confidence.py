"""Scores of a stated probability on cells counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import accuracy_confidence as confidences
from benchmarks.accuracy_confidence import Reliability

# 10 cells given 0.95, of which 9 are right; 4 given 0.5, of which 1 is; one that is left out each way
STATED = np.r_[np.full(10, 0.95), np.full(4, 0.5), np.nan, 0.2]
COSINE = np.r_[np.full(9, 0.3), -0.2, 0.1, -0.1, 0.0, -1.0, 0.5, np.nan]


def test_bins_count_cells_and_right_directions():
    found = confidences.reliability(STATED, COSINE)
    assert found.cells == [0, 0, 0, 0, 0, 4, 0, 0, 0, 10]
    assert found.right == [0, 0, 0, 0, 0, 1, 0, 0, 0, 9]
    assert found.confidence[5] == pytest.approx(2.0)
    assert found.confidence[9] == pytest.approx(9.5)


def test_the_calibration_error_weighs_bins_by_cells():
    # |9/10 - 0.95| over 10 cells and |1/4 - 0.5| over 4
    found = confidences.reliability(STATED, COSINE)
    assert found.error == pytest.approx((10 * 0.05 + 4 * 0.25) / 14)
    nothing = confidences.reliability(np.array([0.3]), np.array([np.nan]))
    assert np.isnan(nothing.error)


def test_a_probability_that_is_true_has_no_error():
    cosine = np.repeat([1.0, -1.0], [7, 3])
    assert confidences.reliability(np.full(10, 0.7), cosine).error == pytest.approx(0)
    assert confidences.reliability(np.array([0.0, 1.0]), np.array([-1.0, 1.0])).error == 0


def test_pooled_errors_of_opposite_sign_cancel_within_a_bin():
    too_low = Reliability([4] + [0] * 9, [0.0] * 10, [1] + [0] * 9)
    too_high = Reliability([4] + [0] * 9, [2.0] + [0.0] * 9, [1] + [0] * 9)
    found = confidences.pooled([too_low, too_high])
    assert found.cells[0] == 8
    assert too_low.error == too_high.error == pytest.approx(0.25)
    assert found.error == 0


def test_cells_given_at_least_nine_tenths():
    stated, cosine = np.array([0.9, 0.95, 0.89, 1.0, np.nan]), np.array([1.0, -1.0, 1.0, np.nan, 1.0])
    assert confidences.share_sure(stated) == pytest.approx(3 / 4)
    assert confidences.right_when_sure(stated, cosine) == pytest.approx(1 / 2)
    assert np.isnan(confidences.right_when_sure(stated - 0.5, cosine))
