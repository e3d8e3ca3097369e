"""Clients of PostgreSQL: `postgres_client.py HOST PORT SCENARIO [FILE]`.

Prints a line for each request: its operation, the SQLSTATE of its error or `-`, nanoseconds
that it took.
"""

import pathlib
import sys
import threading
import time

import psycopg


class Client:
    """One connection, and what was done over it."""

    def __init__(self, host, port, **options):
        self.deeds = []
        started = time.monotonic_ns()
        self.connection = psycopg.connect(
            host=host, port=port, user="postgres", dbname="postgres", autocommit=True, **options
        )
        self.told("CONNECT", started)

    def told(self, operation, started, error="-"):
        self.deeds.append(f"{operation} {error} {time.monotonic_ns() - started}")

    def run(self, operation, text, parameters=None, **options):
        started = time.monotonic_ns()
        error = "-"
        try:
            cursor = self.connection.execute(text, parameters, **options)
            if cursor.description:
                cursor.fetchall()
        except psycopg.Error as failure:
            error = failure.sqlstate
        self.told(operation, started, error)


def commands(client):
    client.run("DROP TABLE orders", "DROP TABLE IF EXISTS orders")
    client.run("CREATE TABLE orders", "CREATE TABLE orders (id int PRIMARY KEY, name text)")
    for number in range(20):
        client.run("INSERT orders", f"INSERT INTO orders VALUES ({number}, 'name')")
    for number in range(20):
        client.run("SELECT orders", "SELECT name FROM orders WHERE id = %s", (number,), prepare=False)
    client.run("SELECT orders", "/* secret */ SELECT count(*) FROM \"orders\" WHERE name = 'x'")
    client.run("UPDATE orders", "UPDATE orders SET name = %s", ("y" * 100_000,), prepare=False)
    client.run("SELECT orders", "SELECT * FROM orders")
    for _ in range(3):
        client.run("SELECT pg_sleep", "SELECT * FROM pg_sleep(0.3)")
    client.run("SELECT generate_series", "SELECT * FROM generate_series(1, 100000)")
    client.run("BEGIN", "BEGIN")
    client.run("DELETE orders", "DELETE FROM orders WHERE id > 10")
    client.run("ROLLBACK", "ROLLBACK")
    client.run("DO", "DO $$ BEGIN PERFORM 1; RAISE NOTICE 'told'; END $$")


def errors(client):
    client.run("SELECT orders", "SELECT nope FROM orders")
    client.run("SELEKT", "SELEKT 1")
    client.run("INSERT orders", "INSERT INTO orders VALUES (%s, 'again')", (1,), prepare=False)
    client.run("SELECT missing", "SELECT * FROM missing WHERE id = %s", (1,), prepare=False)
    client.run("SELECT", "SELECT 1 / 0")


