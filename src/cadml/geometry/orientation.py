"""Which way the triangles of a surface look: is it closed, can it be made so, which side is out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from cadml.geometry.part import Floats
from cadml.geometry.polygons import Indices


def edges_of(triangles: Indices) -> Indices:
    """Return the directed edges ``(3T, 2)``: first all 0→1, then 1→2, then 2→0."""
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def is_closed(triangles: Indices) -> bool:
    """Tell whether every edge is run through as often forward as backward.

    That is what the divergence theorem needs, and it also holds where bodies touch along an edge.
    """
    if not len(triangles):
        return False
    edges = edges_of(triangles)
    low, high = edges.min(axis=1), edges.max(axis=1)
    _, inverse = np.unique(low * (int(high.max()) + 1) + high, return_inverse=True)
    balance = np.bincount(inverse, weights=np.where(edges[:, 0] == low, 1.0, -1.0))
    return not balance.any()


def aligned(triangles: Indices) -> Indices:
    """Return the triangles, turned round so that neighbours across an edge of two agree."""
    first, second, opposed = _neighbours(triangles)
    count = len(triangles)
    # A spanning tree, plus a root that holds all pieces together so that one walk visits every triangle.
    # Weight 1: the pair agrees; 2: one of the two has to turn.
    graph = coo_array((opposed + 1.0, (first, second)), shape=(count + 1, count + 1))
    tree = minimum_spanning_tree(graph).tocoo()
    _, piece = connected_components(tree, directed=False)
    _, heads = np.unique(piece[:count], return_index=True)
    rows, columns = np.append(tree.row, np.full(len(heads), count)), np.append(tree.col, heads)
    weights = np.append(tree.data, np.ones(len(heads)))
    corners = rows.astype(np.int64), columns.astype(np.int64)
    rooted = coo_array((weights, corners), shape=(count + 1, count + 1)).tocsr()
    order, parent = breadth_first_order(rooted, count, directed=False)
    turns = np.zeros(count + 1, bool)  # whether a triangle disagrees with its parent
    down = parent[columns] == rows
    turns[np.where(down, columns, rows)] = weights > 1
    turned = turns.tolist()
    parents = parent.tolist()
    for node in order[1:].tolist():
        turned[node] ^= turned[parents[node]]
    flipped = triangles.copy()
    chosen = np.array(turned[:count], bool)
    flipped[chosen] = flipped[chosen][:, ::-1]
    return flipped


def outward(vertices: Floats, triangles: Indices) -> Indices:
    """Return the closed surface's triangles with every piece looking out of the material.

    A piece of negative volume is inside out, unless its box lies within that of a positive piece:
    then it is the wall of a cavity.
    """
    piece = pieces(triangles, len(vertices))
    corners = vertices[triangles]
    volumes = np.bincount(piece, weights=_signed_volumes(corners))
    low = np.full((len(volumes), 3), np.inf)
    high = -low
    np.minimum.at(low, piece, corners.min(axis=1))
    np.maximum.at(high, piece, corners.max(axis=1))
    wrong = volumes < 0
    solid = np.flatnonzero(volumes > 0)
    for k in np.flatnonzero(wrong):
        wrong[k] = not ((low[solid] <= low[k]) & (high[k] <= high[solid])).all(axis=1).any()
    turned = triangles.copy()
    chosen = wrong[piece]
    turned[chosen] = turned[chosen][:, ::-1]
    return turned


def pieces(triangles: Indices, vertices: int) -> NDArray[np.int32]:
    """Return the number of the connected piece that each triangle belongs to: ``(T,)``."""
    starts, ends = triangles[:, [0, 1]].ravel(), triangles[:, [1, 2]].ravel()
    graph = coo_array((np.ones(len(starts), np.int8), (starts, ends)), shape=(vertices, vertices))
    _, of_vertex = connected_components(graph, directed=False)
    _, of_triangle = np.unique(of_vertex[triangles[:, 0]], return_inverse=True)
    return of_triangle.astype(np.int32)


def _signed_volumes(corners: Floats) -> Floats:
    """Return the volumes of the tetrahedra from the middle to each triangle ``(T, 3, 3)``."""
    a, b, c = np.moveaxis(corners - corners.mean(axis=(0, 1)), 1, 0)
    volumes: Floats = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6
    return volumes


def _neighbours(triangles: Indices) -> tuple[Indices, Indices, NDArray[np.bool_]]:
    """Return the pairs of triangles that share an edge with nobody else, and whether they oppose.

    Two neighbours agree where they run through their common edge in opposite directions.
    """
    edges = edges_of(triangles)
    owner = np.tile(np.arange(len(triangles)), 3)
    low, high = edges.min(axis=1), edges.max(axis=1)
    key = low * (int(high.max()) + 1) + high
    order = np.argsort(key, kind="stable")
    _, starts, counts = np.unique(key[order], return_index=True, return_counts=True)
    pairs = starts[counts == 2]
    one, two = order[pairs], order[pairs + 1]
    first, second = np.minimum(owner[one], owner[two]), np.maximum(owner[one], owner[two])
    opposed = edges[one, 0] == edges[two, 0]
    distinct = first != second
    _, unique = np.unique(first[distinct] * len(triangles) + second[distinct], return_index=True)
    return first[distinct][unique], second[distinct][unique], opposed[distinct][unique]
