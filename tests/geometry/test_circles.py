"""The search for circles of references, against a graph library on texts made up for it."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from cadml.geometry.kernel.circles import DERIVED, has_circle

WORDS = [word.decode() for word in DERIVED]
# Names that hold a derived word, and names that differ from one by a letter or a break.
NAMES = st.one_of(
    st.sampled_from(WORDS).map(lambda word: f"x{word}CURVE"),
    st.sampled_from(WORDS).map(lambda word: word[:2] + "1" + word[2:]),
    st.sampled_from(WORDS).map(str.lower),
    st.sampled_from(["LINE", "CARTESIAN_POINT", "ADVANCED_FACE", "SURFACE_STYLE_USAGE", "TRIMMED"]),
)


@given(st.lists(st.tuples(NAMES, st.lists(st.integers(0, 5), max_size=2)), min_size=1, max_size=6))
def test_a_circle_is_found_where_something_derived_leads_into_it(rows):
    text = "".join(
        f"#{i} = {name}('#{i} {name}',{','.join(f'#{j}' for j in uses)});\n"
        for i, (name, uses) in enumerate(rows)
    )
    graph = nx.DiGraph((i, j) for i, (_, uses) in enumerate(rows) for j in uses)
    graph.add_nodes_from(range(len(rows)))
    starts = {i for i, (name, _) in enumerate(rows) if any(word in name for word in WORDS)}
    reached = starts.union(*(nx.descendants(graph, start) for start in starts))
    expected = not nx.is_directed_acyclic_graph(graph.subgraph(reached))
    assert has_circle(text.encode()) is expected
