//! What nobody should send or start with, and what is said about it. After each the node is up, or has
//! ended with a clear message.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rpc_types_engine::JwtSecret;
use ascribe_e2e::{
    Account, AscribeNode, CallError, Driver, Fork, NodeOptions, Rpc, TestChain, token, unix_time,
    wait_until,
};
use serde_json::{Value, json};

fn start() -> (TestChain, AscribeNode) {
    let chain = TestChain::new(Fork::Karst);
    let node = NodeOptions::new(&chain).start();
    (chain, node)
}

#[test]
fn transactions_that_the_pool_refuses() {
    let (chain, mut node) = start();
    let mut driver = Driver::new(&node);
    let account = Account::dev(0, chain.chain_id);
    let friend = TxKind::Call(Address::with_last_byte(7));
    let tx = account.transaction(friend, U256::from(1), Bytes::new(), 21_000);
    let send = |raw: Bytes| node.rpc.try_call::<B256>("eth_sendRawTransaction", json!([raw]));
    let good = account.sign(tx.clone());
    let cut = good.slice(..good.len() - 1);
    let longer: Bytes = [&good[..], &[0]].concat().into();
    let mut other_sender = good.to_vec();
    let end = other_sender.len();
    other_sender[end - 1] ^= 1;
    let mut bad_v = good.to_vec();
    // …, y parity, 0xa0, r, 0xa0, s
    bad_v[end - 67] = 0x05;

    let wei = |ether: u64| U256::from(ether) * U256::from(10).pow(U256::from(18));
    let huge = vec![0; 200_000];
    let cases: [(&str, Bytes, &str); 21] = [
        ("nothing", Bytes::new(), "typed transaction too short"),
        ("one byte", Bytes::from_static(&[2]), "typed transaction too short"),
        ("no list", Bytes::from_static(&[2, 0x80]), "rlp"),
        ("an empty list", Bytes::from_static(&[2, 0xc0]), "rlp"),
        ("a list longer than it is", Bytes::from_static(&[2, 0xfb, 0xff, 0xff, 0xff, 0xff]), "rlp"),
        ("a cut transaction", cut, "rlp"),
        ("a byte too many", longer, "rlp"),
        ("an unknown type", Bytes::from_static(&[0x50, 0xc0]), "transaction type not supported"),
        (
            "a deposit",
            ascribe_e2e::l1_attributes(1),
            "transaction type not supported: received type 126",
        ),
        ("a wrong parity", bad_v.into(), ""),
        ("a sender without ether", other_sender.into(), "insufficient funds"),
        (
            "a foreign chain id",
            account.sign(TxEip1559 { chain_id: 1, ..tx.clone() }),
            "invalid chain id for signer: have 1 want 901",
        ),
        (
            "too little gas",
            account.sign(TxEip1559 { gas_limit: 20_999, ..tx.clone() }),
            "intrinsic gas too low: gas 20999, minimum needed 21000",
        ),
        (
            "too much gas",
            account.sign(TxEip1559 {
                gas_limit: 70_000_000,
                max_fee_per_gas: 2_000_000_000,
                ..tx.clone()
            }),
            "gas limit",
        ),
        (
            "gas above EIP-7825",
            account.sign(TxEip1559 {
                gas_limit: 16_777_217,
                max_fee_per_gas: 2_000_000_000,
                ..tx.clone()
            }),
            "gas limit too high (cap: 16777216, tx: 16777217)",
        ),
        (
            "a tip above the fee",
            account.sign(TxEip1559 { max_priority_fee_per_gas: 200_000_000_000, ..tx.clone() }),
            "max priority fee per gas higher than max fee per gas",
        ),
        (
            "no tip",
            account.sign(TxEip1559 { max_priority_fee_per_gas: 0, ..tx.clone() }),
            "gas tip cap 0, minimum needed 1",
        ),
        (
            "more than there is",
            account.sign(TxEip1559 { value: wei(20_000), ..tx.clone() }),
            "insufficient funds for gas * price + value",
        ),
        (
            "more than 2^256",
            account.sign(TxEip1559 { value: U256::MAX, ..tx.clone() }),
            "insufficient funds",
        ),
        (
            "a fee above one ether",
            account.sign(TxEip1559 { max_fee_per_gas: 100_000_000_000_000, ..tx.clone() }),
            "exceeds the configured cap (1.00 ether)",
        ),
        (
            "a large transaction",
            account.sign(TxEip1559 { input: huge.into(), gas_limit: 9_000_000, ..tx.clone() }),
            "oversized data",
        ),
    ];
    for (what, raw, says) in cases {
        let refused = send(raw).expect_err(what).into_rpc();
        assert_eq!(refused.code, -32000, "{what}: {refused}");
        assert!(refused.message.contains(says), "{what}: {refused}");
    }
    for (params, what) in [
        (json!([]), "nothing"),
        (json!([7]), "a number"),
        (json!(["02"]), "no prefix"),
        (json!(["0x2"]), "half a byte"),
        (json!(["0xzz"]), "no hexadecimal"),
        (json!({"raw": "0x02"}), "an object"),
    ] {
        let refused = node.rpc.refused("eth_sendRawTransaction", params);
        assert_eq!(refused.code, -32602, "{what}: {refused}");
    }

    // Twice, underpriced, in the past, and ahead of its time.
    send(good.clone()).expect("a good one");
    let again = send(good).expect_err("twice").into_rpc();
    assert_eq!((again.code, again.message.as_str()), (-32000, "already known"));
    let cheap = TxEip1559 { value: U256::from(2), ..tx.clone() };
    let refused = send(account.sign(cheap)).expect_err("no bump").into_rpc();
    assert_eq!(refused.message, "replacement transaction underpriced");
    let ahead = account.sign(TxEip1559 { nonce: 5, ..tx.clone() });
    send(ahead).expect("a gap waits");
    let status: Value = node.rpc.call("txpool_status", json!([]));
    assert_eq!(status, json!({"pending": "0x1", "queued": "0x1"}));
    // The gap stays out of blocks.
    let built = driver.extend_from_pool().expect("a block");
    assert_eq!(built.payload.transactions.len(), 2);
    wait_until("the pool to follow", Duration::from_secs(5), || {
        let status: Value = node.rpc.call("txpool_status", json!([]));
        (status == json!({"pending": "0x0", "queued": "0x1"})).then_some(())
    });
    let old = account.sign(TxEip1559 { value: U256::from(3), ..tx });
    let refused = send(old).expect_err("the past").into_rpc();
    assert!(refused.message.starts_with("nonce too low"), "{refused}");
    let pending: U256 =
        node.rpc.call("eth_getTransactionCount", json!([account.address(), "pending"]));
    assert_eq!(pending, U256::from(1));
    node.assert_alive();
}

