//! Test hosts, real servers and a handle on the agent, for the live tests.
