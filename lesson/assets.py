"""Find the scripts, styles and templates of the lesson, and those of all pages."""

from pathlib import Path

from pipeline.reports.assets import HOUSE, Assets

FOLDER = Path(__file__).parent
LESSON = Assets(HOUSE, FOLDER)
