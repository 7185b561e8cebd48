//! The command line as a person meets it: what it prints, writes and returns.

mod bad_input;
mod commands;
mod models;
mod pictures;
mod support;
