# SPDX-License-Identifier: Apache-2.0
"""The process: its first words, its end, its restart; and the other subcommands."""
import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from urllib.parse import urlsplit

import pytest

from harness.broker import Broker, find_binary, wait_for
from harness.ports import take_port
from harness.websocket import PeerClosed


def tidings(*arguments, stdin=None, timeout=60):
    return subprocess.run([str(find_binary()), *arguments], input=stdin, capture_output=True,
                          timeout=timeout, check=False)


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_prints_its_urls_and_a_curl_line_that_works(start_broker):
    broker = start_broker()
    lines = [line.strip() for line in broker.said]
    curl = next(line for line in lines if "curl" in line)
    command = curl[curl.index("curl"):]
    assert broker.host.rsplit(":", 1)[1] in command
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True, timeout=20)
    assert json.loads(done.stdout)["offset"] == 1


@pytest.mark.parametrize("name, title", [("console", b"Tidings console"), ("demo", b"Tidings")])
def test_the_pages_that_it_prints_are_there(broker, name, title):
    """As a browser writes them: with the name localhost."""
    found = next(line.split()[1] for line in broker.said if line.startswith(name))
    assert found.startswith("http://localhost:")
    with urllib.request.urlopen(found, timeout=20) as page:
        assert b"<title>" + title in page.read()


def test_without_standard_streams_nothing_is_lost(start_broker, tmp_path):
    """What is opened next would take their numbers: the database, and sockets of clients."""
    port = take_port()
    process = subprocess.Popen(
        [find_binary(), "serve", "--data", tmp_path, "--listen", f"127.0.0.1:{port}",
         "--operator", "127.0.0.1:0", "--mqtt", "off"],
        stdout=subprocess.DEVNULL, preexec_fn=lambda: [os.close(number) for number in (0, 2)])
    try:
        wait_for(lambda: is_open(port), 60, "the port")
        held = {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)}
        assert held == {"/dev/null"}
        for number in range(1, 6):
            ask = urllib.request.Request(f"http://127.0.0.1:{port}/channels/a", b"x",
                                         {"Content-Type": "text/plain"})
            with urllib.request.urlopen(ask, timeout=20) as answer:
                assert json.load(answer)["offset"] == number
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    messages, gaps = start_broker(data=tmp_path).all_messages("a")
    assert len(messages) == 5 and not gaps


def test_messages_are_there_after_a_restart_and_offsets_go_on(start_broker):
    broker = start_broker()
    answers = broker.fill("a", 100)
    broker.publish("b", "x")
    broker.stop()
    broker.start()
    messages, gaps = broker.all_messages("a")
    assert gaps == [] and [message["id"] for message in messages] == \
        [answer["id"] for answer in answers]
    page = broker.page("a", since=answers[49]["id"])
    assert page["messages"][0]["offset"] == 51 and "gap" not in page
    assert broker.publish("a", 1)["offset"] == 101
    assert broker.publish("b", "y")["offset"] == 2


def test_sigterm_tells_the_readers(start_broker):
    broker = start_broker()
    socket_ = broker.websocket("/channels/a")
    stream = broker.events("/channels/a")
    broker.signal(signal.SIGTERM)
    event = stream.next()
    assert event.event == "close" and event.json()["reconnect"] is True
    with pytest.raises(PeerClosed) as closed:
        socket_.recv()
    assert closed.value.code == 1001
    assert broker.wait() == 0
    socket_.close()
    stream.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_end_it_with_zero(start_broker, number):
    broker = start_broker()
    broker.publish("a", 1)
    broker.signal(number)
    assert broker.wait() == 0 and not broker.bad_words()


def test_a_second_signal_ends_it_at_once(start_broker):
    broker = start_broker()
    sockets = [broker.websocket("/channels/a") for _ in range(5)]
    broker.signal(signal.SIGTERM)
    broker.signal(signal.SIGTERM)
    begin = time.monotonic()
    broker.wait()
    assert time.monotonic() - begin < 30 and not broker.bad_words()
    broker.process = None
    for one in sockets:
        one.close()


@pytest.mark.heavy
def test_sigterm_with_a_thousand_connections_that_stay_ends_in_seconds(start_broker):
    """They are cut off DRAIN_TIMEOUT_MS after they were told, of which the build has it that the
    process ends in 2 s (protocols/operator/operator.c): 1.6 to 1.7 s were measured, on a busy
    machine too. That it is this which ends them is told; else each goes by its CLOSE_TIMEOUT_MS,
    half a second later, which a machine that stands still for so long brings about as well."""
    for _ in range(3):
        broker = start_broker()
        readers = [broker.websocket("/channels/a") for _ in range(500)]
        readers += [broker.events("/channels/a") for _ in range(400)]
        readers += [broker.connect() for _ in range(100)]
        broker.publish("a", "all")
        begin = time.monotonic()
        broker.signal(signal.SIGTERM)
        assert broker.wait() == 0
        took = time.monotonic() - begin
        cut_off = sum(line["connections"] for line in broker.log_lines("DRAIN_OVER"))
        print(f"ended in {took:.2f} s, {cut_off} cut off")
        for one in readers:
            one.close()
        assert took < 6, f"{took:.2f} s"
        if cut_off > 0:
            return
    raise AssertionError("the drain was never over")


