"""Figures in the browser: messages, and the element that draws them."""
