"""Tests of `daemon.metrics`."""
