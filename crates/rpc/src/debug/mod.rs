//! `debug_`: traces, raw blocks, witnesses, and looks into state.

mod authorizations;
mod call;
mod halt;
mod options;
mod raw;
mod replay;
mod stack;
mod state;
mod trace;
mod tracer;
mod witness;

use alloy_primitives::Address;
use serde_json::{Value, json};

use crate::{RpcError, method::Registry};
use options::TraceOptions;

pub(crate) use halt::why_halted;

/// Adds the namespace.
pub(crate) fn register(registry: &mut Registry) {
    raw::register(registry);
    trace::register(registry);
    witness::register(registry);
    state::register(registry);
    registry.light("debug_chainConfig", |context, ()| {
        let config = serde_json::to_value(&context.spec.genesis().config)
            .map_err(|error| RpcError::internal(error.to_string()))?;
        Ok(as_geth_writes(config))
    });
}

/// geth leaves out what is false, and always has an address for the deposit contract.
fn as_geth_writes(mut config: Value) -> Value {
    if let Some(fields) = config.as_object_mut() {
        fields.retain(|_, value| *value != Value::Bool(false));
        fields.entry("depositContractAddress").or_insert_with(|| json!(Address::ZERO));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_configs_are_as_geth_writes_them() {
        let config = json!({"chainId": 1, "daoForkSupport": false, "bedrockBlock": 0});
        assert_eq!(
            as_geth_writes(config),
            json!({"chainId": 1, "bedrockBlock": 0, "depositContractAddress": Address::ZERO})
        );
    }
}
