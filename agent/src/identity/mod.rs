//! Who owns a process, cgroup or address.

pub mod cgroup;
pub mod cgroupfs;
pub mod container;
pub mod interfaces;
pub mod listeners;
pub mod naming;
pub mod netlink;
pub mod netns;
pub mod procfs;
pub mod program;
pub mod registry;
pub mod resolved;
pub mod rules;
pub mod sockdiag;
pub mod sockets;
