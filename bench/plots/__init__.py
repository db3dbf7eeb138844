"""Figures from a summary (see `bench.stats.summarise`), each with the CSV behind it."""

from bench.plots.angles import by_angle
from bench.plots.cost import Costs, cost, costs_of
from bench.plots.draw import Drawing, draw_all, write_figures
from bench.plots.figure import Plot, save, svg_bytes
from bench.plots.forest import forest
from bench.plots.layers import by_layer, by_layer_type
from bench.plots.overview import overview
from bench.plots.position_drop import position_drop
from bench.plots.ranking import ranking
from bench.plots.similarity import layer_similarity

__all__ = [
    "Costs",
    "Drawing",
    "Plot",
    "by_angle",
    "by_layer",
    "by_layer_type",
    "cost",
    "costs_of",
    "draw_all",
    "forest",
    "layer_similarity",
    "overview",
    "position_drop",
    "ranking",
    "save",
    "svg_bytes",
    "write_figures",
]
