//! From policy files to kernel rules: parse, validate, compile, explain. Pure.
#![forbid(unsafe_code)]

pub mod compiled;
