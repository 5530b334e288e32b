# SPDX-License-Identifier: Apache-2.0
"""An application that the broker asks (auth.webhook): a real HTTP server that answers as told."""
import base64
import hashlib
import hmac
import http.server
import json
import threading
import time


class Application:
    """`answer(question)` gives the answer, as (status, value) or value alone. Keeps each question,
    with its headers. While `gate` is shut, nobody is answered."""

    def __init__(self, answer=lambda question: {"allow": True}):
        self.answer = answer
        self.questions, self.headers, self.bodies = [], [], []
        self.gate = threading.Event()
        self.gate.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                question = json.loads(body)
                outer.bodies.append(body)
                outer.headers.append(dict(self.headers))
                outer.questions.append(question)
                outer.gate.wait(60)
                answered = outer.answer(question)
                status, value = answered if isinstance(answered, tuple) else (200, answered)
                text = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                try:
                    self.wfile.write(text)
                except OSError:
                    pass  # it did not wait

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/ask"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def asked(self, action):
        return [question for question in self.questions if question["action"] == action]

    def is_signed(self, index, secret):
        """Does the question say that it is from somebody who has the secret, and is it new?"""
        fields = {name.lower(): value for name, value in self.headers[index].items()}
        signed = f"{fields['webhook-id']}.{fields['webhook-timestamp']}.".encode()
        wanted = hmac.new(secret, signed + self.bodies[index], hashlib.sha256).digest()
        is_new = abs(time.time() - int(fields["webhook-timestamp"])) < 60
        return is_new and fields["webhook-signature"] == "v1," + base64.b64encode(wanted).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()
