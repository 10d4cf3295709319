"""Whether what comes in still resembles what came in before, and when a difference means something.

A **baseline** is a sample of the past, a **window** one of the present. A score says how far apart
they are on a scale where 0 is what chance alone does to two samples of these sizes and 0.5 is where
the alarm begins.
"""
