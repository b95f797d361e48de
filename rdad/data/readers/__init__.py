"""The public benchmarks: a file a layout, with a function a data set that gives its data module."""
