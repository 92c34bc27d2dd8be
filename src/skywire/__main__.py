"""`python -m skywire`: the command line without the installed script."""

from skywire.cli.main import main

if __name__ == "__main__":
    main()
