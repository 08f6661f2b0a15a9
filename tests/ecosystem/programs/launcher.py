"""Runs a program that has never heard of fasths, with fasths.ssl in the place of ssl.

    python launcher.py HOW LIBRARY[,LIBRARY...] PROGRAM [ARGUMENT...]

HOW: "before" injects and then lets the program import its libraries, "after" imports the libraries
first, "replaced" puts the module into sys.modules. For comparison, "none" does nothing, and
"extracted" takes back what "after" does.
"""

import importlib
import runpy
import sys


def main(how, libraries, program, *arguments):
    if how in ("after", "extracted"):
        for library in libraries.split(","):
            importlib.import_module(library)
    if how != "none":
        import fasths.ssl

        if how == "replaced":
            sys.modules["ssl"] = fasths.ssl
        else:
            fasths.ssl.inject()
        if how == "extracted":
            fasths.ssl.extract()
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
