from itertools import combinations

import numpy as np
import pytest

from deepvelo.pl import theme

# Machado et al. 2009, severity 1, on linear RGB
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
)


def lab(color, *, sight=None):
    sight = np.eye(3) if sight is None else sight
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(sight @ linear, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_stored_colors_win_and_the_rest_come_from_the_palette():
    colors = theme.group_colors(["b", "a", "b", "c"], {"b": "#123456", "gone": "#FFFFFF"})
    assert colors == {"a": theme.PALETTE[0], "b": "#123456", "c": theme.PALETTE[2]}


def test_order_of_the_cells_does_not_change_colors():
    assert theme.group_colors(["x", "y", "z"]) == theme.group_colors(["z", "y", "x", "x"])


def test_clusters_are_ordered_by_number():
    assert list(theme.group_colors(["10", "2", "1"])) == ["1", "2", "10"]


def test_more_groups_than_colors_still_get_one():
    assert len(theme.group_colors([str(i) for i in range(60)])) == 60


def test_the_first_fourteen_colors_differ_also_without_red_and_green():
    for sight, least in ((None, 20), (DEUTERANOPIA, 10)):
        seen = [lab(color, sight=sight) for color in theme.PALETTE[:14]]
        assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > least


def test_palette_shows_on_white_and_on_black():
    assert all(38 < lab(color)[0] < 84 for color in theme.PALETTE)
    assert len(set(theme.PALETTE)) == len(theme.PALETTE) >= 14


def test_diverging_range_is_centred_and_clips_the_extremes():
    values = np.append(np.linspace(-1, 2, 1000), [1000.0, np.nan])
    low, high = theme.color_range(values, diverging=True)
    assert low == -high
    assert 1.9 < high <= 2


def test_sequential_range_begins_at_zero():
    low, high = theme.color_range(np.linspace(0.5, 3, 100), diverging=False)
    assert low == 0
    assert 2.9 < high <= 3


@pytest.mark.parametrize("values", [np.full(3, np.nan), np.zeros(3), np.full(3, 2.0), np.full(3, -2.0)])
@pytest.mark.parametrize("diverging", [True, False])
def test_a_range_is_never_empty(values, diverging):
    low, high = theme.color_range(values, diverging=diverging)
    assert low < high


def test_marker_size_falls_with_the_number_of_cells():
    sizes = [theme.marker_size(n) for n in (1, 100, 3000, 100_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 9
    assert sizes[-1] == 2.5


@pytest.mark.parametrize(("picture_format", "scale"), [("svg", 1), ("png", 3)])
def test_pictures_can_be_saved_and_nothing_is_sent_out(picture_format, scale):
    config = theme.figure_config(file_name="Cpe", picture_format=picture_format)
    assert config["showSendToCloud"] is False
    assert config["plotlyServerURL"] == ""
    assert config["toImageButtonOptions"] == {"format": picture_format, "filename": "Cpe", "scale": scale}


def test_codes_are_places_among_the_sorted_names():
    codes, names = theme.group_codes(["10", "2", "b", "2"])
    assert names == ["2", "10", "b"]
    assert codes.tolist() == [1, 0, 2, 0]


def test_codes_of_groups_that_are_no_text():
    codes, names = theme.group_codes(np.array([3, 1, 3]))
    assert (codes.tolist(), names) == ([1, 0, 1], ["1", "3"])


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("color", [*theme.PALETTE, "#000000", "#000080", "#ffffff", "#ffff99"])
def test_legible_colours_are_set_off_from_the_page(color, dark):
    def luminance(text):
        parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(text):
        low, high = sorted([luminance(text), luminance("#12171D" if dark else "#FFFFFF")])
        return (high + 0.05) / (low + 0.05)

    found = theme.legible(color, dark=dark)
    assert contrast(found) >= 2.95  # after rounding to whole steps
    if contrast(color) >= 3:
        assert found == color
