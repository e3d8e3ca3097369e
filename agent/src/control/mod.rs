//! The Unix socket that answers the CLI.

pub mod api;
