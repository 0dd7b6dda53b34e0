"""Tests of the room that looks through pools."""
