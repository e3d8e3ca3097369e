//! The Unix socket that answers the CLI: JSON lines, one question a line.
//!
//! A client writes a [`wire::Request`]; the server answers with a [`wire::Head`] and as many item
//! lines as the head says, or with an error line. A follow stream has no item count: it goes on
//! until the client closes its sending half.

pub mod api;
pub mod bind;
pub mod client;
mod dispatch;
mod follow;
mod matching;
mod peer;
pub mod server;
mod session;
pub mod wire;

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;
