//! Steady streams over several connections, counted by the receiver in exact windows of time.
//!
//! iperf3 has a control connection on the port of its data, which a limit would pace too, and
//! reads whole blocks; this counts every byte when it arrives.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::server::Place;

/// Running flows from one place to another.
pub struct Bulk {
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Bulk {
    /// Sends as fast as it goes over `flows` connections from `client` to `address` in `server`.
    pub fn start(client: Place, server: Place, address: SocketAddr, flows: usize) -> Self {
        let bulk = Self {
            received: Arc::default(),
            stop: Arc::default(),
        };
        let listener = server.run(|| TcpListener::bind(address).expect("listen for bulk flows"));
        for _ in 0..flows {
            let sender = client.run(|| TcpStream::connect(address).expect("connect a bulk flow"));
            let (receiver, _) = listener.accept().expect("accept a bulk flow");
            bulk.pump(sender, receiver);
        }
        bulk
    }

    fn pump(&self, mut sender: TcpStream, mut receiver: TcpStream) {
        let stop = self.stop.clone();
        // A blocked write ends with the receiver, which closes when it is told to stop.
        thread::spawn(move || {
            let block = [0x5a; 64 * 1024];
            while !stop.load(Ordering::Relaxed) && sender.write_all(&block).is_ok() {}
        });
        let (stop, received) = (self.stop.clone(), self.received.clone());
        let tick = Some(Duration::from_millis(100));
        receiver.set_read_timeout(tick).expect("set a time limit");
        thread::spawn(move || {
            let mut buffer = [0; 256 * 1024];
            while !stop.load(Ordering::Relaxed) {
                if let Ok(count) = receiver.read(&mut buffer) {
                    received.fetch_add(count as u64, Ordering::Relaxed);
                }
            }
        });
    }

    /// Mean rate over the next `window`, payload bits per second.
    pub fn measure(&self, window: Duration) -> f64 {
        let (start, before) = (Instant::now(), self.received.load(Ordering::Relaxed));
        thread::sleep(window);
        let bytes = self.received.load(Ordering::Relaxed) - before;
        bytes as f64 * 8.0 / start.elapsed().as_secs_f64()
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Receivers look every 100 ms; the next flows must not compete with these.
        thread::sleep(Duration::from_millis(150));
    }
}