def test_sigterm_with_a_reader_that_does_not_read_ends_all_the_same(start_broker):
    broker = start_broker()
    with broker.events("/channels/a") as stalled:
        stalled.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(20):
            assert broker.post("a", b'"' + b"x" * 900000 + b'"').status == 200
        begin = time.monotonic()
        broker.signal(signal.SIGTERM)
        assert broker.wait() == 0
        assert time.monotonic() - begin < 30


def test_a_second_broker_on_the_same_port_is_refused(start_broker):
    first = start_broker("--workers", "2")
    for flag, url in (("--listen", first.public), ("--operator", first.operator),
                      ("--mqtt", first.mqtt)):
        second = Broker(flag, urlsplit(url).netloc)
        try:
            second.spawn()
            assert second.wait() != 0
            words = "\n".join(second.logged + second.said)
            assert str(urlsplit(url).port) in words and not second.bad_words(), words
            assert f"is another broker running? {flag} takes another" in words
        finally:
            second.close()
    assert first.publish("a", 1)["offset"] == 1


def test_a_second_broker_on_the_same_data_is_refused(start_broker):
    first = start_broker()
    first.publish("a", 1)
    second = Broker(data=first.data)
    try:
        second.spawn()
        assert second.wait() != 0
        words = "\n".join(second.logged + second.said)
        assert first.data in words and not second.bad_words(), words
    finally:
        second.close()
    assert first.publish("a", 1)["offset"] == 2


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("x", encoding="ascii")
    broker = Broker(data=tmp_path / "file")
    try:
        broker.spawn()
        assert broker.wait() != 0
        assert str(tmp_path / "file") in "\n".join(broker.logged + broker.said)
        assert not broker.bad_words()
    finally:
        broker.close()


@pytest.mark.parametrize("arguments", [
    ["--nonsense"], ["--listen"], ["--listen", "x"], ["--listen", "127.0.0.1:99999"],
    ["--workers", "0"], ["--config", "nowhere.yaml"], ["extra"]])
def test_flags_that_mean_nothing_are_refused(arguments, tmp_path):
    done = subprocess.run([str(find_binary()), "serve", *arguments], capture_output=True,
                          timeout=60, check=False, cwd=tmp_path)
    assert done.returncode not in (0, 98, 99) and done.stderr


def test_what_serve_does_not_take_is_called_by_its_name():
    done = tidings("serve", "--auth", "users.yaml")
    assert done.returncode == 2 and b"--auth: is not a flag" in done.stderr
    done = tidings("serve", "extra")
    assert done.returncode == 2 and b"serve takes no words" in done.stderr


def test_help_names_the_subcommands_and_their_flags():
    done = tidings("--help")
    assert done.returncode == 0
    for word in (b"serve", b"pub", b"sub", b"health", b"check"):
        assert word in done.stdout
    done = tidings("serve", "--help")
    assert done.returncode == 0
    for word in (b"--config", b"--data", b"--listen", b"--operator", b"--mqtt", b"--workers",
                 b"--open"):
        assert word in done.stdout
    assert tidings("--version").returncode == 0
    assert tidings("nonsense").returncode != 0


def test_help_and_version_take_their_words_seriously():
    assert tidings("help", "--help").stdout == tidings("--help").stdout != b""
    assert "one command" in told(tidings("help", "serve", "check"), 2)
    assert "extra" in told(tidings("version", "extra"), 2)
    assert tidings("version", "--help").returncode == 0


@pytest.mark.parametrize("words", [["version"], ["help"], ["key"]], ids=str)
def test_an_output_that_is_full_is_told(words):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(find_binary()), *words], stdout=full, stderr=subprocess.PIPE,
                              check=False, timeout=60)
    assert "No space left" in told(done)


@pytest.mark.parametrize("url", ["ftp://h", "ws://h"])
def test_a_scheme_that_nobody_speaks_is_a_fault_of_the_command_line(url):
    for words in (("pub", "a", "1"), ("sub", "a")):
        assert "mqtts://" in told(tidings(*words, "--url", url), 2)


