#![doc = include_str!("../README.md")]

pub mod args;
pub mod config_file;
pub mod database;
mod duration;
pub mod launch;
pub mod logging;
mod monitor;
mod progress;
pub mod rollup;
mod settings;
