//! `debug_`: traces, raw blocks, witnesses, and looks into state.

mod authorizations;
mod call;
mod options;
mod raw;
mod replay;
mod stack;
mod state;
mod trace;
mod tracer;
mod witness;

use crate::method::Registry;
use options::TraceOptions;

/// Adds the namespace.
pub(crate) fn register(registry: &mut Registry) {
    raw::register(registry);
    trace::register(registry);
    witness::register(registry);
    state::register(registry);
    registry.light("debug_chainConfig", |context, ()| Ok(context.spec.genesis().config.clone()));
}
