#![doc = include_str!("../README.md")]

mod access;
pub mod admin;
mod args;
mod attribution;
mod config;
mod context;
mod debug;
mod dispatch;
pub mod engine;
mod error;
mod eth;
mod hex;
mod jwt;
mod method;
mod miner;
mod net;
pub mod optimism;
mod server;
mod tasks;
mod txpool;
mod web3;
mod websocket;

pub use access::Origins;
pub use config::{Namespace, Namespaces, RpcConfig, UnknownNamespace};
pub use context::RpcContext;
pub use error::RpcError;
pub use jwt::{JwtClaims, JwtError, JwtSecret, JwtSecretError};
pub use server::{
    AuthServerConfig, HttpServerConfig, Modules, RpcServers, ServerError, ServersConfig,
    WsServerConfig,
};