def test_check_tells_every_fault_with_its_line(tmp_path):
    path = tmp_path / "tidings.yaml"
    path.write_text("dota: x\nlimits:\n  connections: many\nchannels:\n  - match: \"a/**/b\"\n",
                    encoding="ascii")
    done = tidings("check", str(path))
    words = (done.stdout + done.stderr).decode()
    assert done.returncode not in (0, 98, 99)
    assert "data" in words and ":1" in words and ":3" in words and ":5" in words, words
    path.write_text("limits: { connections: 10 }\n", encoding="ascii")
    assert tidings("check", str(path)).returncode == 0


def test_check_looks_into_each_file_whatever_else_is_wrong(tmp_path):
    path = tmp_path / "tidings.yaml"
    path.write_text("limits: { connections: 0 }\npublic:\n  listen: 127.0.0.1:9\n"
                    "  tls: { certificate: /no.1, key: /no.2 }\noperator:\n  listen: 127.0.0.1:9\n"
                    "auth: { jwt: [ { issuer: a, algorithms: [ES256], key: /no.3 } ] }\n"
                    "sinks: [ { name: s, channels: [a],"
                    " webhook: { url: 'https://a', ca: /no.4 } } ]\n", encoding="ascii")
    done = tidings("check", str(path))
    assert done.returncode == 1, done
    lines = done.stderr.decode().splitlines()
    for line, words in ((1, "limits.connections"), (4, "/no.1"), (4, "/no.2"), (6, "two ports"),
                        (7, "auth.jwt[0]"), (8, "/no.4")):
        assert any(one.startswith(f"{path}:{line}:") and words in one for one in lines), lines
    assert len(lines) == 6, lines


def test_pub_publishes_an_argument_and_lines(broker, channel):
    done = tidings("pub", channel, '{"a":1}', "--url", broker.public, "--key", "k", "--event", "e")
    assert done.returncode == 0, done
    done = tidings("pub", channel, "-", "--url", broker.public, stdin=b'1\n"zwei"\nthree\n')
    assert done.returncode == 0, done
    messages, _ = broker.all_messages(channel)
    assert [message["data"] for message in messages] == [{"a": 1}, 1, "zwei", "three"]
    assert (messages[0]["key"], messages[0]["event"]) == ("k", "e")
    done = tidings("pub", "a/+", "1", "--url", broker.public)
    assert done.returncode not in (0, 98, 99) and done.stderr


def told(done, code=1):
    """The one line that a command ended with."""
    lines = done.stderr.decode().splitlines()
    assert done.returncode == code and len(lines) == 1, done
    return lines[0]


def test_health_says_by_its_exit_code_whether_the_broker_takes_traffic(start_broker):
    broker = start_broker("--operator", f"127.0.0.1:{take_port()}")
    done = tidings("health", "--operator", broker.operator + "/")
    assert done.returncode == 0 and not done.stdout and not done.stderr
    assert "/readyz: 404 " in told(tidings("health", "--operator", broker.public))
    broker.stop()
    assert "/readyz: Failed to connect" in told(tidings("health", "--operator", broker.operator))
    done = tidings("health", "--help")
    assert done.returncode == 0 and b"http://localhost:8081" in done.stdout
    assert tidings("health", "extra").returncode == 2


@pytest.mark.parametrize("shape", ["{}//x", "/{}", "{}/"])
def test_names_with_an_empty_segment_are_published_and_read(broker, channel, shape):
    name = shape.format(channel)
    done = tidings("pub", name, "1", "--url", broker.public)
    assert done.returncode == 0, done
    done = tidings("sub", name, "--since", "earliest", "--limit", "1", "--json", "--url",
                   broker.public)
    assert json.loads(done.stdout)["channel"] == name and not done.stderr


def test_pub_tells_at_once_that_it_tries_again():
    port = take_port()
    process = subprocess.Popen([str(find_binary()), "pub", "a", "1", "--url",
                                f"http://127.0.0.1:{port}"], stderr=subprocess.PIPE)
    begin = time.monotonic()
    line = process.stderr.readline().decode()
    took = time.monotonic() - begin
    process.kill()
    rest = process.communicate()[1]
    assert took < 30 and str(port) in line and "trying again, 7 times" in line and not rest


def test_several_channels_and_patterns_are_followed_as_one(broker, channel):
    names = [channel + "/1", channel + "/2", channel + "//x"]
    for number in range(9):
        path = f"/channels/?channel={names[number % 3].replace('/', '%2F')}"
        assert broker.request("POST", path, None, str(number)).status == 200
    follow = ["sub", "--url", broker.public, "--since", "earliest", "--limit"]
    for operands in (names, [channel + "/**"], [names[0], channel + "/**", names[0]]):
        done = tidings(*follow, "9", *operands)
        assert done.stdout.decode().split() == [str(number) for number in range(9)], done.stderr
    done = tidings(*follow, "3", names[1], "--json")
    assert {json.loads(row)["channel"] for row in done.stdout.splitlines()} == {names[1]}
    done = tidings("sub", "--url", broker.public, "a", "b*")
    assert done.returncode == 1 and b"a, b*: 400" in done.stderr


