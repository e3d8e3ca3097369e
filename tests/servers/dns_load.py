"""Many DNS queries on their way at once: `dns_load.py udp|tcp HOST PORT COUNT`.

One socket, one id for each query; half of them ask for a name that there is not. Prints how many
answers came by code.
"""

import collections
import socket
import struct
import sys

IN_FLIGHT = 100
transport, host, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def query(number):
    name = b"\x04shop\x04test\x00" if number % 2 == 0 else b"\x04none\x04test\x00"
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1)


def udp():
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
    asker.settimeout(10)
    for number in range(count):
        asker.sendto(query(number), (host, port))
        # More than this and the server's buffer may run over.
        if number >= IN_FLIGHT:
            yield asker.recv(4096)
    for _ in range(min(count, IN_FLIGHT)):
        yield asker.recv(4096)


def tcp():
    asker = socket.create_connection((host, port), timeout=10)
    messages = [query(number) for number in range(count)]
    asker.sendall(b"".join(struct.pack("!H", len(message)) + message for message in messages))
    answers = asker.makefile("rb")
    for _ in range(count):
        (length,) = struct.unpack("!H", answers.read(2))
        yield answers.read(length)


codes = collections.Counter(answer[3] & 15 for answer in {"udp": udp, "tcp": tcp}[transport]())
print(" ".join(f"{code}:{number}" for code, number in sorted(codes.items())))
