"""Doors to other engines: Ray, Spark, datatrove and more. Each module needs the package that it is named after."""
