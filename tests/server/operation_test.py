#!/usr/bin/env python3
"""Tests of how 'lockstep serve' is run: operation_test.py LOCKSTEP MODEL.gguf

TLS, origins, limits and attacks on them, metrics, logs, configuration, the end. Needs the packages of server_test.py,
and the program openssl.
"""

import contextlib
import functools
import socket
import ssl
import subprocess
import time

from support import Place, Server, Test, create, main, read_to_end, read_until, text_of_stream


@functools.cache
def certificate(name="server"):
    """The files of a new certificate for 127.0.0.1 and its key."""
    files = Place.path(name + ".crt"), Place.path(name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=lockstep", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


class Tls(Test):
    def server(self, *options):
        file, key = certificate()
        return Server("--cert", file, "--key", key, *options, certificate=file)

    def test_clients(self):
        with self.server() as server:
            for name, _, client in server.clients():
                with self.subTest(name), client:
                    whole = create(client, max_tokens=12).choices[0].message.content
                    self.assertEqual(whole, text_of_stream(create(client, max_tokens=12, stream=True)))
            # Requests one after another, sent before the first is answered, and an end that is told.
            with server.connect() as connection:
                connection.sendall(server.post(max_tokens=2) + b"GET /healthz HTTP/1.1\r\n\r\n" * 2 +
                                   b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
                connection.suppress_ragged_eofs = False
                read = read_to_end(connection)
                self.assertEqual(4, read.count(b"HTTP/1.1 200 OK"), read)

    def test_old_versions_and_weak_ciphers_are_refused(self):
        with self.server() as server:
            for change in ({"maximum_version": ssl.TLSVersion.TLSv1_1}, {"ciphers": "AES128-SHA"}):
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.set_ciphers(change.pop("ciphers", "ALL:@SECLEVEL=0"))
                context.maximum_version = change.pop("maximum_version", ssl.TLSVersion.TLSv1_2)
                with self.subTest(str(context)), socket.create_connection(server.place, 10) as connection:
                    with self.assertRaises(ssl.SSLError):
                        context.wrap_socket(connection)
            self.assertEqual(200, server.get("/healthz")[0])

    def test_clients_that_do_not_speak_tls(self):
        with self.server() as server:
            with socket.create_connection(server.place, 10) as plain:
                plain.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                self.assertNotIn(b"HTTP", read_to_end(plain))
            # One that never says hello is closed after the time for a header.
            with socket.create_connection(server.place, 30) as quiet:
                began = time.monotonic()
                self.assertEqual(b"", quiet.recv(1))
                self.assertLess(time.monotonic() - began, 13)

    def test_sigterm_lets_answers_end(self):
        with self.server() as server:
            stream = create(server.openai(), stream=True, max_tokens=100, extra_body={"ignore_eos": True})
            next(iter(stream))
            server.process.terminate()
            self.assertEqual("length", list(stream)[-1].choices[0].finish_reason)
            self.assertEqual(0, server.wait_for_end())

    def test_files_that_are_not_right(self):
        file, key = certificate()
        other = certificate("other")[1]
        with open(Place.path("locked.key"), "wb") as locked:
            subprocess.run(["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:secret"], check=True, stdout=locked,
                           stderr=subprocess.DEVNULL)
        for options, says in (
            (["--cert", file], "belong together"),
            (["--key", key], "belong together"),
            (["--cert", "none.crt", "--key", key], "none.crt"),
            (["--cert", file, "--key", "none.key"], "none.key"),
            (["--cert", key, "--key", key], "is no certificate in PEM"),
            (["--cert", file, "--key", file], "is no private key in PEM"),
            (["--cert", file, "--key", other], "is not the key of"),
            (["--cert", file, "--key", Place.path("locked.key")], "without a password"),
        ):
            with self.subTest(options=options):
                self.refused("serve", "-m", Place.model, "--port", 0, *options, says=says)


class Origins(Test):
    ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}

    def test_pages_of_other_origins(self):
        with Server("--cors-origin", "https://app.example", "--cors-origin", "http://localhost:3000") as server:
            def ask(method, origin, path="/v1/models", headers={}):
                status, reply, _ = server.send(method, path, None, {**({"Origin": origin} if origin else {}), **headers})
                self.assertEqual("Origin", reply["vary"])
                return status, reply

            for origin in ("https://app.example", "http://localhost:3000"):
                status, headers = ask("OPTIONS", origin, headers=self.ASKED)
                self.assertEqual((200, origin), (status, headers["access-control-allow-origin"]))
                self.assertEqual("authorization,x-stainless-os", headers["access-control-allow-headers"])
                self.assertIn("POST", headers["access-control-allow-methods"])
                for path, wanted in (("/v1/models", 200), ("/nothing", 404)):
                    status, headers = ask("GET", origin, path)
                    self.assertEqual((wanted, origin), (status, headers["access-control-allow-origin"]))
                    self.assertIn("x-ratelimit-remaining-tokens", headers["access-control-expose-headers"])
                    self.assertIn("x-request-id", headers["access-control-expose-headers"])
            for origin in ("https://app.example.evil", "http://app.example", "null", server.url, None):
                self.assertEqual(403, ask("OPTIONS", origin, headers=self.ASKED)[0])
                # The browser keeps the reply from a page that is not named; the server's own needs no leave.
                status, headers = ask("GET", origin)
                self.assertEqual((200, None), (status, headers["access-control-allow-origin"]))
            # A request that is refused before it is read says so to a page, too.
            with server.connect() as connection:
                connection.sendall(b"POST /v1/models HTTP/1.1\r\nOrigin: https://app.example\r\n"
                                   b"Content-Length: 99999999\r\n\r\n")
                reply = read_to_end(connection)
                self.assertIn(b" 413 ", reply)
                self.assertIn(b"ccess-control-allow-origin: https://app.example", reply)

    def test_all_and_none(self):
        with Server("--cors-origin", "*") as server:
            status, headers, _ = server.send("OPTIONS", "/v1/models", None, {"Origin": "null", **self.ASKED})
            self.assertEqual((200, "*"), (status, headers["access-control-allow-origin"]))
        with Server() as server:
            headers = {"Origin": "https://app.example", **self.ASKED}
            self.assertEqual(403, server.send("OPTIONS", "/v1/models", None, headers)[0])
            self.assertNotIn("access-control-allow-origin", server.send("GET", "/v1/models", None, headers)[1])
        for origin in ("app.example", "https://app.example/", "https://", "https://a b"):
            self.refused("serve", "-m", Place.model, "--port", 0, "--cors-origin", origin, says="an origin is")


if __name__ == "__main__":
    main()
