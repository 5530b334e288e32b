# SPDX-License-Identifier: Apache-2.0
"""No page that a developer visits can publish to, or read from, the broker on their machine."""
import subprocess

import pytest

from harness.broker import Broker
from harness.websocket import Refused

FOREIGN = ["https://evil.example", "http://localhost.evil.example", "null", "http://127.0.0.1",
           "http://127.0.0.1:1", "https://{host}", "http://{host}.evil.example", "file://", "x"]


def ports(broker, text):
    return text.replace("{host}", broker.host)


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_origin_cannot_publish(broker, channel, origin):
    headers = {"Origin": ports(broker, origin), "Content-Type": "text/plain"}
    answer = broker.request("POST", f"/channels/{channel}", headers, b"1")
    assert answer.status == 403 and answer.type == "application/problem+json"
    assert "access-control-allow-origin" not in answer.headers
    assert broker.page(channel)["messages"] == []


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_origin_cannot_open_a_websocket(broker, channel, origin):
    with pytest.raises(Refused) as refused:
        broker.websocket(f"/channels/{channel}", headers={"Origin": ports(broker, origin)})
    assert refused.value.response.status == 403


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_page_of_another_origin_cannot_read(broker, channel, accept):
    answer = broker.get(f"/channels/{channel}",
                        {"Origin": "https://evil.example", "Accept": accept})
    assert answer.status == 403 and "access-control-allow-origin" not in answer.headers


def test_the_brokers_own_pages_may_do_everything(broker, channel):
    headers = {"Origin": broker.public}
    assert broker.post(channel, b"1", headers=headers).status == 200
    assert broker.get(f"/channels/{channel}", headers).status == 200
    with broker.websocket(f"/channels/{channel}?since=earliest", headers=headers) as socket:
        assert socket.recv_json()["data"] == 1


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_that_the_browser_calls_foreign_is_refused(broker, channel, site):
    answer = broker.post(channel, b"1", headers={"Sec-Fetch-Site": site,
                                                 "Origin": "https://evil.example"})
    assert answer.status == 403


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost.:x",
    "localhost.evil:{port}", "169.254.169.254", ""])
def test_a_host_that_is_not_ours_is_refused(broker, channel, host):
    """DNS rebinding: the page's own name, pointed at 127.0.0.1, is same-origin to the browser."""
    name = host.replace("{port}", broker.host.rsplit(":", 1)[1])
    answer = broker.request("POST", f"/channels/{channel}", {"Host": name}, b"1")
    assert answer.status in (400, 403, 421), answer
    assert broker.request("GET", f"/channels/{channel}", {"Host": name}).status in (400, 403, 421)
    assert broker.page(channel)["messages"] == []


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}"])
def test_a_host_that_is_ours_is_served(broker, channel, host):
    name = host.replace("{port}", broker.host.rsplit(":", 1)[1])
    assert broker.request("GET", f"/channels/{channel}", {"Host": name}).status == 200


@pytest.fixture(scope="module", name="friendly")
def start_with_an_origin():
    broker = Broker(config="public: { origins: [\"https://example.org\"] }\n")
    try:
        yield broker.start()
        broker.stop()
    finally:
        broker.close()


def test_a_preflight_of_a_configured_origin_is_answered(friendly):
    answer = friendly.request("OPTIONS", "/channels/a", {
        "Origin": "https://example.org", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, tidings-key"})
    assert answer.status in (200, 204)
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "content-type" in allowed and "tidings-key" in allowed
    assert "origin" in answer.headers["vary"].lower()


def test_a_configured_origin_may_publish_and_read_the_answer(friendly):
    headers = {"Origin": "https://example.org"}
    answer = friendly.post("a", b"1", headers=headers)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    answer = friendly.get("/channels/a?since=x", headers)
    assert answer.status == 400  # an error can be read by the page, too
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    with friendly.websocket("/channels/a", headers=headers):
        pass


def test_a_configured_origin_may_send_what_the_client_sends_and_read_what_it_needs(friendly):
    asked = "authorization, content-type, idempotency-key"
    answer = friendly.request("OPTIONS", "/publish", {
        "Origin": "https://example.org", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": asked})
    assert answer.headers["access-control-allow-headers"] == asked
    answer = friendly.request("POST", "/publish", {
        "Origin": "https://example.org", "Content-Type": "application/json",
        "Idempotency-Key": '"a page\'s"'}, b'[{"channel":"a","data":1}]')
    assert answer.status == 200
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_a_preflight_of_another_origin_allows_nothing(friendly):
    for origin in ("https://evil.example", "https://example.org.evil.example",
                   "http://example.org", "https://sub.example.org"):
        answer = friendly.request("OPTIONS", "/channels/a", {
            "Origin": origin, "Access-Control-Request-Method": "POST"})
        assert "access-control-allow-origin" not in answer.headers
        assert friendly.post("a", b"1", headers={"Origin": origin}).status == 403


@pytest.mark.parametrize("flag", ["--listen", "--operator", "--mqtt"])
@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", ":0"])
def test_it_refuses_to_listen_beyond_loopback(flag, address):
    broker = Broker(flag, address)
    try:
        broker.spawn()
        code = broker.wait(20)
        words = "\n".join(broker.logged + broker.said)
        assert code != 0 and not broker.bad_words()
        assert "--open" in words and "auth" in words, words
    finally:
        broker.close()


@pytest.mark.parametrize("arguments, environment", [
    (["--open"], {}), ([], {"TIDINGS_OPEN": "1"})])
def test_open_is_the_word_that_lets_it(arguments, environment):
    broker = Broker("--listen", "0.0.0.0:0", *arguments, environment=environment)
    try:
        broker.spawn()
        from harness.broker import wait_for
        wait_for(broker.knows_its_urls)
        broker.public = broker.public.replace("0.0.0.0", "127.0.0.1")
        wait_for(broker.is_ready)
        assert broker.publish("a", 1)["offset"] == 1
        broker.stop()
    finally:
        broker.close()


def test_curl_from_a_shell_is_no_web_page(broker, channel):
    done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-d", "1",
                           f"{broker.public}/channels/{channel}"],
                          capture_output=True, check=True, timeout=20)
    assert done.stdout == b"200"
