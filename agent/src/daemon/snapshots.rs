//! The exact lane, each second: snapshot → graph, and how the programs are steered.

use std::sync::atomic::Ordering;

use weir_common::{
    event::Control,
    flow::{EdgeKey, EdgeValue, Party},
};

use super::{Daemon, Facts, budget, locked};
use crate::{
    identity::registry::Hint,
    observe::{clock::Clock, snapshot::KernelSnapshot},
};

/// Ring-buffer bytes that may wait before the reader is woken; it looks by itself several times a
/// second, so nobody waits long for few records.
const WAKEUP_BYTES: u64 = 256 * 1024;

impl Daemon {
    /// Reads the kernel's maps and takes in what was added. Call it about once a second.
    pub fn tick_snapshot(&self) {
        let snapshot = match self.kernel.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.trouble(&self.troubles.snapshots, "the maps cannot be read", &error);
                return;
            }
        };
        self.name_parties(&snapshot);
        self.take(&snapshot);
        self.forget(snapshot.monotonic_ns);
        self.steer();
        *locked(&self.facts) = Facts {
            rules: snapshot.rules,
            map_fill: snapshot.map_fill,
            program_stats: snapshot.program_stats,
        };
    }

    /// Reads the processes that edges know by number only, before the graph asks for them.
    fn name_parties(&self, snapshot: &KernelSnapshot) {
        for (key, value) in &snapshot.edges {
            for (party, hint) in parties(key, value) {
                if party.workload == 0 && party.tgid != 0 {
                    self.resolve(party.tgid, &hint, snapshot.monotonic_ns);
                }
            }
        }
    }

    fn take(&self, snapshot: &KernelSnapshot) {
        let mut lane = locked(&self.lane);
        let lane = &mut *lane;
        lane.clock = Clock::new(snapshot.unix_ns, snapshot.monotonic_ns);
        let mut graph = self.graph_mut();
        graph.apply(snapshot, &self.registry, &mut lane.operations);
        lane.learn_ends(
            &graph,
            crate::observe::parties::Names::generation(&self.registry),
        );
    }

    fn forget(&self, now_ns: u64) {
        let forgettable = self.graph().forgettable(now_ns);
        for key in forgettable {
            if let Err(error) = self.kernel.forget_edge(&key) {
                self.trouble(&self.troubles.writes, "an edge cannot be forgotten", &error);
                return;
            }
        }
    }

    /// Tells the programs how much detail is wanted, and whether there are rules to ask. Called
    /// each second, and at once when a subscriber or a rule comes or goes.
    pub(super) fn steer(&self) {
        let _steering = locked(&self.steering);
        let tapped = self.channels.taps.receiver_count() > 0;
        let draw = {
            let graph = self.graph();
            budget::draw(
                self.detail_per_second,
                graph.rate(),
                graph.latest_durations(),
                tapped,
            )
        };
        let drawn = (draw.probability * 4_294_967_296.0) as u64;
        self.drawn.store(drawn, Ordering::Relaxed);
        let active = self.policies.active();
        let control = Control {
            policy_active: u32::from(active.access),
            bandwidth_active: u32::from(active.bandwidth),
            limits_active: u32::from(active.connections),
            skip_threshold: draw.skip_threshold,
            records_per_epoch: draw.records_per_epoch,
            slow_ns: draw.slow_ns,
            wakeup_bytes: WAKEUP_BYTES,
            ..Control::initial()
        };
        if let Err(error) = self.kernel.set_control(&control) {
            self.trouble(
                &self.troubles.writes,
                "the programs cannot be steered",
                &error,
            );
        }
    }
}

/// Both parties of an edge with what was first seen of them.
fn parties<'a>(key: &'a EdgeKey, value: &EdgeValue) -> [(&'a Party, Hint); 2] {
    let hint = |comm, cgroup_id| Hint { comm, cgroup_id };
    [
        (&key.client, hint(value.client_comm, value.client_cgroup)),
        (&key.server, hint(value.server_comm, value.server_cgroup)),
    ]
}
