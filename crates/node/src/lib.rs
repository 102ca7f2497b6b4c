#![doc = include_str!("../README.md")]

pub mod args;
pub mod config_file;
pub mod database;
pub mod devnet;
mod duration;
pub mod genesis;
pub mod launch;
pub mod logging;
mod monitor;
mod progress;
pub mod rollup;
mod settings;
