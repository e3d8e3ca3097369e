//! A small sign for each kind of workload.

use crate::observe::model::WorkloadKind;

/// Lines in a box of 16 × 16 px.
pub const fn path(kind: WorkloadKind) -> &'static str {
    match kind {
        // A cog.
        WorkloadKind::Unit => {
            "M8 5.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 1 0 0-5.6M8 1.6v2M8 12.4v2M1.6 8h2M12.4 8h2\
             M3.5 3.5l1.4 1.4M11.1 11.1l1.4 1.4M3.5 12.5l1.4-1.4M11.1 4.9l1.4-1.4"
        }
        // A box with ribs.
        WorkloadKind::Container => "M1.8 4h12.4v8H1.8zM5 6.3v3.4M8 6.3v3.4M11 6.3v3.4",
        // A hexagon.
        WorkloadKind::Pod => {
            "M8 1.5l5.8 3.2v6.6L8 14.5l-5.8-3.2V4.7zM8 8l5.6-3.2M8 8L2.4 4.8M8 8v6.3"
        }
        // A prompt.
        WorkloadKind::Process => "M2 3h12v10H2zM4.6 6.2l2 1.8-2 1.8M8.4 10h2.8",
        // A globe.
        WorkloadKind::Remote => {
            "M8 1.8a6.2 6.2 0 1 0 0 12.4a6.2 6.2 0 1 0 0-12.4M1.8 8h12.4\
             M8 1.8c-4 4-4 8.400 0 12.400c4-4 4-8.400 0-12.400"
        }
        // A question.
        WorkloadKind::Unknown => {
            "M5.4 5.6a2.6 2.6 0 1 1 3.700 2.400c-.8.4-1.1.8-1.1 1.800M8 12.600v.1"
        }
    }
}
