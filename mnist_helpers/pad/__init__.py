"""The drawing pad: strokes, what a network makes of them, when to believe it, and the widget that shows it."""
