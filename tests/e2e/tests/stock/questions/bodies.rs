//! Bodies that are no plain call.

/// What is posted to both as it is.
pub(crate) fn bodies() -> Vec<String> {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
    let mut bodies: Vec<String> = [
        "",
        " ",
        "null",
        "1",
        "\"eth_chainId\"",
        "{}",
        "[]",
        "[1]",
        "[[]]",
        "[{}]",
        "{",
        "[",
        "nonsense",
        r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":""}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#,
        r#"{"id":1,"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"eth_chainId","params":null}"#,
        r#"{"jsonrpc":"2.0","id":-1,"method":"eth_chainId","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"eth_chainId","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":[],"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","more":1}"#,
    ]
    .map(str::to_owned)
    .to_vec();
    bodies.push(call.to_owned());
    bodies.push(format!("[{call}]"));
    bodies.push(format!("[{call},{call}]"));
    bodies.push(format!("[{call},1,{{}},{call}]"));
    bodies.push(format!("{call}{call}"));
    bodies.push(format!("{call} trailing"));
    bodies.push(format!("[{}]", vec![call; 1001].join(",")));
    bodies
}
