"""Make the pages of the lesson: ``python -m lesson``."""

from lesson.builder import write_pages

if __name__ == "__main__":
    write_pages()
