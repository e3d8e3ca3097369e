//! Values → text: tables, CSV, JSON, graph drawings. Pure: the time of printing is an argument.
#![forbid(unsafe_code)]

pub mod csv;
pub mod graph;
pub mod json;
pub mod loss;
pub mod row;
pub mod table;
pub mod unit;

#[cfg(test)]
mod fixture;
