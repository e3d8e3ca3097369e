#!/usr/bin/env bash
# Records tests/replay/captures anew: real servers, clients and tcpdump in a network namespace of
# its own. Needs root; leaves nothing behind. The tests need only its results, which are committed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
space=weir-record-$$
work=$(mktemp -d)
started=()
finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  ip netns delete "$space" 2>/dev/null || true
  ip netns delete "$space-b" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

ip netns add "$space"
ip netns add "$space-b"
enter="nsenter --net=/run/netns/$space"
inside() { $enter "$@"; }
other() { nsenter --net="/run/netns/$space-b" "$@"; }
ip link add weir-rec0 netns "$space" type veth peer name weir-rec1 netns "$space-b"
inside ip link set lo up
inside ip addr add 10.77.0.1/24 dev weir-rec0
inside ip link set weir-rec0 up
other ip addr add 10.77.0.2/24 dev weir-rec1
other ip link set weir-rec1 up

chmod 755 "$work" # nginx's worker reads it
head -c 400000 /dev/zero | tr '\0' 'z' > "$work/big"
cat > "$work/nginx.conf" <<CONF
daemon off; pid $work/nginx.pid; error_log $work/error.log;
events { worker_connections 64; }
http {
  access_log off;
  keepalive_requests 100000;
  server {
    listen 0.0.0.0:8080; listen [::]:8080;
    location = /big { alias $work/big; }
    location = /missing { return 404 "no"; }
    location = /broken { return 500 "no"; }
    location / { return 200 "hello\n"; }
  }
  server {
    listen 127.0.0.1:8082 http2;
    location = /missing { return 404 "no"; }
    location = /broken { return 500 "no"; }
    location / { return 200 "hello\n"; }
  }
}
CONF
$enter nginx -c "$work/nginx.conf" -p "$work" & started+=($!)
$enter python3 "$here/odd_server.py" 127.0.0.1 8081 & started+=($!)
sleep 1

# record FILE "tcpdump options" command…: what the command causes, in one capture; again if tcpdump
# was too slow and the kernel dropped packets
record() {
  local file=$1 options=$2; shift 2
  for _ in 1 2 3 4 5; do
    # shellcheck disable=SC2086
    $enter tcpdump -Z root -q -B 16384 -w "$here/captures/$file" $options 2> "$work/tcpdump.log" &
    local dump=$!
    for _ in $(seq 50); do grep -q listening "$work/tcpdump.log" && break; sleep 0.1; done
    "$@" > /dev/null || true
    sleep 1.5
    kill "$dump" 2>/dev/null || true
    wait "$dump" || true
    grep -q '^0 packets dropped by kernel' "$work/tcpdump.log" && return
  done
  echo "$file: packets were dropped" >&2
  exit 1
}
urls() { for path in "$@"; do printf 'http://%s%s ' "$at" "$path"; done; }

at=127.0.0.1:8080
lo="-i lo tcp port 8080 or tcp port 8081"
# shellcheck disable=SC2046
record keepalive.pcap "$lo" inside curl -s $(urls /users/7 /users/8?page=2 /missing /broken /)
record head-and-post.pcap "$lo" inside sh -c "
  curl -sI http://$at/users/7; curl -s -d name=value http://$at/users; curl -s -X DELETE http://$at/users/7;
  curl -s -X PUT --data-binary @$work/nginx.conf http://$at/config"
