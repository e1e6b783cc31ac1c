"""report.html: one file without a network, read from the question whether a model is good down to its recipe.

How to add a section: write a module here with a function `Facts -> content | None`, whose content is a small frozen
dataclass of plain values and None means that this run has nothing to show; write `templates/NAME.html.j2`, which sees
it as `it` and puts what it shows below headings of level 3; and add a `Section` to the list in `sections.py`, whose
order is the page's. What comes from a new entry of results.json is read with `facts.results.get("NAME")`, so that runs
without it have no such section. Plots are `Chart` or `Bars` of `plots.py`, drawn by the macros in `plots.html.j2`.
Texts, names and whatever else comes from data are escaped by jinja2 and passed through `visible`; they never go into a
script, a style or an address. `reliability.py` is a short example.
"""
