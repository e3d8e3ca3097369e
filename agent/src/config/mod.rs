//! Settings of the daemon: `/etc/weir/weir.toml`, `conf.d/*.toml` beside it, then flags.
//!
//! Files are overlaid in name order; what a later one sets wins, `[[service]]`, `[[name]]`,
//! `[[routes]]` and `[[ports]]` rules add up. An unknown key, a wrong type or a value out of range is an error that names
//! file, line, key and remedy.
#![forbid(unsafe_code)]

mod error;
mod file;
mod load;
mod ports;
mod settings;

pub use error::ConfigError;
pub use file::{NameRule, OtlpProtocol, ServiceRule};
pub use load::{Loaded, load};
pub use ports::PortProtocol;
pub use settings::{Config, DEFAULT_FILE, DEFAULT_SOCKET, Otlp, Overrides, Source};
