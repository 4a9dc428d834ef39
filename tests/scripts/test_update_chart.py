"""The chart is drawn from the registry, and shows what is measured."""

import re
import types
from xml.etree import ElementTree

import pytest
import update_chart
from helpers.commands import RECIPES, ROOT

import zoo

NETWORKS = zoo.list_models(chart="2016")
SVG = "{http://www.w3.org/2000/svg}"


def drawing(network):
    svg = update_chart.draw(network)
    return ElementTree.fromstring(
        svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    )


def test_the_chart_is_current():
    assert update_chart.main(["--check"]) == 0


def test_a_network_with_a_model_has_a_recipe_and_no_other_has():
    recipes = update_chart.read_recipes()
    assert {*recipes.values()} <= {*RECIPES}
    built = {network.short for network in NETWORKS if network.models}
    assert recipes.keys() == built


def test_every_link_leads_somewhere():
    page = update_chart.page(update_chart.read_recipes())
    links = re.findall(r'href="([^"]+)"', page)
    assert len(links) > len(NETWORKS)
    for link in links:
        link, _, anchor = link.partition("#")
        if anchor:
            pointed = update_chart.PAGE.parent / link
            assert f'<a id="{anchor}"></a>' in pointed.read_text("utf-8")
        assert (update_chart.PAGE.parent / link).resolve().is_file(), link
        assert (update_chart.PAGE.parent / link).resolve().is_relative_to(ROOT)
    assert not re.search(r"https?:|<script|@import|url\(", page)


def test_every_network_of_the_chart_has_its_number_and_its_report():
    page = update_chart.page(update_chart.read_recipes())
    assert "not measured yet" not in page
    assert page.count(">report</a>") == len(NETWORKS) == 27


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.short)
def test_all_cells_are_drawn_apart_and_within_the_frame(network):
    columns = update_chart.places_of(network)
    assert [*map(len, columns)] == [count for _, count in network.columns]
    places = [place for column in columns for place in column]
    for i, (x, y) in enumerate(places):
        assert 8 < x < update_chart.WIDTH - 8
        assert 8 < y < update_chart.HEIGHT - 8
        for other in places[:i]:
            apart = max(abs(x - other[0]), abs(y - other[1]))
            assert apart >= 2 * update_chart.RADIUS - 1
    svg = drawing(network)
    shapes = [
        element
        for element in svg.iter()
        if element.get("class") in update_chart.COLORS
    ]
    assert len(shapes) == len(places)
    title = svg.find(f"{SVG}title").text
    for cell in network.cells:
        assert cell.value in title


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.short)
def test_no_cell_is_without_a_link(network):
    columns = update_chart.places_of(network)
    links = update_chart.straight(network, columns)
    linked = {place for link in links for place in link}
    assert linked == {place for column in columns for place in column}


def test_networks_are_linked_as_they_should_be():
    by_name = {network.short: network for network in NETWORKS}

    def links_of(short):
        network = by_name[short]
        columns = update_chart.places_of(network)
        return len(update_chart.straight(network, columns))

    assert links_of("FF") == 2 * 2 + 2
    assert links_of("HN") == 8 * 7 // 2
    assert links_of("RBM") == 4 * 3
    assert links_of("DCN") < 5 * 4 + 4 * 3 + 3 * 3 + 3 * 2
    drn = by_name["DRN"]
    arcs = update_chart.bent(drn, update_chart.places_of(drn))
    assert len(arcs) == len(drn.columns) - 2


def test_all_kinds_of_cells_look_different():
    looks = {update_chart.draw_cell(cell, 0, 0) for cell in zoo.Cell}
    assert len(looks) == len(zoo.Cell) == 13
    assert {*update_chart.KINDS} == {*zoo.Cell}


def test_what_is_measured_is_a_number_and_the_rest_is_said():
    network = types.SimpleNamespace(**vars(NETWORKS[0]), cells=())
    row = {"metric": "test_accuracy", "mean": "0.987", "std": "0.001"}
    row["seeds"] = "5"
    html = update_chart.article(network, "iris_perceptron", {})
    assert "not measured yet" in html
    rows = {"iris_perceptron": row}
    html = update_chart.article(network, "iris_perceptron", rows)
    assert '>Test accuracy <span class="whole">98.70 ± 0.10 %</span>' in html
    assert 'href="../recipes/iris_perceptron.py"' in html
    assert 'href="iris_perceptron/1/README.md">card<' in html


def test_a_recipe_of_a_network_that_is_not_there_is_refused(
    tmp_path, monkeypatch
):
    course = tmp_path / "course.toml"
    monkeypatch.setattr(update_chart, "COURSE", course)
    for shorts in ('["XYZ"]', '["P", "P"]'):
        course.write_text(
            "[[chapter]]\n[chapter.recipes.iris_perceptron]\n"
            f"chart = {shorts}\n"
        )
        with pytest.raises(SystemExit, match="iris_perceptron in course.toml"):
            update_chart.read_recipes()