#[test]
fn requests_that_are_no_requests() {
    let (_chain, mut node) = start();
    let rpc = &node.rpc;
    let error = |body: &str| -> Value {
        let (_, text) = rpc.post(body.to_owned(), &[]).expect("an answer");
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        answer["error"]["code"].clone()
    };
    let deep_list = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_params =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":{deep_list}}}"#);
    for (body, code, what) in [
        ("{", -32700, "half an object"),
        ("nonsense", -32700, "no JSON"),
        ("{}", -32600, "an empty object"),
        ("[]", -32600, "an empty batch"),
        ("7", -32600, "a number"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#, -32600, "another version"),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600, "no method"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}"#, -32600, "an object as id"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_nothing"}"#, -32601, "no such method"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":7}"#,
            -32602,
            "a number as parameters",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":[]}"#,
            -32602,
            "no parameters",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x12","latest"]}"#,
            -32602,
            "a short address",
        ),
    ] {
        assert_eq!(error(body), json!(code), "{what}");
    }
    // Deep nesting is refused or cut off, and takes nobody's stack.
    for body in [deep_list, deep_params] {
        let (status, text) = rpc.post(body, &[]).expect("an answer");
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let refused = answer.pointer("/error/code").or_else(|| answer.pointer("/0/error/code"));
        assert!(status != 200 || refused.is_some(), "{status}: {}", &text[..text.len().min(300)]);
    }
    // What nobody knows is passed over.
    let extra = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[],"extra":{"a":1}}"#;
    let (status, text) = rpc.post(extra, &[]).expect("an answer");
    assert_eq!((status, text.contains("0x385")), (200, true), "{text}");
    let call = json!([{"to": Address::ZERO, "somethingNew": 1}, "latest"]);
    assert_eq!(rpc.call::<String>("eth_call", call), "0x");

    // Batches: as long as geth takes them, one error for a longer one, and a bomb of answers.
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []});
    let (_, text) = rpc.post(json!(vec![ask.clone(); 1000]).to_string(), &[]).expect("an answer");
    let answers: Vec<Value> = serde_json::from_str(&text).expect("a list");
    assert!(answers.len() == 1000 && answers.iter().all(|it| it["result"] == "0x385"));
    let (_, text) = rpc.post(json!(vec![ask; 1001]).to_string(), &[]).expect("an answer");
    let answers: Vec<Value> = serde_json::from_str(&text).expect("a list");
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["error"]["code"], -32600);
    let block = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["0x0", true]});
    let nested = json!([[block, block], [block]]);
    let (_, text) = rpc.post(nested.to_string(), &[]).expect("an answer");
    assert!(text.contains("-32600"), "{text}");

    // Bodies: too large, said to be large, of another type, by another method, half sent.
    // The answer to the first comes before its end is sent, so that it may not be heard.
    let large = vec![b' '; 16 << 20];
    assert!(matches!(rpc.post(large, &[]), Ok((413, _)) | Err(CallError::Transport(_))));
    let (status, _) = rpc.post("{}", &[("content-type", "text/plain")]).expect("an answer");
    assert_eq!(status, 415);
    let (status, _) = rpc.post("{}", &[("host", "evil.example")]).expect("an answer");
    assert_eq!(status, 403);
    let address = rpc.url().trim_start_matches("http://");
    let raw = |request: &str| -> String {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = [0; 512];
        let length = stream.read(&mut answer).unwrap_or_default();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    let head = "host: 127.0.0.1\r\ncontent-type: application/json\r\n";
    assert!(raw(&format!("DELETE / HTTP/1.1\r\n{head}\r\n")).contains(" 405"));
    assert!(
        raw(&format!("POST / HTTP/1.1\r\n{head}content-length: 999999999999\r\n\r\n{{"))
            .contains(" 413")
    );
    assert!(
        raw(&format!("POST / HTTP/1.1\r\n{head}content-length: {}\r\n\r\n{{", 16 << 20))
            .contains(" 413")
    );
    assert!(raw("nonsense\r\n\r\n").contains(" 400"));
    let half = format!("POST / HTTP/1.1\r\n{head}content-length: 100\r\n\r\n{{");
    let mut hanging: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("a connection");
            stream.write_all(half.as_bytes()).expect("sent");
            stream
        })
        .collect();
    node.assert_alive();
    hanging.clear();
    node.assert_alive();
}

