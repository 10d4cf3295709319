"""What a confined process cannot do, tried for real inside one; and what refuses models there."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from honest import LENGTH, X
from sklearn.linear_model import LogisticRegression

from cadml.errors import ModelProcessFailed
from cadml.learning.confined.interface import UnfitError, check
from cadml.learning.confined.predictor import MEMORY_MB
from cadml.learning.confined.process import ConfinedProcess

TRIES = {
    "socket": "import socket; socket.create_connection(('127.0.0.1', PORT), 2)",
    "native socket": "import ctypes; assert ctypes.CDLL(None).socket(2, 1, 0) >= 0",
    "program": "import subprocess; subprocess.run(['true'])",
    "system": "import os; assert os.system('true') == 0",
    "native program": "import ctypes; assert ctypes.CDLL(None).system(b'true') == 0",
    "fork": "import os; os._exit(0) if os.fork() == 0 else None",
    "write": "open('MARK', 'w').write('x')",
    "native write": "import ctypes; assert ctypes.CDLL(None).open(b'MARK', 0o101, 0o600) >= 0",
    "remove": "import os; os.remove('KEPT')",
}
NATIVE = [name for name in TRIES if name.startswith("native")]


def tried(name, tmp_path, *, is_confined) -> bool:
    """Run a try in a process with all doors closed (or open), tell whether it succeeded."""
    (tmp_path / "kept").write_text("x", encoding="ascii")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = TRIES[name].replace("PORT", str(server.getsockname()[1]))
        code = code.replace("MARK", str(tmp_path / "mark")).replace("KEPT", str(tmp_path / "kept"))
        close = (
            "limits.leave_network(); limits.limit_memory(4096); limits.close_doors()" if is_confined else "0"
        )
        program = f"import ctypes\nfrom cadml.learning.confined import limits\n{close}\n{code}"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("name", TRIES)
def test_the_doors_are_closed(name, tmp_path):
    assert tried(name, tmp_path, is_confined=False)
    if name in NATIVE and sys.platform != "linux":
        return
    assert not tried(name, tmp_path, is_confined=True)


def test_a_process_that_thinks_too_long_is_ended(confined):
    endless = ConfinedProcess(MEMORY_MB, guest="graph")
    os.kill(endless._popen.pid, signal.SIGSTOP)
    with pytest.raises(ModelProcessFailed):
        endless.ask("try", b"x" * 100, seconds=0.1, classes=["a", "b"], length=3, rows=1)
    assert not endless.is_alive
    assert "audit hook" in confined.layers


def test_a_broken_request_is_an_answer(confined):
    head, _ = confined.ask("load", b"\x80\x04N", seconds=30, format="pickle", mode="whitelist", length=3)
    assert (head["ok"], head["status"]) == (False, "load_error")


def test_the_loader_asks_the_list_again(confined):
    data = b"\x80\x04cos\nsystem\n."
    head, _ = confined.ask("load", data, seconds=30, format="pickle", mode="whitelist", length=3)
    assert head["status"] == "load_error"
    assert "os.system is not on the list" in head["message"]


def fitted() -> LogisticRegression:
    return LogisticRegression().fit(X, np.arange(len(X)) % 2)


def test_the_interface_accepts_a_fitted_classifier():
    assert check(fitted(), LENGTH) == ("0", "1")


def _shadow(model):
    model.predict = len
    return model


def _dunder(model):
    vars(model)["__call__"] = len
    return model


def _classes(model):
    model.classes_ = np.array([0.5, 1.5])
    return model


class NoRows:
    classes_ = ("a", "b")

    def predict(self):
        return None

    predict_proba = predict


class Wide:
    def __init__(self):
        self.parts = [[each] for each in range(30)]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: {"predict": 1}, "missing_required_methods"),
        (LogisticRegression, "missing_required_methods"),
        (NoRows, "invalid_signature"),
        (lambda: _shadow(fitted()), "suspicious_methods_found"),
        (lambda: _dunder(fitted()), "suspicious_methods_found"),
        (lambda: _classes(fitted()), "wrong_classes"),
    ],
)
def test_the_interface_refuses_with_the_reason(make, reason):
    with pytest.raises(UnfitError) as caught:
        check(make(), LENGTH)
    assert caught.value.reason == reason


def test_a_model_of_other_vectors_is_refused():
    with pytest.raises(UnfitError) as caught:
        check(fitted(), LENGTH + 1)
    assert caught.value.reason == "wrong_input_dimension"


def test_a_graph_of_too_many_objects_is_refused(monkeypatch):
    monkeypatch.setattr("cadml.learning.confined.interface._MOST_OBJECTS", 10)
    with pytest.raises(UnfitError) as caught:
        check(Wide(), LENGTH)
    assert caught.value.reason == "large_attribute_graph"


def test_a_tree_that_runs_in_circles_is_refused(model, confined):
    tree = pickle.loads(pickle.dumps(model("tree")))
    state = tree.tree_.__getstate__()
    state["nodes"]["left_child"][0] = 0
    tree.tree_.__setstate__(state)
    head, _ = confined.ask(
        "load", pickle.dumps(tree), seconds=30, format="pickle", mode="whitelist", length=LENGTH
    )
    assert (head["ok"], head["status"]) == (False, "load_error")
    assert "backwards" in head["message"]
