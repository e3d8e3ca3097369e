//! weir's agent: from kernel events to graph, metrics, traces and answers.
//!
//! # Layout, in the order data passes
//! - [`kernel`]: load, attach, pin, read maps and the ring buffer (the only room that knows aya)
//! - [`identity`]: who owns a process, cgroup or address
//! - [`observe`]: records → exchanges, edges, connections (pure)
//! - [`enforce`]: policy files → kernel rules (pure)
//! - [`replay`]: capture files through the same framing
//! - [`store`]: embedded history
//! - [`export`]: OTLP and Prometheus
//! - [`config`]: settings of the daemon
//! - [`daemon`]: puts the rooms together and keeps them going
//! - [`control`]: the Unix socket that answers the CLI
//! - [`cli`], [`view`]: the `weir` command and what it prints

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod enforce;
pub mod export;
pub mod identity;
pub mod kernel;
pub mod observe;
pub mod replay;
pub mod store;
pub mod view;