#[test]
fn tokens_that_open_nothing() {
    let (_chain, mut node) = start();
    let url = node.engine.rpc.url().to_owned();
    let now = unix_time();
    let at = |iat: u64| token(&node.secret, json!({"iat": iat}));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
    let ask = |authorization: Option<String>| -> (u16, String) {
        let value = authorization.unwrap_or_default();
        let headers = [("authorization", value.as_str())];
        let headers = if value.is_empty() { &headers[..0] } else { &headers[..] };
        Rpc::new(url.clone()).post(body, headers).expect("an answer")
    };
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let good = at(now);
    let (head, _) = good.rsplit_once('.').expect("three parts");
    for (authorization, says) in [
        (None, "missing token"),
        (Some("Basic YTpi".to_owned()), "missing token"),
        (bearer("nonsense".into()), "token contains an invalid number of segments"),
        (bearer(format!("{head}.")), "signature is invalid"),
        (bearer(token(&JwtSecret::random(), json!({"iat": now}))), "signature is invalid"),
        (bearer(at(now - 90)), "stale token"),
        (bearer(at(now + 90)), "future token"),
        (bearer(token(&node.secret, json!({"iat": now, "exp": now - 1}))), "token is expired"),
        (bearer(token(&node.secret, json!({}))), "missing issued-at"),
    ] {
        let (status, text) = ask(authorization.clone());
        assert_eq!((status, text.trim()), (401, says), "{authorization:?}");
    }
    // A clock that is off by less than a minute is forgiven.
    for iat in [now - 50, now, now + 50] {
        let (status, text) = ask(bearer(at(iat)));
        assert_eq!((status, text.contains("0x385")), (200, true), "{text}");
    }
    // The public port has no engine.
    let refused = node.rpc.refused("engine_exchangeCapabilities", json!([[]]));
    assert_eq!(refused.code, -32601);
    // Behind the door, what cannot be read is refused as elsewhere.
    for params in [json!([]), json!([{}]), json!(["x"]), json!([{"headBlockHash": "0x1"}])] {
        let refused = node.engine.rpc.refused("engine_forkchoiceUpdatedV3", params.clone());
        assert_eq!(refused.code, -32602, "{params}");
        let refused = node.engine.rpc.refused("engine_newPayloadV4", params.clone());
        assert_eq!(refused.code, -32602, "{params}");
    }
    node.assert_alive();
}

