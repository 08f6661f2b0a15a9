"""Builds the compiled core. FASTHS_BUILD picks the variant:

release (default), coverage (line tracing), sanitize (ASan and UBSan), annotate (HTML beside each
module). FASTHS_WERROR=1 makes the C compiler's warnings errors.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

VARIANTS = {
    "release": {"cflags": ["-O2", "-g0"], "directives": {}, "options": {}},
    "coverage": {
        "cflags": ["-O0", "-DCYTHON_TRACE=1"],
        "directives": {"linetrace": True},
        "options": {},
    },
    "sanitize": {
        "cflags": ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"],
        "ldflags": ["-fsanitize=address,undefined"],
        "directives": {},
        "options": {},
    },
    "annotate": {"cflags": ["-O2"], "directives": {}, "options": {"annotate": True}},
}

# Plain Python with types in a .pxd beside it; compiled, since every read and write passes through.
FACADE = [Path(f"fasths/{name}.py") for name in ("bio", "connection", "negotiated")]

variant = VARIANTS[os.environ.get("FASTHS_BUILD", "release")]
cflags = [*variant["cflags"], "-Wall", "-Wextra", "-Wno-unused-parameter"]
if os.environ.get("FASTHS_WERROR") == "1":
    cflags.append("-Werror")

extensions = [
    Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        extra_compile_args=cflags,
        extra_link_args=variant.get("ldflags", []),
    )
    for source in [*sorted(Path("fasths").rglob("*.pyx")), *FACADE]
]

setup(
    ext_modules=cythonize(
        extensions,
        language_level=3,
        # Directives differ between variants, which timestamps do not tell.
        force="--force" in sys.argv,
        compiler_directives={
            # Types come from .pxd files; annotations are for type checkers.
            "annotation_typing": False,
            # None is refused where an argument does not say that it may be None.
            "allow_none_for_extension_args": False,
            "embedsignature": True,
            **variant["directives"],
        },
        **variant["options"],
    ),
)
