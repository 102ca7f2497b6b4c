//! The database against a model of it: random histories, kills, damage.

#![allow(clippy::unwrap_used, missing_docs)]

mod chain;
mod cost;
mod crash;
mod damage;
mod histories;
mod open;
