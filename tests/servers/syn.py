"""Sends one handmade SYN and prints how it was answered: `syn.py SOURCE DESTINATION PORT`.

A SYN that no local socket's connect() stands behind, as from another host: only the callee's side
can decide on it. Prints `synack`, `rst` or `silence`.
"""

import socket
import struct
import sys
import time

source, destination, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
OWN_PORT = 40000


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn():
    fields = [OWN_PORT, port, 0x1234, 0, 5 << 12 | 0x02, 65535, 0, 0]
    header = struct.pack("!HHIIHHHH", *fields)
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    fields[6] = checksum(ends + struct.pack("!HH", socket.IPPROTO_TCP, len(header)) + header)
    return struct.pack("!HHIIHHHH", *fields)


raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
raw.bind((source, 0))
raw.sendto(syn(), (destination, 0))
end = time.monotonic() + 0.8
answer = "silence"
while answer == "silence" and (left := end - time.monotonic()) > 0:
    raw.settimeout(left)
    try:
        packet = raw.recv(65536)
    except TimeoutError:
        break
    segment = packet[(packet[0] & 15) * 4 :]
    from_port, to_port = struct.unpack("!HH", segment[:4])
    if (from_port, to_port) == (port, OWN_PORT):
        flags = segment[13]
        answer = "rst" if flags & 0x04 else "synack" if flags & 0x12 == 0x12 else answer
print(answer)
