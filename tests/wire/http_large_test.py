# SPDX-License-Identifier: Apache-2.0
"""Replies that are larger than what a socket takes at once."""
import os

import pytest

from harness import certificates, http


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
def test_large_pages_in_a_pipeline_come_whole_and_in_order(start_broker, is_secure):
    """What the socket does not take of one of 2.5 MB waits where it is, and those behind it too."""
    certificate, key = certificates.server_pair()
    broker = start_broker(
        "--workers", "1",
        config=f"public: {{tls: {{certificate: {certificate}, key: {key}}}}}" if is_secure else "",
        context=certificates.client_context() if is_secure else None)
    texts = [f"{n} " + os.urandom(250_000).hex() for n in range(5)]
    for text in texts:
        broker.publish("large", text)
    page, small = "/channels/large?since=earliest", "/channels/large?since=earliest&limit=1"
    asked = [("GET", page), ("HEAD", page), ("GET", page), ("GET", "/channels/none"),
             ("GET", small), ("GET", page), ("POST", "/channels/other"), ("GET", page)]
    with broker.connect(receive_bytes=4096) as connection:
        connection.send(b"".join(
            http.request_bytes(connection.host, method, target, None,
                               b"1" if method == "POST" else None) for method, target in asked))
        for method, target in asked:
            answer = connection.read_response(method)
            assert answer.status == 200
            if target == page:
                assert int(answer.headers["content-length"]) > 2_500_000
            if method == "GET" and "large" in target:
                data = [message["data"] for message in answer.json()["messages"]]
                assert data == (texts if target == page else texts[:1])
        assert connection.request("GET", "/channels/none").status == 200
