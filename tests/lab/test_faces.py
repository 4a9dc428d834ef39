"""Drawn faces: whose they are, where they look, and which are copies."""

import numpy as np
import pytest

from recipes.lab.data.synthetic import faces


@pytest.fixture(scope="module")
def poses():
    return faces.load("pose")


def test_each_part_has_all_people_and_poses_alike(poses):
    identities = faces.load("identity")
    for part, each in faces.PARTS.items():
        split, others = getattr(poses, part), getattr(identities, part)
        np.testing.assert_array_equal(split.inputs, others.inputs)
        pairs = np.stack([others.targets, split.targets], axis=1)
        _, counts = np.unique(pairs, axis=0, return_counts=True)
        assert counts.tolist() == [each] * 80


def test_no_test_image_is_a_training_image_with_other_noise(poses):
    """Noise alone is a standard deviation of 0.03; a mood is more."""
    train, test = (
        split.inputs.reshape(len(split), -1) / 255
        for split in (poses.train, poses.test)
    )
    nearest = [np.sqrt(np.mean((train - one) ** 2, 1)).min() for one in test]
    assert min(nearest) > 1.2 * 0.03 * np.sqrt(2)


def test_who_looks_to_the_left_has_more_hair_on_the_right():
    random = np.random.default_rng(0)
    person = faces._person(random) | {"skin": 0.9, "hair": 0.0, "beard": 0.0}
    columns = np.arange(faces.SHAPE[1])

    def middle(pose):
        image = faces.draw(person, pose, "neutral", False, random)
        bright = image[..., 0] > 130
        return (bright.sum(axis=0) * columns).sum() / bright.sum()

    assert middle("left") < middle("straight") < middle("right")


def test_glasses_and_moods_are_seen():
    def draw(*look):
        random = np.random.default_rng(1)
        return faces.draw(faces._person(random), "straight", *look, random)

    plain = draw("neutral", False).astype(int)
    for look in (("happy", False), ("sad", False), ("neutral", True)):
        assert np.abs(draw(*look) - plain).max() > 60, look
