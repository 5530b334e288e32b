# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml against the running broker: every route, every status, every example.

Each status of each operation is provoked, by what GENERIC says for all operations or SPECIFIC for
one, and the answer judged by the schemas of the document. What nobody can provoke from outside
stands in UNPROVOKED with its reason. The other way round, an answer that the document does not
name fails wherever it comes, and the tables of routes in the code are held against the document.
"""
import contextlib
import json
import re
import signal

import pytest

from harness import http, sinks_contract
from harness.broker import ROOT, Broker, wait_for
from harness.contract import METHODS, OpenApi
from harness.disk import fill_disk
from harness.http import request_bytes
from harness.mqtt import connected
from harness.tokens import hash_of
from harness.websocket import WebSocket, handshake_headers

API = OpenApi()
MIB = 1048576
CONFIG = """
channels:
  - {match: small, message_bytes_max: 20}
  - {match: large, message_bytes_max: 16MiB}
tenants: [{name: acme, connections: 100}]
sinks:
  - {name: configured, channels: [openapi/never], webhook: {url: "http://127.0.0.1:9/"}}
"""
GUARDED = """
auth:
  keys:
    - {name: reader, hash: "%s", subscribe: ["news/**"], history: ["news/**"]}
""" % hash_of("key-of-reader")
STRICT = GUARDED + """    - {name: admin, hash: "%s", operator: true}
limits: { loopback: true, login_failures_per_address: 1/s }
""" % hash_of("key-of-admin")
TRIES_AT_THE_END = 5
TRIES_MAX = 60  # far more than a second's worth of bad logins
CASES = [(operation, status) for operation in API.operations for status in API.responses(operation)]

# A request of each operation that does what it is for: (target, headers, body).
PLAIN = {
    "publish": ("/channels/openapi/a", {"Content-Type": "application/json"}, b"1"),
    "read": ("/channels/openapi/a", {"Accept": "application/json"}, None),
    "delete": ("/channels/openapi/a?offset=1", {}, None),
    "publishMany": ("/publish", {"Content-Type": "application/json"},
                    b'[{"channel":"openapi/a","data":1}]'),
    "readMany": ("/stream?channel=openapi/a", {"Accept": "application/json"}, None),
    "demoFile": ("/demo/demo.js", {}, None),
    "consoleFile": ("/console/console.js", {}, None),
    "showChannel": ("/api/v1/channels/openapi/a", {}, None),
    "showConnection": ("/api/v1/connections/{open}", {}, None),
    "dismissConnection": ("/api/v1/connections/{open}", {}, None),
    "dismissSession": ("/api/v1/sessions/nobody", {}, None),
    "explain": ("/api/v1/explain", {}, b'{"publish":"openapi/a"}'),
    "checkConfiguration": ("/api/v1/configuration/check", {}, b"open: false"),
    "reloadConfiguration": ("/api/v1/configuration/reload", {}, b""),
    "beginDrain": ("/api/v1/drain?over=1h", {}, b""),
    **sinks_contract.PLAIN,
    "showTenant": ("/api/v1/tenants/acme", {}, None),
    "revoke": ("/api/v1/revoke", {"Content-Type": "application/json"}, b'{"sub":"alice"}'),
    "liftRevocation": ("/api/v1/revoke?sub=alice", {}, None),
}
SURVEYS = ("listChannels", "showChannel", "listConnections", "showConnection", "dismissConnection",
           "listSessions", "dismissSession")
TOLD_AT_THE_END = ("readiness", "reloadConfiguration", "beginDrain", "endDrain", "revoke")

MEMORY = "only a broker that is out of memory says so here"
DISK = "the disk would have to fail under a read"
UNPROVOKED = {
    **{(operation, status): DISK for operation, status in CASES if status == 500},
    **{(operation, 503): MEMORY for operation in (
        "metrics", "listResources", "showStatus", "showConfiguration", "checkConfiguration",
        "showDrain", "listTenants", "showTenant", "listRevocations", "liftRevocation",
        "explain")},
    **{(operation, 503): "pages wait, and deletes fill no queue: memory, or the last millisecond"
       for operation in ("read", "readMany", "delete")},
    **sinks_contract.UNPROVOKED,
    ("takeTicket", 503): "64 Ki tickets would have to be waiting",
    ("readiness", 507): "the store reserves room for its folds before it takes a message",
}


class World:
    """A broker with the configuration that statuses need, and one connection that stays."""

    def __init__(self):
        self.broker = Broker("--workers", "1", config=CONFIG).start()
        self.reader = self.broker.websocket("/channels/openapi/a")
        self.broker.fill("openapi/a", 3)
        sinks_contract.declare(self.broker)
        self.guarded = Broker(config=GUARDED).start()
        self.strict = Broker(config=STRICT).start()

    def close(self):
        for broker in (self.guarded, self.strict):
            broker.stop()
            broker.close()
        self.reader.close()
        self.broker.stop()
        self.broker.close()

    def open_id(self):
        """The id of a connection that may be ended."""
        self.spare = self.broker.websocket("/channels/openapi/b")
        return wait_for(lambda: self.broker.row_of(self.spare.connection), what="its row")["id"]

    def parts(self, operation):
        path, method, _ = API.operations[operation]
        target, headers, body = PLAIN.get(operation, (path, {}, None))
        if "{open}" in target:
            target = target.replace("{open}", str(self.open_id()))
        return method.upper(), target, dict(headers), body

    def url(self, operation):
        return self.broker.operator if API.is_operators(operation) else self.broker.public

    def ask(self, operation, headers=None, body=None, target=None, more="", edit=None):
        """The plain request with what is given in its place; `edit` changes its bytes."""
        method, plain_target, plain_headers, plain_body = self.parts(operation)
        plain_headers.update(headers or {})
        body = plain_body if body is None else body
        target = target or plain_target
        with http.Connection(self.url(operation)) as connection:
            data = request_bytes(connection.host, method,
                                 target + more and target + more, plain_headers, body or None)
            if body == b"" and "Content-Length" not in plain_headers:
                data = data.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n", 1)
            connection.send(edit(data) if edit else data)
            return connection.read_response(method)


@pytest.fixture(scope="module", name="world")
def make_world():
    world = World()
    try:
        yield world
    finally:
        world.close()


def long_query(world, operation):
    mark = "&" if "?" in PLAIN.get(operation, ("",))[0] else "?"
    return world.ask(operation, more=mark + "x=" + "y" * 9000)


def ask_without_credentials(world, operation):
    other = World.__new__(World)
    other.broker = world.strict if API.is_operators(operation) else world.guarded
    other.open_id = lambda: 1
    return other.ask(operation)


def ask_with_bad_keys(world, operation):
    """Until the address has had its share of them, where they are looked at."""
    other = World.__new__(World)
    other.broker, other.open_id = world.strict, lambda: 1
    if operation == "front":
        other.url = lambda operation: world.strict.operator
    for _ in range(TRIES_MAX):
        answer = other.ask(operation, {"Authorization": "Bearer nonsense"})
        if answer.status != 401:
            break
    return answer


GENERIC = {
    200: lambda world, op: world.ask(op),
    202: lambda world, op: world.ask(op),
    204: lambda world, op: world.ask(op),
    302: lambda world, op: world.ask(op),
    400: lambda world, op: world.ask(op, {"Content-Length": "1\r\nContent-Length: 2"}),
    401: ask_without_credentials,
    403: lambda world, op: world.ask(op, {"Origin": "https://evil.example"}),
    406: lambda world, op: world.ask(op, {"Accept": "image/png"}),
    411: lambda world, op: world.ask(op, {"Content-Length": None}),
    413: lambda world, op: world.ask(op, {"Content-Length": "1"}, b"x"),
    414: long_query,
    415: lambda world, op: world.ask(op, {"Content-Encoding": "gzip"}),
    417: lambda world, op: world.ask(op, {"Expect": "wonders"}),
    421: lambda world, op: world.ask(op, {"Host": "evil.example"}),
    426: lambda world, op: world.ask(op, {**handshake_headers(), "Sec-WebSocket-Version": "12"}),
    429: ask_with_bad_keys,
    431: lambda world, op: world.ask(op, {"X-Long": "y" * 20000}),
    501: lambda world, op: world.ask(op, {"Content-Length": None, "Transfer-Encoding": "gzip"}),
    505: lambda world, op: world.ask(op, edit=lambda data: data.replace(b"HTTP/1.1", b"HTTP/2.7")),
}


def switch(world, operation):
    with WebSocket(world.broker.public, PLAIN[operation][0]) as socket:
        return http.Response(101, "", socket.headers, b"")


def repeat_with_another_body(world, operation):
    key = {"Idempotency-Key": f"openapi-{operation}"}
    assert world.ask(operation, key).status == 200
    return world.ask(operation, key, body=PLAIN[operation][2].replace(b"1", b"2"))


def crowd_bodies(world, operation):
    """64 MiB of bodies are under way on the one worker: the next that comes in parts is refused."""
    method, target, headers, body = world.parts(operation)
    head = request_bytes(world.broker.host, "POST", "/channels/large",
                         {"Content-Length": str(16 * MIB)})
    bodies = "tidings_bodies_bytes"
    wait_for(lambda: world.broker.metric(bodies) == 0)
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(world.broker.connect())
            one.send(head + b"1" * (16 * MIB - 1))
        # Else the next takes the room of what is still on its way, which is refused instead.
        wait_for(lambda: world.broker.metric(bodies) >= 4 * (16 * MIB - 1))

        def try_one():
            with world.broker.connect() as connection:
                data = request_bytes(connection.host, method, target, headers, b" " * 999 + body)
                connection.send(data[:-2])
                connection.socket.settimeout(1)
                try:
                    return connection.read_response(method)
                except TimeoutError:
                    return None
        return wait_for(try_one, 60, "503")


def crowd_surveys(world, operation):
    """Eight surveys at a time; more questions than that come in one turn of the port."""
    method, target, headers, _ = world.parts(operation)
    if operation == "dismissConnection":
        target = "/api/v1/connections/999999999"
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(http.Connection(world.broker.operator)) for _ in range(60)]
        data = request_bytes(crowd[0].host, method, target, headers)

        def try_once():
            for connection in crowd:
                connection.send(data)
            answers = [connection.read_response(method) for connection in crowd]
            return next((answer for answer in answers if answer.status == 503), None)
        return wait_for(try_once, 60, "503")


def ask_at_the_end(world, operation):
    """A broker that got SIGTERM, and waits for a peer that does not say goodbye. It waits for two
    seconds; who came too late for that tries another one."""
    for _ in range(TRIES_AT_THE_END):
        with contextlib.suppress(OSError, http.Closed):
            return ask_one_at_the_end(operation)
    raise AssertionError("each broker ended before it was asked")


def ask_one_at_the_end(operation):
    broker = Broker("--workers", "1").start()
    other = World.__new__(World)
    other.broker = broker
    try:
        with broker.websocket("/channels/a"):
            broker.signal(signal.SIGTERM)
            wait_for(lambda: http.request(broker.operator, "GET", "/readyz").status == 503)
            wait_for(lambda: any("STOPPING" in line for line in broker.logged))
            return other.ask(operation)
    finally:
        assert broker.wait() == 0
        broker.close()


def break_configuration(world, operation):
    text = b"nonsense: 1\nworkers: none\n"
    if operation == "checkConfiguration":
        return world.ask(operation, body=text)
    file = ROOT.joinpath(world.broker.scratch, "tidings.yaml")
    file.write_bytes(text)
    try:
        return world.ask(operation)
    finally:
        file.write_text(CONFIG, encoding="utf-8")


def dismiss_session(world, operation):
    with connected(world.broker, "openapi") as client:
        answer = world.ask(operation, target="/api/v1/sessions/openapi")
        client.end()
    return answer


def lift(world, operation):
    assert world.ask("revoke").status == 200
    return world.ask(operation)


def known_tag(world, operation):
    return world.ask(operation, {"If-None-Match": world.ask(operation).headers["etag"]})


SPECIFIC = {
    ("consoleFile", 406): lambda world, op: world.ask(op, handshake_headers()),
    ("front", 200): lambda world, op: http.request(world.broker.operator, "GET", "/"),
    ("front", 401): lambda world, op: http.request(world.strict.operator, "GET", "/"),
    ("read", 101): switch,
    ("readMany", 101): switch,
    ("delete", 404): lambda world, op: world.ask(op, target="/channels/openapi/never"),
    ("showChannel", 404): lambda world, op: world.ask(op, target="/api/v1/channels/openapi/never"),
    ("showConnection", 404): lambda world, op: world.ask(op, target="/api/v1/connections/99999"),
    ("dismissConnection", 404): lambda world, op: world.ask(op, target="/api/v1/connections/9999"),
    ("dismissSession", 204): dismiss_session,
    ("showTenant", 404): lambda world, op: world.ask(op, target="/api/v1/tenants/other"),
    ("revoke", 413): lambda world, op: world.ask(op, body=b"x" * 5000),
    ("revoke", 422): lambda world, op: world.ask(op, body=b"{}"),
    ("liftRevocation", 204): lift,
    ("liftRevocation", 404): lambda world, op: world.ask(op, target="/api/v1/revoke?sub=nobody"),
    ("liftRevocation", 422): lambda world, op: world.ask(op, target="/api/v1/revoke"),
    ("dismissSession", 404): lambda world, op: world.ask(op),
    **sinks_contract.SPECIFIC,
    ("consoleFile", 404): lambda world, op: world.ask(op, target="/console/nothing"),
    ("demoFile", 404): lambda world, op: world.ask(op, target="/demo/nothing"),
    ("publish", 413): lambda world, op: world.ask(op, target="/channels/small", body=b"1" * 21),
    ("publishMany", 413): lambda world, op: world.ask(
        op, body=b'[{"channel":"small","data":"%s"}]' % (b"x" * 30)),
    ("checkConfiguration", 413): lambda world, op: world.ask(op, body=b"#" * (MIB + 1)),
    ("checkConfiguration", 422): break_configuration,
    ("explain", 413): lambda world, op: world.ask(op, body=b" " * 65537),
    ("explain", 422): lambda world, op: world.ask(op, body=b"{}"),
    ("reloadConfiguration", 422): break_configuration,
    ("publish", 422): repeat_with_another_body,
    ("publishMany", 422): repeat_with_another_body,
    ("publish", 503): crowd_bodies,
    ("publishMany", 503): crowd_bodies,
    **{(operation, 304): known_tag for operation in (
        "read", "readMany", "demo", "demoFile", "consoleFile")},
    **{(operation, 503): crowd_surveys for operation in SURVEYS},
    **{(operation, 503): ask_at_the_end for operation in TOLD_AT_THE_END},
}
# One wait for all of them, and a file system of their own.
SLOW = [case for case in CASES if case[1] in (408, 507)]
QUICK = [case for case in CASES if case not in SLOW and case not in UNPROVOKED]


def test_the_document_is_openapi():
    assert API.errors_of_form() == []
    for reference in API.references():
        API.at(reference)
    assert len(API.operations) == sum(method in item for item in API.document["paths"].values()
                                      for method in METHODS)


def test_few_statuses_are_not_provoked():
    assert {status for _, status in UNPROVOKED} == {409, 500, 503, 507}
    assert {case for case in UNPROVOKED if case[1] != 500} <= set(CASES)
    assert all(case in SPECIFIC or case[1] in GENERIC for case in QUICK)


@pytest.mark.deadline(150)
@pytest.mark.parametrize("operation, status", QUICK, ids=lambda value: str(value))
def test_every_status_that_is_named_comes(world, operation, status):
    provoke = SPECIFIC.get((operation, status)) or GENERIC[status]
    answer = API.judge(operation, provoke(world, operation))
    assert answer.status == status, answer
    if operation == "beginDrain" and status == 202:
        assert world.ask("endDrain").status == 200


def test_late_heads_are_told(world):
    late = [operation for operation, status in SLOW if status == 408]
    assert late
    with contextlib.ExitStack() as stack:
        connections = []
        for operation in late:
            method, target, _, _ = world.parts(operation)
            connection = stack.enter_context(http.Connection(world.url(operation), timeout_s=40))
            connection.send(f"{method} {target} HTTP/1.1\r\n")
            connections.append(connection)
        for operation, connection in zip(late, connections):
            assert API.judge(operation, connection.read_response()).status == 408


@pytest.mark.deadline(150)
def test_a_full_disk_is_told(small_disk):
    full = [case[0] for case in SLOW if case[1] == 507 and case not in UNPROVOKED]
    world = World.__new__(World)
    world.broker = Broker("--workers", "1", data=small_disk / "data")
    try:
        world.broker.start()
        world.broker.fill("openapi/a", 20)
        ballast = fill_disk(small_disk, 3 * MIB)

        def is_full():
            return world.broker.post("openapi/a", b'"' + b"x" * 100000 + b'"').status == 507
        wait_for(is_full, 60, "507")
        for operation in full:
            def is_told(operation=operation):
                answer = world.ask(operation)
                return API.judge(operation, answer).status == 507
            wait_for(is_told, what=f"507 of {operation}")
        ballast.unlink()
        wait_for(lambda: world.ask("publish").status == 200, what="recovery")
        world.broker.stop()
    finally:
        world.broker.close()


# --- examples -----------------------------------------------------------------------------------

def media_of(operation):
    """(where, media type, its description) of all bodies of an operation."""
    item = API.operations[operation][2]
    for media_type, media in item.get("requestBody", {}).get("content", {}).items():
        yield "request", media_type, media
    for status, response in API.responses(operation).items():
        for media_type, media in response.get("content", {}).items():
            yield status, media_type, media


@pytest.mark.parametrize("operation", API.operations)
def test_every_body_has_an_example_that_is_valid(operation):
    for where, media_type, media in media_of(operation):
        examples = API.examples(media)
        assert examples, (operation, where, media_type)
        for example in examples:
            API.validate(example, media.get("schema", {}))


SENT = [(operation, media_type, example) for operation in API.operations
        for where, media_type, media in media_of(operation) if where == "request"
        for example in API.examples(media)]


@pytest.mark.parametrize("operation, media_type, example", SENT,
                         ids=[f"{operation} {media_type}" for operation, media_type, _ in SENT])
def test_examples_of_requests_are_taken(world, operation, media_type, example):
    body = example if isinstance(example, str) else json.dumps(example)
    headers = {"Content-Type": media_type.replace("*/*", "image/png")}
    answer = API.judge(operation, world.ask(operation, headers, body.encode()))
    assert answer.status in (200, 201)


@pytest.mark.parametrize("operation", API.operations)
def test_examples_of_parameters_are_taken(world, operation):
    world.broker.fill("openapi/a", 1)
    for parameter in API.parameters(operation):
        if parameter["in"] != "query" or "example" not in parameter:
            continue
        values = parameter["example"]
        values = values if isinstance(values, list) else [values]
        API.validate(parameter["example"], parameter["schema"])
        target = PLAIN.get(operation, (API.operations[operation][0],))[0]
        names = {parameter["name"]}
        query = "&".join(f"{parameter['name']}={value}" for value in values)
        if operation == "readMany" and "channel" not in names:
            query += "&channel=openapi/a"
        if operation == "liftRevocation":
            body = json.dumps({parameter["name"]: values[0]}).encode()
            assert world.ask("revoke", body=body).status == 200
        answer = world.ask(operation, target=target.split("?")[0] + "?" + query)
        assert API.judge(operation, answer).status < 300, (parameter, answer)
    if operation == "beginDrain":
        assert world.ask("endDrain").status == 200


# --- the other way round ------------------------------------------------------------------------

def documented():
    """{path with its names left out: its methods}"""
    found = {}
    for path, method, _ in API.operations.values():
        found.setdefault(re.sub(r"\{\w+\}", "", path), set()).add(method.upper())
    return found


def test_every_route_of_the_code_is_documented(world):
    known = documented()
    source = (ROOT / "protocols/rest/routes.c").read_text(encoding="utf-8")
    table = source[source.index("routes[] = {"):source.index("\n};")]
    rows = re.findall(r'\{\.path = "([^"]+)"(.*?)\},?\n(?=    \{|$)', table + "\n", re.S)
    assert len(rows) == table.count(".path")
    reserved = [path for path, row in rows if "reserved_for" in row]
    assert reserved == API.document["x-reserved-paths"]
    assert {path for path, _ in rows} - set(reserved) <= set(known)
    pages = (ROOT / "protocols/operator/pages.c").read_text(encoding="utf-8")
    assert set(re.findall(r'^    \{"(/\w*)", \w+\},$', pages, re.M)) <= set(known)
    index = world.ask("listResources").json()["resources"]
    resources = {(row["method"], row["path"]) for row in index}
    assert resources == {(method.upper(), path) for path, method, _ in API.operations.values()
                         if path.startswith("/api/")}


@pytest.mark.parametrize("operation", API.operations)
def test_no_fault_has_an_answer_that_is_not_named(world, operation):
    """Each fault that any operation names, put to this one: judge() refuses what is not named."""
    for status, provoke in GENERIC.items():
        if status == 505 and API.is_operators(operation):
            continue  # libmicrohttpd's own refusal, in HTML
        if status >= 400:
            API.judge(operation, provoke(world, operation))
    assert world.ask("endDrain").status == 200


@pytest.mark.parametrize("path", API.document["paths"])
def test_other_methods_are_not_there(world, path):
    item = API.document["paths"][path]
    there = {method.upper() for method in METHODS if method in item}
    allowed = there | {"OPTIONS"} | ({"HEAD"} if "GET" in there else set())
    operation = next(item[method]["operationId"] for method in METHODS if method in item)
    target = PLAIN.get(operation, (path,))[0].replace("{open}", "1").split("?")[0]
    answer = http.request(world.url(operation), "OPTIONS", target)
    assert answer.status == 204 and answer.body == b""
    assert set(answer.headers["allow"].split(", ")) == allowed
    for method in ("GET", "POST", "DELETE", "PUT", "PATCH", "BREW"):
        if method not in there:
            answer = http.request(world.url(operation), method, target, {"Content-Length": "0"})
            assert answer.status == 405 and set(answer.headers["allow"].split(", ")) == allowed
            API.judge_response(API.at("#/components/responses/MethodNotAllowed"), answer)


def test_reserved_and_unknown_paths_are_told(world):
    for path in API.document["x-reserved-paths"]:
        answer = world.broker.get(path + "/x")
        assert answer.status == 501
        API.judge_response(API.at("#/components/responses/NotImplemented"), answer)
    for url, path in ((world.broker.public, "/nothing"), (world.broker.operator, "/nothing"),
                      (world.broker.operator, "/api/v1/nothing")):
        answer = http.request(url, "GET", path)
        assert answer.status == 404
        API.judge_response(API.at("#/components/responses/NotFound"), answer)


BOTH = [(operation, status) for operation, status in QUICK
        if operation in ("publish", "read", "delete", "publishMany", "readMany")
        and status in (400, 403, 406, 411, 413, 414, 415, 417, 421, 422, 431, 501)]


@pytest.mark.parametrize("operation, status", BOTH)
def test_the_operators_port_answers_alike(world, operation, status):
    """What both ports have is refused by both, in the same form."""
    other = World.__new__(World)
    other.broker = world.broker
    other.url = lambda operation: world.broker.operator
    provoke = SPECIFIC.get((operation, status)) or GENERIC[status]
    assert API.judge(operation, provoke(other, operation)).status == status


def test_head_is_answered_as_get_is(world):
    for operation, (_, method, _) in API.operations.items():
        if method == "get":
            _, target, headers, _ = world.parts(operation)
            full = http.request(world.url(operation), "GET", target, headers)
            head = http.request(world.url(operation), "HEAD", target, headers)
            assert (head.status, head.type, head.body) == (full.status, full.type, b""), operation


@pytest.mark.parametrize("operation", ["publish", "read", "delete", "publishMany", "readMany"])
def test_a_right_that_is_lacking_is_told_with_its_rule(world, operation):
    other = World.__new__(World)
    other.broker = world.guarded
    answer = API.judge(operation, other.ask(operation, {"Authorization": "Bearer key-of-reader"}))
    assert answer.status == 403 and "auth.keys[0]." in answer.json()["detail"], answer
    answer = API.judge(operation, other.ask(operation, {"Authorization": "Bearer nonsense"}))
    assert answer.status == 401 and "invalid_token" in answer.headers["www-authenticate"], answer


@pytest.mark.parametrize("operation", ["publish", "publishMany"])
def test_what_is_left_of_a_rate_is_told(start_broker, operation):
    other = World.__new__(World)
    other.broker = start_broker(config="limits: { publish_rate: 5/s }\n")
    response = API.responses(operation)[200]
    answer = API.judge(operation, other.ask(operation))
    assert {"RateLimit", "RateLimit-Policy"} <= set(response["headers"])
    assert answer.headers["ratelimit-policy"] == '"connection";q=5;w=1', answer


@pytest.mark.parametrize("operation", ["publish", "publishMany", "read", "delete", "readMany"])
def test_the_operators_port_acts_for_a_tenant(world, operation):
    row = next(row for row in API.parameters(operation) if row["name"] == "Tidings-Tenant")
    other = World.__new__(World)
    other.broker = world.broker
    other.url = lambda operation: world.broker.operator
    API.validate(row["example"], row["schema"])
    http.request(world.broker.operator, "POST", "/channels/openapi/a",
                 {"Tidings-Tenant": row["example"]}, b"1")
    answer = API.judge(operation, other.ask(operation, {"Tidings-Tenant": row["example"]}))
    assert answer.status == 200, answer
    for wrong in ("a/b", "x" * 29):
        answer = API.judge(operation, other.ask(operation, {"Tidings-Tenant": wrong}))
        assert answer.status == 400 and answer.json()["field"] == "Tidings-Tenant", answer


def test_an_event_stream_is_what_the_document_says(world, channel):
    world.broker.fill(channel, 1)
    with world.broker.events(f"/channels/{channel}?since=earliest") as stream:
        assert stream.status == 200 and stream.headers["content-type"].startswith(
            "text/event-stream")
        API.validate(stream.next().json(), {"$ref": "#/components/schemas/Message"})
    with world.broker.events(f"/channels/{channel}?since=999") as stream:
        API.validate(stream.next().json(), {"$ref": "#/components/schemas/Gap"})
