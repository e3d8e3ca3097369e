//! The Prometheus endpoint: measures → text ([`text`], pure), served on HTTP/1.1 ([`server`]).

pub mod server;
pub mod text;

pub use server::{Server, parse_listen};
pub use text::{Format, render};
