"""Make HTML pages of notebooks and of runs, which open without internet access."""
