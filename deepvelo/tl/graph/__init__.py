"""The velocity graph, its transitions, and arrows on an embedding."""
