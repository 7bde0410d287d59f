"""The interactive parts of the lessons, and checks of what a reader writes."""