#[test]
fn flags_and_files_that_are_wrong() {
    let chain = TestChain::new(Fork::Karst);
    let base = NodeOptions::new(&chain);
    let file = |name: &str, text: &str| -> String {
        let path = base.folder().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    let cases: Vec<(Vec<String>, Vec<&str>)> = vec![
        (vec!["--no-such-flag".into()], vec!["unexpected argument '--no-such-flag'"]),
        (vec!["--rpc.gascap".into(), "much".into()], vec!["invalid value 'much'", "--rpc.gascap"]),
        (vec!["--txpool.pricebump".into(), "-1".into()], vec!["-1"]),
        (vec!["--db.sync".into(), "often".into()], vec!["often", "--db.sync"]),
        (
            vec!["--config".into(), "/no/such/file".into()],
            vec!["cannot read the configuration file /no/such/file"],
        ),
        (
            vec!["--config".into(), file("broken.toml", "[http\n")],
            vec!["broken.toml is not valid TOML"],
        ),
        (
            vec!["--config".into(), file("unknown.toml", "[http]\nprot = 1\n")],
            vec!["there is no flag --http.prot"],
        ),
        (vec!["--config".into(), file("kind.toml", "[rpc]\ngascap = \"much\"\n")], vec!["much"]),
        (
            vec!["--authrpc.jwtsecret".into(), file("short.hex", "0x1234")],
            vec!["invalid JWT secret: expected 64 hexadecimal digits, got 4 characters"],
        ),
    ];
    for (args, says) in cases {
        let mut options = base.clone();
        options.args.extend(args.clone());
        let output = options.refused_start();
        for says in says {
            assert!(output.contains(says), "{args:?}: {output}");
        }
    }
    for (name, text, says) in [
        ("no.json", None, "no.json"),
        ("cut.json", Some("{\"config\":"), "cut.json"),
        ("empty.json", Some("{}"), "config.optimism: missing"),
    ] {
        let mut options = base.clone();
        options.chain = match text {
            Some(text) => file(name, text),
            None => base.folder().join(name).to_string_lossy().into_owned(),
        };
        let output = options.refused_start();
        assert!(output.contains(says), "{name}: {output}");
    }
    let mut options = base.clone();
    options.env.push(("ASCRIBE_RPC_GASCAP".into(), "much".into()));
    assert!(options.refused_start().contains("much"));
    // None of this has left a database behind that a good start would trip over.
    assert_eq!(base.start().head().0, 0);
}

/// A WebSocket, by hand, so that it can be misused.
struct Socket(TcpStream);

impl Socket {
    fn open(url: &str) -> Self {
        let address = url.trim_start_matches("ws://");
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        let hello = format!(
            "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(hello.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the answer to a handshake");
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        Self(stream)
    }

    /// A frame with a mask of zeros. The length may be a lie.
    fn send(&mut self, opcode: u8, length: u64, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode, 0x80 | 127];
        frame.extend(length.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(payload);
        // The other end may be gone already.
        let _ = self.0.write_all(&frame);
    }

    /// The next text, or `None` when the server has closed.
    fn receive(&mut self) -> Option<String> {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).ok()?;
            let mut length = u64::from(head[1] & 0x7f);
            let wide = match length {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            if wide > 0 {
                let mut bytes = [0; 8];
                self.0.read_exact(&mut bytes[8 - wide..]).ok()?;
                length = u64::from_be_bytes(bytes);
            }
            let mut payload = vec![0; usize::try_from(length).expect("a frame that fits")];
            self.0.read_exact(&mut payload).ok()?;
            match head[0] & 0x0f {
                1 => return Some(String::from_utf8(payload).expect("text")),
                8 => return None,
                _ => {}
            }
        }
    }

    /// The server closes, with or without a word.
    #[track_caller]
    fn assert_refused(&mut self) {
        if let Some(answer) = self.receive() {
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            assert!(answer["error"]["code"].is_i64(), "{answer}");
        }
    }

    fn ask(&mut self, text: &str) -> Value {
        self.send(1, text.len() as u64, text.as_bytes());
        let answer = self.receive().expect("an answer");
        serde_json::from_str(&answer).expect("JSON")
    }
}

