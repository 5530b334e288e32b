# SPDX-License-Identifier: Apache-2.0
"""MQTT packets of both versions: made as one likes, wrong ones too; read strictly.

A version is the protocol level: 4 is 3.1.1, 5 is 5.0. Properties are a dictionary by the names of
PROPERTIES; `user` is a list of pairs, and a list stands for a property that comes several times.
"""
import struct

(CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE,
 UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH) = range(1, 16)

NAMES = {value: name for name, value in list(globals().items()) if name.isupper() and
         isinstance(value, int)}

# name -> (identifier, kind, what a server may send it on)
PROPERTIES = {
    "payload_format": (0x01, "byte", {PUBLISH}),
    "message_expiry": (0x02, "u32", {PUBLISH}),
    "content_type": (0x03, "text", {PUBLISH}),
    "response_topic": (0x08, "text", {PUBLISH}),
    "correlation_data": (0x09, "bytes", {PUBLISH}),
    "subscription_identifier": (0x0B, "varint", {PUBLISH}),
    "session_expiry": (0x11, "u32", {CONNACK}),
    "assigned_client_id": (0x12, "text", {CONNACK}),
    "server_keep_alive": (0x13, "u16", {CONNACK}),
    "authentication_method": (0x15, "text", {CONNACK, AUTH}),
    "authentication_data": (0x16, "bytes", {CONNACK, AUTH}),
    "request_problem_information": (0x17, "byte", set()),
    "will_delay": (0x18, "u32", set()),
    "request_response_information": (0x19, "byte", set()),
    "response_information": (0x1A, "text", {CONNACK}),
    "server_reference": (0x1C, "text", {CONNACK, DISCONNECT}),
    "reason_string": (0x1F, "text", {CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK,
                                     DISCONNECT, AUTH}),
    "receive_maximum": (0x21, "u16", {CONNACK}),
    "topic_alias_maximum": (0x22, "u16", {CONNACK}),
    "topic_alias": (0x23, "u16", {PUBLISH}),
    "maximum_qos": (0x24, "byte", {CONNACK}),
    "retain_available": (0x25, "byte", {CONNACK}),
    "user": (0x26, "pair", {CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK,
                            DISCONNECT, AUTH}),
    "maximum_packet_size": (0x27, "u32", {CONNACK}),
    "wildcard_available": (0x28, "byte", {CONNACK}),
    "identifiers_available": (0x29, "byte", {CONNACK}),
    "shared_available": (0x2A, "byte", {CONNACK}),
}
BY_IDENTIFIER = {row[0]: (name, row[1], row[2]) for name, row in PROPERTIES.items()}

