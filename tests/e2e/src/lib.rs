#![doc = include_str!("../README.md")]

mod account;
mod anvil;
mod attribution;
mod chain;
mod config;
mod devnet;
mod driver;
mod engine;
mod folder;
mod load;
mod node;
mod payload;
mod port;
mod process;
mod program;
mod rpc;

pub use account::{Account, DEV_ACCOUNTS};
pub use anvil::Anvil;
pub use attribution::{HUB, HubBatch, artifact, hub_rates};
pub use chain::{Fork, TestChain};
pub use config::{l1_config, l2_config, op_forks};
pub use devnet::{Devnet, DevnetSetup, PATIENCE, contracts};
pub use driver::{BlockRef, Built, Driver, l1_attributes};
pub use engine::{Attributes, Engine, ForkchoiceState, PayloadStatus, UpdatedForkchoice};
pub use folder::Folder;
pub use load::Load;
pub use node::{AscribeNode, NodeOptions};
pub use payload::Payload;
pub use port::free_port;
pub use process::{Process, send_signal, wait_until};
pub use program::{ascribe_bin, find_program, find_stock, say, skip};
pub use rpc::{CallError, Rpc, RpcError, runtime, token, unix_time};
