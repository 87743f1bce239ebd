import numpy as np
import numpy.typing as npt
import pytest

from tumorline.metrics.elements import element_sizes, neighbourhood_codes


def area(mask: npt.NDArray[np.bool_], spacing: tuple[float, float, float] = (1, 1, 1)) -> float:
    return float(element_sizes(spacing)[neighbourhood_codes(mask)].sum())


def block(depth: int, height: int, width: int) -> npt.NDArray[np.bool_]:
    return np.ones((depth, height, width), bool)


def test_a_code_has_a_bit_for_each_pixel_of_its_window() -> None:
    assert neighbourhood_codes(np.array([[True, False], [True, True]])).tolist() == [[1, 2, 0], [5, 11, 2], [4, 12, 8]]
    assert neighbourhood_codes(block(1, 1, 1)).ravel().tolist() == [1, 2, 4, 8, 16, 32, 64, 128]


def test_a_single_voxel_is_an_octahedron() -> None:
    """Its corners lie at the middles of the voxel's faces: eight triangles with sides of sqrt(1 / 2)."""
    assert area(block(1, 1, 1)) == pytest.approx(8 * np.sqrt(3) / 8)


def test_an_octahedron_is_as_stretched_as_the_voxels() -> None:
    """Each triangle is half the cross product of two of its sides; twice its shadows are 1/4 of the voxel's faces."""
    assert area(block(1, 1, 1), (2, 3, 6)) == pytest.approx(np.sqrt((3 * 6) ** 2 + (2 * 6) ** 2 + (2 * 3) ** 2))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.5, 0.7)])
def test_a_block_has_flat_faces_bevelled_edges_and_cut_corners(spacing: tuple[float, float, float]) -> None:
    d, h, w = spacing
    faces = 2 * (2 * 3 * d * h + 2 * 4 * d * w + 3 * 4 * h * w)
    edges = 4 * (2 * d * np.hypot(h, w) + 3 * h * np.hypot(d, w) + 4 * w * np.hypot(d, h)) / 2
    corners = np.sqrt((d * h) ** 2 + (d * w) ** 2 + (h * w) ** 2)
    assert area(block(3, 4, 5), spacing) == pytest.approx(faces + edges + corners)


def test_voxels_that_touch_at_an_edge_or_a_corner_keep_their_own_surfaces() -> None:
    for other in ((1, 1, 0), (1, 1, 1)):
        two = np.zeros((2, 2, 2), bool)
        two[0, 0, 0] = two[other] = True
        assert area(two) == pytest.approx(2 * np.sqrt(3))


def test_three_in_an_l_have_half_a_square_above_and_a_slope() -> None:
    """The slope is a trapezoid: three of the four triangles that make a triangle with sides of sqrt(2)."""
    assert element_sizes((1, 1, 1))[0b11100000] == pytest.approx(1 / 2 + 3 / 4 * np.sqrt(3) / 2)


def test_four_in_a_winding_row_have_two_small_and_two_large_triangles() -> None:
    """Two of sqrt(2) / 4 over the row's middle corners, and between them two of sqrt(3) / 4."""
    winding = np.zeros((2, 2, 2), bool)
    winding[0, 0, 0] = winding[0, 0, 1] = winding[0, 1, 1] = winding[1, 1, 1] = True
    middle = int(neighbourhood_codes(winding)[1, 1, 1])
    assert element_sizes((1, 1, 1))[middle] == pytest.approx(2 * np.sqrt(2) / 4 + 2 * np.sqrt(3) / 4)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 1.0, 1.0), (0.5, 2.0, 3.0)])
def test_a_mask_and_its_opposite_have_the_same_boundary(spacing: tuple[float, ...]) -> None:
    sizes = element_sizes(spacing)
    assert sizes[0] == sizes[-1] == 0
    assert (sizes[1:-1] > 0).all()
    assert sizes == pytest.approx(sizes[::-1])


def test_the_area_does_not_change_when_a_volume_is_turned_or_mirrored() -> None:
    mask = np.random.default_rng(0).random((6, 6, 6)) < 0.5
    turned = [mask.transpose(axes) for axes in ((1, 0, 2), (2, 1, 0), (1, 2, 0))]
    for other in (*turned, mask[::-1], mask[:, ::-1], mask[:, :, ::-1]):
        assert area(other) == pytest.approx(area(mask))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.49, 1.3, 6.0)])
def test_all_sizes_are_those_of_deepmind(spacing: tuple[float, float, float]) -> None:
    tables = pytest.importorskip("surface_distance.lookup_tables", reason="surface-distance is not installed")
    areas = tables.create_table_neighbour_code_to_surface_area(spacing)
    lengths = tables.create_table_neighbour_code_to_contour_length(spacing[:2])
    assert element_sizes(spacing) == pytest.approx(areas, abs=1e-12)
    assert element_sizes(spacing[:2]) == pytest.approx(lengths, abs=1e-12)
