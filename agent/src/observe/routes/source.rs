//! Who says what a route is.

use serde::{Deserialize, Serialize};

/// Where the path in an operation's name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteSource {
    /// `[[routes]]` of the configuration.
    Config,
    /// weir knows the API: Consul, Eureka.
    KnownApi,
    /// A prefix had more different segments below it than an API has words.
    Learned,
    /// Segments with digits, and long ones, are `*`.
    Heuristic,
}

impl RouteSource {
    /// As JSON and attributes show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::KnownApi => "known-api",
            Self::Learned => "learned",
            Self::Heuristic => "heuristic",
        }
    }

    /// True if the path is a route that somebody has written down, not one that weir guessed.
    pub const fn is_certain(self) -> bool {
        matches!(self, Self::Config | Self::KnownApi)
    }
}
