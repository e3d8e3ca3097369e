//! Sequence-addressed message walkers.
