"""Worker processes: order, memory, errors, and that all of them end."""

from __future__ import annotations

import io
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.work import answer_slowly, divide, end_at_thirteen, process_of, refuse_thirteen
from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import prepare_all
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.processes import map_in_order
from tinymnist.reader import Reader


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_processes_share_the_work_and_keep_the_order() -> None:
    seen: set[int] = set()
    with closing(map_in_order(process_of, itertools.count(), 2, alone=0)) as found:
        for number, result in enumerate(found):
            assert not isinstance(result, InputError) and result[0] == number
            seen.add(result[1])
            if len(seen) == 2:
                break
    assert os.getpid() not in seen


def test_a_few_items_start_nothing() -> None:
    found = list(map_in_order(process_of, range(50), 2))
    assert found == [(item, os.getpid()) for item in range(50)]


def test_an_error_of_an_item_is_its_result() -> None:
    for workers in (1, 2):
        found = list(map_in_order(refuse_thirteen, range(300), workers, alone=0))
        assert str(found.pop(13)) == "thirteen"
        assert found == [-item for item in range(300) if item != 13]


def test_another_error_comes_out() -> None:
    for workers in (1, 2):
        with pytest.raises(ZeroDivisionError):
            list(map_in_order(divide, range(500), workers, alone=0))


def test_a_process_that_ends_costs_one_item() -> None:
    found = list(map_in_order(end_at_thirteen, range(40), 2, alone=0))
    assert "has ended" in str(found.pop(13))
    assert found == [-item for item in range(40) if item != 13]


def test_this_process_works_while_the_workers_start() -> None:
    found = map_in_order(answer_slowly, range(10**9), 2, alone=1e-9)
    assert next(found) == next(found) == os.getpid()
    while next(found) == os.getpid():
        pass
    found.close()


def test_the_stream_is_taken_a_little_ahead_only() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with closing(map_in_order(process_of, endless(), 2, alone=0)) as found:
        for _ in range(1000):
            next(found)
        assert taken <= 1000 + 16 * 6


def test_what_only_this_process_knows_is_done_here() -> None:
    class Unknown(int):
        """Cannot be imported elsewhere."""

    for function in (lambda item: item + 1, process_of):
        found = list(map_in_order(function, map(Unknown, range(100)), 2, alone=0))
        assert len(found) == 100 and not any(isinstance(one, InputError) for one in found)


def test_an_interruption_ends_the_workers() -> None:
    found = map_in_order(answer_slowly, range(10**9), 2, alone=0)
    workers: set[int] = set()
    while len(workers) < 2:
        process = next(found)
        assert isinstance(process, int)
        workers |= {process} - {os.getpid()}
    with pytest.raises(KeyboardInterrupt):
        found.throw(KeyboardInterrupt())
    assert not any(map(is_running, workers))


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_program(number: signal.Signals) -> None:
    """A script without ``if __name__ == "__main__"`` runs once, and leaves nothing behind."""
    program = (
        "import os, sys\nsys.path.insert(0, os.getcwd())\n"
        "from tests.work import answer_slowly\n"
        "from tinymnist.processes import map_in_order\n"
        "for process in map_in_order(answer_slowly, range(10**9), 2, alone=0):\n"
        "    print(process, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert child.stdout is not None
    with child, child.stdout:
        workers: set[int] = set()
        while len(workers) < 2:
            workers |= {int(child.stdout.readline())} - {child.pid}
        child.send_signal(number)
        child.wait(10)
    deadline = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(is_running, workers))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(60):
        drawn = 255 - 255 * ink(number % 10, (40, 40), height=0.7, pen=0.12)
        Image.fromarray(drawn.astype(np.uint8)).save(folder / f"{number:02}.png")
    (folder / "30.png").write_bytes(b"not a picture")
    return sorted(folder.iterdir())


def test_pictures_come_out_alike_whatever_the_number_of_workers(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinymnist.processes.ALONE", 0.0)
    expected = prepare_all(pictures, "mnist", workers=1)
    found = prepare_all(pictures, "mnist", workers=3)
    np.testing.assert_array_equal(found.readings, expected.readings)
    np.testing.assert_array_equal(found.owners, expected.owners)
    assert [*map(str, found.failures.values())] == [*map(str, expected.failures.values())]
    assert list(expected.failures) == [30]


def rewound(source: object) -> object:
    if isinstance(source, io.BytesIO):
        source.seek(0)
    return source


def comparable(result: object) -> object:
    return str(result) if isinstance(result, InputError) else result


def test_many_predictions(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymnist.processes.ALONE", 0.0)
    reader = Reader("mlp")
    content = [file.read_bytes() for file in pictures]
    arrays = [np.full((40, 40), 255, np.uint8), np.asarray(Image.open(pictures[7]))]
    with Image.open(pictures[8]) as opened:
        sources = [*pictures, *content, *map(io.BytesIO, content), opened, *arrays, *pictures]
        alone, spread = (
            list(reader.predict_many(map(rewound, sources), workers=n)) for n in (1, 2)
        )
    assert list(map(comparable, alone)) == list(map(comparable, spread))
    assert [i for i, one in enumerate(alone) if isinstance(one, InputError)] == [
        *(30, 90, 150, 181, 213)
    ]
    for found, file in zip(alone[:60], pictures, strict=True):
        if not isinstance(found, InputError):
            one = reader.predict(file)
            assert found.digit == one.digit
            np.testing.assert_allclose(found.probabilities, one.probabilities, atol=1e-6)
            np.testing.assert_array_equal(found.picture, one.picture)


def test_many_pages(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymnist.processes.ALONE", 0.0)
    reader = Reader("mlp")
    sources = [pictures[7], pictures[30], pictures[4]] * 6
    found = [list(reader.read_many(sources, workers=workers)) for workers in (1, 2)]
    assert [*map(str, found[0])] == [*map(str, found[1])]
    assert isinstance(found[0][1], InputError)
    assert str(found[0][0]) == str(reader.read(pictures[7]))