def test_output_that_cannot_be_written_is_told_and_nothing_is_passed_over(broker, channel):
    answers = broker.fill(channel, 3)
    follow = ["sub", channel, "--url", broker.public, "--json", "--since"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(find_binary()), *follow, answers[0]["id"]], stdout=full,
                              stderr=subprocess.PIPE, timeout=60, check=False)
        line = told(done)
        assert "No space left on device" in line
        stored = subprocess.run([str(find_binary()), "pub", channel, "1", "--url", broker.public],
                                stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
        assert "stored" in told(stored)
    since = line.rsplit(" ", 1)[1]
    done = tidings(*follow, since, "--limit", "3")
    assert [json.loads(row)["offset"] for row in done.stdout.splitlines()] == [2, 3, 4]
    done = subprocess.run(["bash", "-c", '"$0" "$@" >&-', str(find_binary()), *follow, "now"],
                          capture_output=True, timeout=60, check=False)
    assert "standard output" in told(done)


@pytest.fixture(name="proxy")
def tls_proxy(broker, tmp_path):
    """https in front of the broker: its address, and the file with its certificate."""
    certificate, key = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    there = urlsplit(broker.public)
    loop = asyncio.new_event_loop()

    async def carry(reader, writer):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def serve(reader, writer):
        back, forth = await asyncio.open_connection(there.hostname, there.port)
        await asyncio.gather(carry(reader, forth), carry(back, writer), return_exceptions=True)

    server = loop.run_until_complete(
        asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", certificate
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


def test_https_works_through_a_proxy_that_is_trusted(broker, channel, proxy, monkeypatch):
    url, certificate = proxy
    for words in (["pub", channel, "1"], ["sub", channel]):
        begin = time.monotonic()
        assert "certificate" in told(tidings(*words, "--url", url))
        assert "does the broker speak TLS there?" in told(tidings(
            *words, "--url", broker.public.replace("http:", "https:")))
        assert time.monotonic() - begin < 30  # seven more tries take a minute
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    assert tidings("pub", channel, "7", "--url", url).returncode == 0
    done = tidings("sub", channel, "--since", "earliest", "--limit", "1", "--url", url)
    assert done.returncode == 0 and done.stdout == b"7\n", done


def test_sub_says_where_a_channel_ends_that_was_asked_beyond(broker, channel):
    broker.fill(channel, 2)
    reader = subprocess.Popen([str(find_binary()), "sub", channel, "--since", "9", "--url",
                               broker.public], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = reader.stderr.readline().decode()
    reader.terminate()
    reader.communicate(timeout=60)
    assert "has not come to offset 9; it ends at 2 (ahead)" in line


def read_lines(process, count):
    return [process.stdout.readline().decode().rstrip("\n") for _ in range(count)]


def test_sub_reconnects_and_resumes_by_itself():
    broker = Broker("--listen", f"127.0.0.1:{take_port()}")
    reader = None
    try:
        broker.start()
        broker.fill("a", 3)
        reader = subprocess.Popen(
            [str(find_binary()), "sub", "a", "--since", "earliest", "--json", "--url",
             broker.public], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert [json.loads(line)["offset"] for line in read_lines(reader, 3)] == [1, 2, 3]
        broker.stop()
        broker.start()
        broker.fill("a", 2, first=4)
        assert [json.loads(line)["offset"] for line in read_lines(reader, 2)] == [4, 5]
        reader.terminate()
        assert reader.wait(60) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
        assert b"Sanitizer" not in reader.stderr.read()
        broker.stop()
    finally:
        if reader is not None and reader.poll() is None:
            reader.kill()
        broker.close()


def test_sub_ends_when_its_output_does(broker, channel):
    broker.fill(channel, 20)
    done = subprocess.run(
        ["bash", "-c", f"{find_binary()} sub {channel} --since earliest --url {broker.public}"
         " | head -n 2"], capture_output=True, timeout=60, check=True)
    assert len(done.stdout.splitlines()) == 2


def test_sighup_reloads_and_a_bad_file_changes_nothing(start_broker):
    broker = start_broker(config="channels: [ { match: \"a\", message_bytes_max: 10 } ]\n")
    path = broker.scratch + "/tidings.yaml"
    assert broker.post("a", b"x" * 11, "text/plain").status == 413

    def reload(text):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        broker.signal(signal.SIGHUP)

    reload("channels: [ { match: \"a\", message_bytes_max: 20 } ]\n")
    wait_for(lambda: broker.post("a", b"x" * 11, "text/plain").status == 200,
             what="the reload")
    count = len(broker.logged)
    reload("chanels: []\n")
    wait_for(lambda: len(broker.logged) > count, what="the refusal")
    assert broker.post("a", b"x" * 11, "text/plain").status == 200