def copies(client):
    started = time.monotonic_ns()
    with client.connection.cursor() as cursor:
        with cursor.copy("COPY orders FROM STDIN") as copy:
            for number in range(1000, 6000):
                copy.write_row((number, "copied"))
    client.told("COPY orders", started)
    started = time.monotonic_ns()
    with client.connection.cursor() as cursor:
        with cursor.copy("COPY orders TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) > 5000
    client.told("COPY orders", started)


def prepared(client):
    """A statement that the server prepares at its first run."""
    text = "SELECT name FROM orders WHERE id = %s"
    for number in range(30):
        if number == 0:
            client.told("PREPARE SELECT orders", time.monotonic_ns())
        client.run("SELECT orders", text, (number,), prepare=True)


def pipeline(client):
    """Requests that do not wait for each other, and some behind one that fails."""
    libpq = client.connection.pgconn
    libpq.enter_pipeline_mode()
    for number in range(12):
        client.told("SELECT orders", time.monotonic_ns())
        libpq.send_query_params(b"SELECT name FROM orders WHERE id = $1", [b"%d" % number])
    libpq.pipeline_sync()
    assert answers(libpq) == ["TUPLES_OK"] * 12
    for error in ["-", "-", "42883", "pipeline_aborted", "pipeline_aborted"]:
        client.told("SELECT", time.monotonic_ns(), error)
        text = b"SELECT missing($1)" if error == "42883" else b"SELECT $1::int"
        libpq.send_query_params(text, [b"1"])
    libpq.pipeline_sync()
    assert answers(libpq) == ["TUPLES_OK"] * 2 + ["FATAL_ERROR"] + ["PIPELINE_ABORTED"] * 2
    libpq.exit_pipeline_mode()


def answers(libpq):
    """How each request of a pipeline ended."""
    found = []
    while True:
        result = libpq.get_result()
        if result is None:
            continue
        status = psycopg.pq.ExecStatus(result.status)
        if status == psycopg.pq.ExecStatus.PIPELINE_SYNC:
            return found
        found.append(status.name)


def cancel(client):
    timer = threading.Timer(0.3, client.connection.cancel)
    timer.start()
    client.run("SELECT", "SELECT pg_sleep(20)")
    timer.join()


def few(client):
    """What a capture shows."""
    client.run("DROP TABLE orders", "DROP TABLE IF EXISTS orders")
    client.run("CREATE TABLE orders", "CREATE TABLE orders (id int PRIMARY KEY, name text)")
    for number in range(3):
        client.run("INSERT orders", "INSERT INTO orders VALUES (%s, 'x')", (number,), prepare=False)
    errors(client)
    prepared_few(client)
    pipeline(client)


def prepared_few(client):
    text = "SELECT name FROM orders WHERE id = %s"
    for number in range(3):
        if number == 0:
            client.told("PREPARE SELECT orders", time.monotonic_ns())
        client.run("SELECT orders", text, (number,), prepare=True)


def late(client, file):
    """Requests from before the observer, and, once a file is there, from after."""
    client.run("SELECT orders", "SELECT name FROM orders WHERE id = %s", (0,), prepare=True)
    count = len(client.deeds)
    pathlib.Path(file).with_suffix(".ready").touch()
    while not pathlib.Path(file).exists():
        time.sleep(0.05)
    for number in range(10):
        client.run("_PREPARED", "SELECT name FROM orders WHERE id = %s", (number,), prepare=True)
    for number in range(10):
        client.run("SELECT orders", f"SELECT * FROM orders WHERE id = {number}")
    client.run("SELECT missing", "SELECT * FROM missing")
    for number in range(10):
        client.run("UPDATE orders", "UPDATE orders SET name = %s", ("z",), prepare=False)
    del client.deeds[:count]


def tls(host, port):
    """Encrypted connections, told as `tls_peer.py` does; the last client does not trust the server."""
    trusting = {"sslmode": "require"}
    others = {"sslmode": "verify-full", "sslrootcert": "/etc/ssl/certs/ca-certificates.crt"}
    for version, trust in [("TLSv1.3", trusting), ("TLSv1.2", trusting), ("TLSv1.3", others)]:
        started = time.monotonic_ns()
        what, error = "- -", "0"
        try:
            with psycopg.connect(
                host="localhost", hostaddr=host, port=port, user="postgres", dbname="postgres",
                ssl_min_protocol_version=version, ssl_max_protocol_version=version, **trust,
            ) as connection:
                found = connection.execute(
                    "SELECT version || ' ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                )
                what = found.fetchone()[0].replace(*OLD_SUITE)
        except psycopg.OperationalError as failure:
            assert "certificate verify failed" in str(failure), failure
            error = "CERTIFICATE_VERIFY_FAILED"
        print(what, "localhost", error, time.monotonic_ns() - started)


# As OpenSSL and as IANA's registry call it.
OLD_SUITE = "ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"


def main():
    host, port, scenario = sys.argv[1:4]
    if scenario == "tls":
        return tls(host, port)
    client = Client(host, int(port), sslmode="disable")
    globals()[scenario](client, *sys.argv[4:])
    client.connection.close()
    print("\n".join(client.deeds))


main()
