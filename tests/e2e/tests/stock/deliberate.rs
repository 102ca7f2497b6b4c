//! Where answers differ from op-geth's on purpose: the rows of `docs/rpc-differences.md`.

use serde_json::Value;

use crate::compare::Question;

/// The row that explains why `ours` is not `theirs`.
pub(crate) fn row(question: &Question, theirs: &Value, ours: &Value) -> Option<&'static str> {
    match question.method.as_str() {
        "web3_clientVersion" if theirs["result"].is_string() && ours["result"].is_string() => {
            Some("client version")
        }
        _ => None,
    }
}
