"""Sends one handmade DNS query and prints whether it was answered: `raw_query.py SOURCE SERVER PORT`.

A datagram that no local socket's sendmsg() stands behind, as from another host: only the callee's
side can decide on it. Prints `answer` or `silence`.
"""

import socket
import struct
import sys
import time

source, server, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
OWN_PORT = 40001

query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + b"\x04shop\x04test\x00" + struct.pack("!2H", 1, 1)
# Over IPv4 a checksum of 0 says that there is none.
datagram = struct.pack("!4H", OWN_PORT, port, 8 + len(query), 0) + query

raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
raw.bind((source, 0))
raw.sendto(datagram, (server, 0))
end = time.monotonic() + 0.8
answer = "silence"
while answer == "silence" and (left := end - time.monotonic()) > 0:
    raw.settimeout(left)
    try:
        packet = raw.recv(65536)
    except TimeoutError:
        break
    segment = packet[(packet[0] & 15) * 4 :]
    if struct.unpack("!HH", segment[:4]) == (port, OWN_PORT):
        answer = "answer"
print(answer)
