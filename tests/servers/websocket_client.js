// A client of websocket_peer.py: `node --experimental-websocket websocket_client.js PORT`. Prints a
// line for each connection, as the clients in Python do.
const port = process.argv[2];

function connect(path, messages, code) {
  return new Promise((resolve) => {
    const began = process.hrtime.bigint();
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    let started, sent = 0, received = 0;
    const send = () => {
      if (sent < messages) socket.send(`message ${sent++}`);
      else if (code) socket.close(code, 'done');
    };
    socket.onopen = () => { started = process.hrtime.bigint(); send(); };
    socket.onmessage = () => { received++; if (code) send(); };
    socket.onclose = (event) => {
      const now = process.hrtime.bigint();
      const times = [now - started, now - began].map(String);
      console.log(path, event.code, sent, received, ...times);
      resolve();
    };
  });
}

(async () => {
  await connect('/chat', 12, 1000);
  await connect('/rooms/9', 3, 3333);
  await connect('/news', 0, 0);
  await connect('/refuses', 1, 0);
  await connect('/broken', 0, 0);
})();
