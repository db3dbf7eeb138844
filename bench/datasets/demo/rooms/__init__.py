"""The demo's rooms, one file each."""

from __future__ import annotations

from bench.datasets.demo.rooms import (
    bathroom,
    breakfast,
    colonnade,
    desk,
    gallery,
    kitchen,
    library,
    lounge,
    playroom,
    storeroom,
    winter_garden,
    workshop,
)
from bench.datasets.demo.scene import Scene

SCENES: tuple[Scene, ...] = (
    bathroom.SCENE,
    breakfast.SCENE,
    colonnade.SCENE,
    desk.SCENE,
    gallery.SCENE,
    kitchen.SCENE,
    library.SCENE,
    lounge.SCENE,
    playroom.SCENE,
    storeroom.SCENE,
    winter_garden.SCENE,
    workshop.SCENE,
)