# What a server may answer, by packet. An empty set: no reason code.
CONNACK_3 = {0, 1, 2, 3, 4, 5}
REASONS = {
    CONNACK: {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
              0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    PUBACK: {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    PUBREC: {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    PUBREL: {0x00, 0x92},
    PUBCOMP: {0x00, 0x92},
    SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    DISCONNECT: {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93,
                 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0,
                 0xA1, 0xA2},
}


class Violation(AssertionError):
    """A server sent what the specification forbids."""


# --- making them -----------------------------------------------------------------------------


def varint(number):
    """A variable byte integer of the fewest bytes."""
    data = bytearray()
    while True:
        number, rest = divmod(number, 128)
        data.append(rest | (0x80 if number else 0))
        if not number:
            return bytes(data)


def binary(data):
    """Bytes, or text as UTF-8, behind their length."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    return struct.pack(">H", len(data)) + data


def encode_property(name, value):
    identifier, kind, _ = PROPERTIES[name]
    if kind == "pair":
        data = binary(value[0]) + binary(value[1])
    elif kind in ("text", "bytes"):
        data = binary(value)
    elif kind == "varint":
        data = varint(value)
    else:
        data = struct.pack({"byte": ">B", "u16": ">H", "u32": ">I"}[kind], value)
    return bytes([identifier]) + data


def properties(values=None):
    """A property block with its length; bytes pass as they are."""
    if isinstance(values, bytes):
        return values
    data = b""
    for name, value in (values or {}).items():
        for one in value if isinstance(value, list) else [value]:
            data += encode_property(name, one)
    return varint(len(data)) + data


def packet(kind, body=b"", flags=None):
    """A control packet; flags as the specification wants them unless given."""
    if flags is None:
        flags = 2 if kind in (PUBREL, SUBSCRIBE, UNSUBSCRIBE) else 0
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(client_id="", version=4, clean=True, keep_alive=60, will=None, user=None,
            password=None, values=None, name="MQTT", flags=None):
    """CONNECT. `will` is a dictionary: topic, payload, qos, retain, values. `flags` overrides the
    byte of flags."""
    bits = 2 if clean else 0
    payload = binary(client_id)
    if will is not None:
        bits |= 4 | will.get("qos", 0) << 3 | (0x20 if will.get("retain") else 0)
        if version == 5:
            payload += properties(will.get("values"))
        payload += binary(will["topic"]) + binary(will.get("payload", b""))
    if user is not None:
        bits |= 0x80
        payload += binary(user)
    if password is not None:
        bits |= 0x40
        payload += binary(password)
    body = binary(name) + struct.pack(">BBH", version, bits if flags is None else flags,
                                      keep_alive)
    if version == 5:
        body += properties(values)
    return packet(CONNECT, body + payload)


def publish(topic, payload=b"", qos=0, number=None, version=4, retain=False, dup=False,
            values=None):
    body = binary(topic)
    if qos > 0 or number is not None:
        body += struct.pack(">H", number)
    if version == 5:
        body += properties(values)
    if isinstance(payload, str):
        payload = payload.encode()
    return packet(PUBLISH, body + payload, (8 if dup else 0) | qos << 1 | (1 if retain else 0))


def acknowledge(kind, number, version=4, reason=None, values=None):
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""
    body = struct.pack(">H", number)
    if version == 5 and (reason is not None or values is not None):
        body += bytes([reason or 0])
        if values is not None:
            body += properties(values)
    return packet(kind, body)


def subscribe(number, filters, version=4, values=None):
    """SUBSCRIBE; a filter is (text, byte of options)."""
    body = struct.pack(">H", number)
    if version == 5:
        body += properties(values)
    for text, options in filters:
        body += binary(text) + bytes([options])
    return packet(SUBSCRIBE, body)


def unsubscribe(number, filters, version=4, values=None):
    body = struct.pack(">H", number)
    if version == 5:
        body += properties(values)
    return packet(UNSUBSCRIBE, body + b"".join(binary(text) for text in filters))


def disconnect(version=4, reason=None, values=None):
    body = b""
    if version == 5 and (reason is not None or values is not None):
        body = bytes([reason or 0])
        if values is not None:
            body += properties(values)
    return packet(DISCONNECT, body)


# --- reading them ----------------------------------------------------------------------------


def demand(is_right, what):
    if not is_right:
        raise Violation(what)


class Cursor:
    """Takes fields off the front of a packet's body."""

    def __init__(self, data):
        self.data, self.place = data, 0

    def take(self, count):
        demand(self.place + count <= len(self.data), "a packet that ends inside a field")
        self.place += count
        return self.data[self.place - count:self.place]

    def rest(self):
        return self.take(len(self.data) - self.place)

    def is_done(self):
        return self.place == len(self.data)

    def byte(self):
        return self.take(1)[0]

    def u16(self):
        return struct.unpack(">H", self.take(2))[0]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def bytes(self):
        return self.take(self.u16())

    def text(self):
        text = self.bytes().decode("utf-8")
        demand("\0" not in text, "U+0000 in a string")
        return text

    def pair(self):
        return self.text(), self.text()

    def varint(self):
        number = 0
        for index in range(4):
            byte = self.byte()
            number |= (byte & 0x7f) << 7 * index
            if not byte & 0x80:
                demand(byte or index == 0, "a variable byte integer that is too long")
                return number
        raise Violation("a variable byte integer of five bytes")


def read_properties(cursor, kind):
    """{name: value}; `user` and `subscription_identifier` as lists."""
    inner = Cursor(cursor.take(cursor.varint()))
    found = {}
    while not inner.is_done():
        identifier = inner.varint()
        demand(identifier in BY_IDENTIFIER, f"property {identifier:#x}")
        name, form, places = BY_IDENTIFIER[identifier]
        demand(kind in places, f"{name} on {NAMES[kind]}")
        value = getattr(inner, form)()
        if name in ("user", "subscription_identifier"):
            found.setdefault(name, []).append(value)
        else:
            demand(name not in found, f"{name} twice")
            demand(form != "byte" or value in (0, 1), f"{name} is {value}")
            found[name] = value
    return found


class Packet:
    """One packet from a server: `kind`, `flags`, and what its kind has."""

    def __init__(self, version, first, body):
        self.version, self.kind, self.flags = version, first >> 4, first & 15
        self.body = body
        self.values, self.reason, self.number = {}, None, None
        demand(self.kind in READERS, f"a packet of type {self.kind} from a server")
        cursor = Cursor(body)
        READERS[self.kind](self, cursor)
        demand(cursor.is_done(), f"bytes behind the end of {self}")
        wanted = 2 if self.kind == PUBREL else 0
        demand(self.kind == PUBLISH or self.flags == wanted, f"flags {self.flags} on {self}")

    @property
    def user(self):
        """User properties as a dictionary, the last of each name."""
        return dict(self.values.get("user", []))

    def read_connack(self, cursor):
        flags = cursor.byte()
        demand(flags in (0, 1), f"flags {flags} on CONNACK")
        self.is_present = flags == 1
        self.reason = cursor.byte()
        allowed = REASONS[CONNACK] if self.version == 5 else CONNACK_3
        demand(self.reason in allowed, f"CONNACK with {self.reason:#x}")
        demand(self.reason == 0 or not self.is_present, "a session present and a refusal")
        if self.version == 5:
            self.values = read_properties(cursor, CONNACK)

    def read_publish(self, cursor):
        self.qos, self.dup, self.retain = self.flags >> 1 & 3, bool(self.flags & 8), \
            bool(self.flags & 1)
        demand(self.qos < 3, "QoS 3")
        demand(self.qos or not self.dup, "DUP with QoS 0")
        self.topic = cursor.text()
        demand(not set("+#") & set(self.topic), "a wildcard in a topic name")
        if self.qos:
            self.number = cursor.u16()
            demand(self.number, "packet identifier 0")
        if self.version == 5:
            self.values = read_properties(cursor, PUBLISH)
            demand(self.topic or "topic_alias" in self.values, "neither a topic nor an alias")
            demand(self.values.get("topic_alias") != 0, "topic alias 0")
        else:
            demand(self.topic, "no topic")
        self.payload = cursor.rest()

    def read_acknowledgement(self, cursor):
        self.number = cursor.u16()
        self.reason = 0
        if self.version == 5 and not cursor.is_done():
            self.reason = cursor.byte()
            if not cursor.is_done():
                self.values = read_properties(cursor, self.kind)
        demand(self.reason in REASONS[self.kind], f"{NAMES[self.kind]} with {self.reason:#x}")

    def read_suback(self, cursor):
        self.number = cursor.u16()
        if self.version == 5:
            self.values = read_properties(cursor, self.kind)
        self.reasons = list(cursor.rest())
        allowed = REASONS[self.kind]
        if self.version == 4:
            allowed = {0, 1, 2, 0x80} if self.kind == SUBACK else set()
        demand(set(self.reasons) <= allowed, f"{NAMES[self.kind]} with {self.reasons}")

    def read_disconnect(self, cursor):
        demand(self.version == 5, "DISCONNECT from a server of 3.1.1")
        self.reason = 0
        if not cursor.is_done():
            self.reason = cursor.byte()
            if not cursor.is_done():
                self.values = read_properties(cursor, DISCONNECT)
        demand(self.reason in REASONS[DISCONNECT], f"DISCONNECT with {self.reason:#x}")

    def read_nothing(self, cursor):
        pass

    def __repr__(self):
        shown = {name: value for name, value in vars(self).items()
                 if name not in ("kind", "version", "body") and value not in (None, {})}
        return f"<{NAMES.get(self.kind)} {shown}>"


READERS = {CONNACK: Packet.read_connack, PUBLISH: Packet.read_publish,
           PUBACK: Packet.read_acknowledgement, PUBREC: Packet.read_acknowledgement,
           PUBREL: Packet.read_acknowledgement, PUBCOMP: Packet.read_acknowledgement,
           SUBACK: Packet.read_suback, UNSUBACK: Packet.read_suback,
           PINGRESP: Packet.read_nothing, DISCONNECT: Packet.read_disconnect}
