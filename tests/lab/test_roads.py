"""Roads as a camera sees them: geometry, views from beside, and a drive."""

import numpy as np
import pytest

from recipes.lab.data.synthetic import roads


def pose(offset=0.0, heading=0.0, curvature=0.0, count=1):
    values = (offset, heading, curvature, 0.0)
    return roads.Pose(*(np.full(count, value) for value in values))


def drawn(seed=0, **where):
    return roads.draw(pose(**where), np.random.default_rng(seed))


def middle_of(image, row):
    """The column in the middle of what is bright in a row."""
    line = image[row, :, 0].astype("float64")
    bright = line > (line.min() + line.max()) / 2
    return np.flatnonzero(bright).mean()


def test_the_road_is_where_the_camera_must_see_it():
    """A point a meters ahead and b aside is b / a focal lengths aside."""
    row = 15
    ahead = roads.CAMERA * roads.FOCAL / (row + 0.5 - roads.HORIZON)
    for offset, heading, curvature in (
        *((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 0.2, 0), (0, 0, 0.05)),
    ):
        where = {"offset": offset, "heading": heading, "curvature": curvature}
        middle = pose(**where).middle(ahead)[0]
        expected = (roads.WIDTH - 1) / 2 + roads.FOCAL * middle / ahead
        found = middle_of(drawn(**where)[0], row)
        assert found == pytest.approx(expected, abs=0.8), where


def test_a_driver_steers_to_the_middle_of_the_road():
    straight_on = (roads.UNITS - 1) / 2
    assert roads.direction(pose())[0] == straight_on
    assert roads.direction(pose(offset=0.5))[0] < straight_on
    assert roads.direction(pose(heading=-0.1))[0] > straight_on
    # In the middle of a bend its own arc is the one to take.
    [unit] = roads.direction(pose(curvature=0.03))
    assert roads.curvature(unit) == pytest.approx(0.03, rel=1e-5)
    assert roads.direction(pose(curvature=1.0))[0] == roads.UNITS - 1


@pytest.mark.parametrize(
    ("offset", "heading"), [(0.7, 0.0), (-0.7, 0.0), (0.0, 0.12), (0.5, -0.1)]
)
def test_a_shifted_view_is_what_is_seen_from_there(offset, heading):
    before = roads.Split(
        drawn(curvature=0.02), roads.direction(pose(curvature=0.02))
    )
    found = roads.shifted(before, np.array([offset]), np.array([heading]))
    there = {"offset": offset, "heading": heading, "curvature": 0.02}
    truth = drawn(**there)
    # Below the horizon, where the first camera saw the road.
    for row in (12, 15, 18):
        expected = middle_of(truth[0], row)
        assert middle_of(found.inputs[0], row) == pytest.approx(expected, abs=1)
    np.testing.assert_allclose(
        found.targets, roads.direction(pose(**there)), atol=0.3
    )


def test_no_shift_changes_nothing():
    images = drawn(count=3)
    before = roads.Split(images, roads.direction(pose(count=3)))
    after = roads.shifted(before, np.zeros(3), np.zeros(3))
    difference = after.inputs.astype(int) - images
    assert np.abs(difference).max() <= 1
    np.testing.assert_allclose(after.targets, before.targets, atol=1e-4)


def test_a_hill_has_its_top_at_the_direction():
    directions = np.array([3.0, 14.4, 29.0], "float32")
    _, hills = roads._image_and_hill(None, directions)
    hills = hills.numpy()
    np.testing.assert_allclose(hills.sum(axis=1), 1, rtol=1e-5)
    assert hills.argmax(axis=1).tolist() == [3, 14, 29]


def test_who_knows_the_road_stays_on_it_and_who_sleeps_does_not():
    straight_on = (roads.UNITS - 1) / 2
    asleep = roads.drive(lambda image: straight_on)
    assert len(asleep.offsets) < 300
    assert abs(asleep.offsets[-1]) > roads.HALF
    again = roads.drive(lambda image: straight_on)
    np.testing.assert_array_equal(again.images, asleep.images)
    # What steers against each meter beside the middle is soon back there.
    seen = []

    def steer(image):
        seen.append(middle_of(image[0], 13))
        return straight_on + 1.5 * (seen[-1] - (roads.WIDTH - 1) / 2)

    awake = roads.drive(steer)
    assert len(awake.offsets) == 300
    assert np.abs(awake.offsets).max() < roads.HALF


def test_a_sample_is_one():
    data = roads.load(small=True)
    assert data.is_sample
    assert data.train.inputs.shape == (400, 30, 32, 1)
    # Who drives well is nearer to where to steer.
    assert data.train.targets.std() < data.test.targets.std()
    assert data.checksum == roads.load(small=True).checksum