record ipv6.pcap "$lo" inside curl -s -g "http://[::1]:8080/six" "http://[::1]:8080/six/again"
record pipeline.pcap "$lo" inside python3 "$here/odd_client.py" 127.0.0.1 8080 pipeline
record byte-by-byte.pcap "$lo" inside python3 "$here/odd_client.py" 127.0.0.1 8080 bytes
record tunnel.pcap "$lo" inside python3 "$here/odd_client.py" 127.0.0.1 8081 tunnel
record upgrade.pcap "$lo" inside python3 "$here/odd_client.py" 127.0.0.1 8081 upgrade
record reset.pcap "$lo" inside python3 "$here/odd_client.py" 127.0.0.1 8081 reset
at=127.0.0.1:8081
# shellcheck disable=SC2046
record odd-answers.pcap "--time-stamp-precision=nano $lo" inside curl -s $(urls /chunked /empty /cached /continue /fails /slow)
record chunked-upload.pcap "$lo" inside curl -s -H "Transfer-Encoding: chunked" -H "Expect: 100-continue" --data-binary "@$work/nginx.conf" http://$at/chunked
record until-close.pcap "$lo" inside curl -s http://$at/until-close
record silent.pcap "$lo" inside curl -s http://$at/silent
at=127.0.0.1:8080
# shellcheck disable=SC2046
record cooked-v1.pcap "-i any -y LINUX_SLL tcp port 8080" inside curl -s $(urls /cooked/1 /cooked/2)
# shellcheck disable=SC2046
record cooked-v2.pcap "-i any -y LINUX_SLL2" inside curl -s $(urls /cooked/1 /cooked/2)
record wrk.pcap "-s 256 -c 260 $lo" inside wrk -t 1 -c 4 -d 1 "http://$at/load"
# Aggregates of up to 64 KiB under a snap length: bodies are passed over, heads must be there.
big() { other curl -s http://10.77.0.1:8080/big http://10.77.0.1:8080/after; }
record snaplen.pcap "-s 400 -i weir-rec0 tcp port 8080" big
record snaplen-cuts-heads.pcap "-s 200 -i weir-rec0 tcp port 8080" big
rm -f /tmp/weir-midstream
$enter python3 "$here/odd_client.py" 127.0.0.1 8080 midstream & client=$!
while [ ! -e /tmp/weir-midstream ]; do sleep 0.1; done
record midstream.pcap "$lo" wait "$client"
rm -f /tmp/weir-midstream
# HTTP/2 in the clear: nginx with nghttp and curl, grpcio with itself.
http2() {
  inside nghttp --null-out --padding=30 $(urls /users/7?page=2 /users/8 /missing /broken /)
  inside curl -s --http2-prior-knowledge -X DELETE "http://$at/users/7"
  inside h2load -n 40 -c 1 -m 20 "http://$at/many"
}
at=127.0.0.1:8082
record http2.pcap "-i lo tcp port 8082" http2
python=$here/../../target/venv/bin/python
$enter "$python" "$here/../servers/grpc_peer.py" serve 5005 & started+=($!)
sleep 1
record grpc.pcap "-i lo tcp port 5005" inside "$python" "$here/../servers/grpc_peer.py" few 5005
# TLS 1.1 to 1.3 as Python speaks it: handshakes, a resumed one, refusals of both sides.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout "$work/key.pem" -out "$work/cert.pem" \
  -subj /CN=shop.lan -addext subjectAltName=DNS:shop.lan,DNS:slow.lan 2>> "$work/openssl.log"
$enter /usr/bin/python3 "$here/../servers/tls_peer.py" serve 8443 "$work/cert.pem" "$work/key.pem" \
  & started+=($!)
sleep 1
record tls.pcap "-i lo tcp port 8443" \
  inside /usr/bin/python3 "$here/../servers/tls_peer.py" shake 8443 "$work/cert.pem"
$enter "$python" "$here/../servers/websocket_peer.py" serve 8765 & started+=($!)
sleep 1
websocket() {
  for client in websockets aiohttp; do
    inside "$python" "$here/../servers/websocket_peer.py" "$client" few 8765
  done
}
record websocket.pcap "-i lo tcp port 8765" websocket
$enter "$python" "$here/../servers/sse_peer.py" serve 8766 & started+=($!)
sleep 3
sse() {
  for client in httpx curl; do
    inside "$python" "$here/../servers/sse_peer.py" "$client" few 8766
  done
}
record sse.pcap "-i lo tcp port 8766" sse
# MariaDB, with PyMySQL and MySQL's own connector.
mariadb-install-db --no-defaults --user=root --auth-root-authentication-method=normal \
  --skip-test-db --datadir="$work/mysql" > "$work/mysql.log"
$enter mariadbd --no-defaults --user=root --datadir="$work/mysql" --socket="$work/mysql.sock" \
  --bind-address=127.0.0.1 --port=3306 --skip-name-resolve \
  --ssl-cert="$work/cert.pem" --ssl-key="$work/key.pem" \
  --pid-file="$work/mysql.pid" 2>> "$work/mysql.log" & started+=($!)
for _ in $(seq 100); do [ -e "$work/mysql.sock" ] && break; sleep 0.1; done
record mysql.pcap "-i lo tcp port 3306" \
  inside "$here/../../target/venv/bin/python" "$here/../servers/mysql_client.py" 127.0.0.1 3306 few
record mysql-tls.pcap "-i lo tcp port 3306" \
  inside "$here/../../target/venv/bin/python" "$here/../servers/mysql_client.py" 127.0.0.1 3306 tls
# PostgreSQL, with psycopg; it refuses to run as root.
bin=$(ls -d /usr/lib/postgresql/*/bin | head -1)
mkdir "$work/postgres"
chown postgres "$work/postgres"
server=(setpriv --reuid=postgres --regid=postgres --clear-groups)
install -o postgres -m 600 "$work/cert.pem" "$work/key.pem" "$work/postgres"
"${server[@]}" "$bin/initdb" --auth=trust --no-sync --username=postgres --pgdata="$work/postgres/data" \
  > "$work/postgres.log"
$enter "${server[@]}" "$bin/postgres" -D "$work/postgres/data" -h 127.0.0.1 -p 5432 \
  -k "$work/postgres" -c ssl=on -c ssl_cert_file="$work/postgres/cert.pem" \
  -c ssl_key_file="$work/postgres/key.pem" 2>> "$work/postgres.log" & started+=($!)
for _ in $(seq 100); do [ -e "$work/postgres/.s.PGSQL.5432" ] && break; sleep 0.1; done
record postgres.pcap "-i lo tcp port 5432" \
  inside "$here/../../target/venv/bin/python" "$here/../servers/postgres_client.py" 127.0.0.1 5432 few
record postgres-tls.pcap "-i lo tcp port 5432" \
  inside "$here/../../target/venv/bin/python" "$here/../servers/postgres_client.py" 127.0.0.1 5432 tls

mkdir "$work/zookeeper"
cat > "$work/zoo.cfg" <<CONF
tickTime=1000
dataDir=$work/zookeeper
clientPort=2181
clientPortAddress=127.0.0.1
admin.enableServer=false
4lw.commands.whitelist=*
CONF
$enter java -Xmx64m -cp "/usr/share/java/zookeeper.jar:/usr/share/java/*" \
  org.apache.zookeeper.server.quorum.QuorumPeerMain "$work/zoo.cfg" > "$work/zookeeper.log" & started+=($!)
sleep 5
record zookeeper.pcap "-i lo tcp port 2181" inside "$here/../../target/venv/bin/python" \
  "$here/zookeeper_client.py" 127.0.0.1:2181
$enter dnsmasq --no-daemon --conf-file=/dev/null --port=5399 --listen-address=127.0.0.1 --bind-interfaces \
  --no-resolv --no-hosts --user=root --local=/test/ --host-record=shop.test,10.9.9.9 \
  --srv-host=_db._tcp.test,db.test,5432 2> "$work/dnsmasq.log" & started+=($!)
sleep 1
record dns-tcp.pcap "-i lo tcp port 5399" inside dig @127.0.0.1 -p 5399 +tcp +keepopen \
  shop.test A shop.test AAAA _db._tcp.test SRV none.test A nobody.else A
# Service discovery: Consul with python-consul2, and a stand-in for Eureka with its real client.
$enter "$here/../../target/tools/consul" agent -dev -log-level=warn -bind=127.0.0.1 -client=127.0.0.1 \
  -http-port=8500 -dns-port=-1 -grpc-port=-1 -serf-wan-port=-1 > "$work/consul.log" & started+=($!)
$enter "$python" "$here/../servers/eureka_stub.py" 8761 > "$work/eureka.log" & started+=($!)
sleep 3
consul() {
  for scenario in few watch; do
    inside "$python" "$here/../servers/consul_client.py" "$scenario" 8500
  done
}
record consul.pcap "-i lo tcp port 8500" consul
record eureka.pcap "-i lo tcp port 8761" inside "$python" "$here/../servers/eureka_client.py" 8761
# Memcached, with its clients.
$enter memcached -u root -U 0 -l 127.0.0.1 -p 11211 & started+=($!)
sleep 1
record memcached.pcap "-i lo tcp port 11211" \
  inside "$here/../../target/venv/bin/python" "$here/../servers/memcached_client.py" 127.0.0.1 11211 few
# Redis, with redis-py: RESP2 and RESP3.
$enter redis-server --bind 127.0.0.1 --port 6379 --save '' --dir "$work" > "$work/redis.log" & started+=($!)
sleep 1
record redis.pcap "-i lo tcp port 6379" inside "$python" "$here/../servers/redis_client.py" 127.0.0.1 6379 few
# MongoDB's wire protocol, with PyMongo.
mkdir "$work/mongodb"
$enter "$here/../../target/venv/bin/secantusd-py" --host 127.0.0.1 --port 27017 \
  --storage-path "$work/mongodb" 2> "$work/mongodb.log" & started+=($!)
sleep 4
record mongodb.pcap "-i lo tcp port 27017" \
  inside "$here/../../target/venv/bin/python" "$here/../servers/mongodb_client.py" 127.0.0.1 27017 few
# GraphQL: Ariadne with requests and gql.
$enter "$python" "$here/../servers/graphql_peer.py" serve 8767 & started+=($!)
sleep 3
graphql() {
  for client in requests gql; do
    inside "$python" "$here/../servers/graphql_peer.py" "$client" few 8767
  done
}
record graphql.pcap "-i lo tcp port 8767" graphql
chmod a+r "$here"/captures/*.pcap
ls -l "$here/captures"
