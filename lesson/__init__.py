"""Interactive parts of the lessons, and checks of the code that a reader writes."""
