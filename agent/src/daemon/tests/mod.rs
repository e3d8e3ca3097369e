//! The daemon over a kernel that is not there: synthetic snapshots and records, real sockets.

mod answers;
mod fakes;
mod life;
mod records;
mod unwatched;
