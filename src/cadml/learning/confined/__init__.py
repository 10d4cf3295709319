"""Models of foreign formats live in a process that can do nothing but read, compute and answer."""
