#![doc = include_str!("../README.md")]

pub mod admin;
mod args;
mod config;
mod context;
pub mod debug;
pub mod engine;
mod error;
pub mod eth;
mod http;
mod jwt;
mod method;
pub mod miner;
mod net;
pub mod optimism;
mod server;
mod tasks;
mod txpool;
mod web3;

pub use config::{Namespace, Namespaces, RpcConfig, UnknownNamespace};
pub use context::RpcContext;
pub use error::RpcError;
pub use jwt::{JwtClaims, JwtError, JwtSecret, JwtSecretError};
pub use server::{
    AuthServerConfig, HttpServerConfig, Origins, RpcServers, ServerError, ServersConfig,
    WsServerConfig,
};
