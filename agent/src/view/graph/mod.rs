//! The dependency graph, drawn: text, DOT, Mermaid, SVG.

pub mod dot;
mod layout;
pub mod mermaid;
mod model;
pub mod svg;
pub mod text;

#[cfg(test)]
mod tests;

pub use model::{Graph, Heat, Link, Node};
