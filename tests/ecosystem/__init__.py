"""Libraries that use the standard library's ssl module, with fasths.ssl in its place."""