#[test]
fn sockets_that_are_misused() {
    let chain = TestChain::new(Fork::Karst);
    let limit = ["--rpc.max-subscriptions-per-connection", "16"];
    let mut node = NodeOptions::new(&chain).with(&limit).start();

    let mut socket = Socket::open(&node.ws);
    assert_eq!(socket.ask("nonsense")["error"]["code"], -32700);
    assert_eq!(socket.ask("[]")["error"]["code"], -32600);
    let subscribe = |what: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":[{what}]}}"#)
    };
    for what in ["", "7", r#""nothing""#, r#""logs",{"address":"0x1"}"#] {
        let answer = socket.ask(&subscribe(what));
        assert!(answer["error"]["code"].is_i64(), "{what}: {answer}");
    }
    // As many subscriptions as there may be, not one more, and one more when one is gone.
    let mut socket = Socket::open(&node.ws);
    let heads = subscribe(r#""newHeads""#);
    let first = socket.ask(&heads)["result"].clone();
    for _ in 1..16 {
        assert!(socket.ask(&heads)["result"].is_string());
    }
    let answer = socket.ask(&heads);
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    let away = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_unsubscribe", "params": [first]});
    assert_eq!(socket.ask(&away.to_string())["result"], true);
    let again = socket.ask(&away.to_string());
    assert_eq!(again["error"]["message"], "subscription not found", "{again}");
    wait_until("room for a subscription", Duration::from_secs(5), || {
        socket.ask(&heads)["result"].is_string().then_some(())
    });

    // Frames that are too large, in truth or in word alone, and some that are no frames.
    let mut large = Socket::open(&node.ws);
    large.send(1, 64 << 20, &vec![b' '; 64 << 20]);
    large.assert_refused();
    let mut lie = Socket::open(&node.ws);
    lie.send(1, u64::MAX >> 1, b"{}");
    lie.assert_refused();
    let mut unmasked = Socket::open(&node.ws);
    unmasked.0.write_all(&[0x81, 2, b'{', b'}']).expect("sent");
    unmasked.assert_refused();
    let mut reserved = Socket::open(&node.ws);
    reserved.send(3, 2, b"{}");
    reserved.assert_refused();
    let mut broken = Socket::open(&node.ws);
    broken.send(1, 2, &[0xff, 0xfe]);
    broken.assert_refused();
    // A page from elsewhere does not get in.
    let foreign = Rpc::new(node.ws.replacen("ws", "http", 1));
    let upgrade = [
        ("origin", "http://evil.example"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let (status, text) = foreign.get_with("/", &upgrade).expect("an answer");
    assert_eq!(status, 403, "{text}");

    // The first one heard nothing of all this.
    assert!(socket.ask(&heads.replace("newHeads", "newPendingTransactions"))["error"].is_object());
    let mut driver = Driver::new(&node);
    driver.extend(Vec::new()).expect("a block");
    let told: Value = serde_json::from_str(&socket.receive().expect("a head")).expect("JSON");
    assert_eq!(told["params"]["result"]["hash"], json!(driver.head().hash));
    node.assert_alive();
}
