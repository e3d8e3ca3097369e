"""The part of Eureka's REST API that its clients use: `eureka_stub.py PORT`.

Every request is told on standard output: `answered METHOD PATH STATUS`.
"""

import http.server
import sys
import urllib.parse

VERSION = "<versions__delta>1</versions__delta><apps__hashcode>UP_1_</apps__hashcode>"
# Clients ask for changes once they know an application.
ALL = f"<applications>{VERSION}<application><name>STOCK</name></application></applications>"
CHANGES = f"<applications>{VERSION}</applications>"
REGISTERED = set()


class Eureka(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urllib.parse.urlparse(self.path).path
        status, body = self.decide(path.strip("/").split("/"))
        body = body.encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)
        print("answered", self.command, path, status, flush=True)

    def decide(self, words):
        if words[:2] != ["eureka", "apps"]:
            return 404, ""
        match self.command, words[2:]:
            case "GET", []:
                return 200, ALL
            case "GET", ["delta"]:
                return 200, CHANGES
            case "GET", _:
                return 404, ""
            case "POST", [app]:
                REGISTERED.add(app)
                return 204, ""
            case "PUT", [app, _, *_]:
                return (200, "") if app in REGISTERED else (404, "")
            case "DELETE", [app, _]:
                REGISTERED.discard(app)
                return 200, ""
            case "DELETE", [_, _, "status"]:
                return 200, ""
            case _:
                return 405, ""

    do_GET = do_POST = do_PUT = do_DELETE = do

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Eureka).serve_forever()
