//! From policy files to kernel rules: parse, validate, compile, explain. Pure.
//!
//! # Layout, in the order data passes
//! - [`yaml`], [`fields`]: text → nodes that know their line → fields, with refusals collected
//! - [`cidr`], [`rate`], [`policy`]: the values that a policy is made of
//! - [`parse`], [`parse_spec`], [`parse_limits`], [`parse_selector`]: nodes → policies, or refusals
//! - [`resolve`]: selectors → the keys that the kernel knows callers and callees by
//! - [`claims`], [`compile`]: policies → what they ask of each key → [`compiled::CompiledRules`]
//! - [`diff`]: old and new rules → map updates in an order that no flow can notice
//! - [`explain`], [`reasons`]: a question → the decision, why, and what the caller would see
//! - [`emit`]: policies → YAML
//! - [`engine`]: the loaded set: load, apply, delete, list
#![forbid(unsafe_code)]

pub mod cidr;
pub mod claims;
pub mod compile;
pub mod compiled;
pub mod diff;
pub mod emit;
pub mod engine;
pub mod explain;
pub mod fields;
pub mod parse;
pub mod parse_limits;
pub mod parse_selector;
pub mod parse_spec;
pub mod policy;
pub mod rate;
pub mod reasons;
pub mod resolve;
pub mod yaml;

#[cfg(test)]
mod tests;
