"""What a reader of the lessons presses and writes."""
