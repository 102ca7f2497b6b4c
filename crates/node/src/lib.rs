#![doc = include_str!("../README.md")]

pub mod args;
pub mod config_file;
pub mod database;
pub mod launch;
pub mod logging;
mod monitor;
mod progress;
mod settings;
