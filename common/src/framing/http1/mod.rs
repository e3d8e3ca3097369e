//! HTTP/1.x framing (RFC 9112): keep-alive, pipelining, lengths, chunks, upgrades.

mod begin;
pub mod events;
pub mod graphql;
mod messages;
mod recognise;
mod scan;
#[cfg(test)]
mod tests;

pub use begin::{advance, begin};
pub use events::events;
pub use graphql::graphql;
pub use messages::conclude;
pub use recognise::recognise;
pub use scan::{found, scan};

pub use super::{
    conversation::{Conversation, Finished, HEAD_WORDS, MAX_PENDING, Pending, step},
    operation::{MAX_TARGET_BYTES, normalise, op_hash},
};

/// Request methods, as `u8`.
pub mod method {
    /// Not a method.
    pub const NONE: u8 = 0;
    /// GET
    pub const GET: u8 = 1;
    /// HEAD
    pub const HEAD: u8 = 2;
    /// POST
    pub const POST: u8 = 3;
    /// PUT
    pub const PUT: u8 = 4;
    /// DELETE
    pub const DELETE: u8 = 5;
    /// CONNECT
    pub const CONNECT: u8 = 6;
    /// OPTIONS
    pub const OPTIONS: u8 = 7;
    /// TRACE
    pub const TRACE: u8 = 8;
    /// PATCH
    pub const PATCH: u8 = 9;
    /// Any other token; OpenTelemetry calls it `_OTHER`.
    pub const OTHER: u8 = 10;

    /// Name of a method code.
    pub fn name(code: u8) -> &'static str {
        match code {
            GET => "GET",
            HEAD => "HEAD",
            POST => "POST",
            PUT => "PUT",
            DELETE => "DELETE",
            CONNECT => "CONNECT",
            OPTIONS => "OPTIONS",
            TRACE => "TRACE",
            PATCH => "PATCH",
            _ => "_OTHER",
        }
    }
}
