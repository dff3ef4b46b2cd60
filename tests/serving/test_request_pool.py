"""The queue's bound, the time limit, and how errors come back."""

import asyncio
import threading

import pytest
from grpc import StatusCode

from serving.errors import ServingError
from serving.request_pool import RequestPool


@pytest.fixture
def pool():
    pool = RequestPool(num_threads=1, max_pending=2)
    yield pool
    pool.close()


def test_result(pool):
    assert asyncio.run(pool.run(divmod, 7, 2)) == (3, 1)


def test_full_queue_refuses_and_recovers(pool):
    release = threading.Event()

    async def ask():
        waiting = [asyncio.create_task(pool.run(release.wait, 10)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(ServingError, match="queue of 2 requests is full") as caught:
            await pool.run(int)
        release.set()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await pool.run(int) == 0
        return caught.value

    error = asyncio.run(ask())
    assert error.code == StatusCode.RESOURCE_EXHAUSTED
    assert error.http_status == 429


def test_time_limit(pool):
    release = threading.Event()

    async def ask():
        with pytest.raises(ServingError, match=r"more than 0\.05 seconds") as caught:
            await pool.run(release.wait, 10, timeout=0.05)
        # A request that never started leaves the queue.
        with pytest.raises(ServingError, match=r"more than 0\.05 seconds"):
            await pool.run(int, timeout=0.05)
        release.set()
        assert await pool.run(int, timeout=5) == 0
        return caught.value

    error = asyncio.run(ask())
    assert error.code == StatusCode.DEADLINE_EXCEEDED
    assert error.http_status == 504


def test_errors_of_the_function(pool):
    def fail(error):
        raise error

    for error, code in (
        (ServingError(StatusCode.NOT_FOUND, "x"), StatusCode.NOT_FOUND),
        (TimeoutError("x"), StatusCode.INTERNAL),
        (KeyError("secret"), StatusCode.INTERNAL),
        (MemoryError(), StatusCode.RESOURCE_EXHAUSTED),
    ):
        with pytest.raises(ServingError) as caught:
            asyncio.run(pool.run(fail, error, timeout=5))
        assert caught.value.code == code
        assert "secret" not in caught.value.message
