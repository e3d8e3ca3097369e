//! One file per hook.

pub mod bodies;
pub mod cgroup_connect;
pub mod cgroup_post_bind;
pub mod cgroup_sendmsg;
pub mod cgroup_skb;
pub mod datagrams;
pub mod graphql;
pub mod http2;
pub mod readers;
pub mod recognise;
pub mod recv;
pub mod sched;
pub mod sockops;
