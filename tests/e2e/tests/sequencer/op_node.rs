//! The same questions to a stock op-node and to the node in its place.

use std::{collections::BTreeMap, process::Command};

use alloy_primitives::B256;
use ascribe_e2e::{Process, Rpc, RpcError, find_stock, free_port, l1_config, skip, wait_until};
use serde_json::{Value, json};

use crate::rig::PATIENCE;

type Answer = Result<Value, RpcError>;

/// Asks everything. A sequencer that runs is stopped by it.
fn questions(rpc: &Rpc) -> Vec<(String, Answer)> {
    let other = B256::repeat_byte(0x11);
    let list = [
        ("optimism_rollupConfig", json!([])),
        ("optimism_syncStatus", json!([])),
        ("optimism_outputAtBlock", json!(["0x2"])),
        ("optimism_outputAtBlock", json!(["0xffffff"])),
        ("optimism_outputAtBlock", json!(["latest"])),
        ("optimism_outputAtBlock", json!([])),
        ("optimism_safeHeadAtL1Block", json!(["0x1"])),
        ("optimism_dependencySet", json!([])),
        ("optimism_nothing", json!([])),
        ("admin_sequencerActive", json!([])),
        ("admin_startSequencer", json!([other])),
        ("admin_stopSequencer", json!([])),
        ("admin_stopSequencer", json!([])),
        ("admin_sequencerActive", json!([])),
        ("admin_startSequencer", json!([other])),
        ("admin_overrideLeader", json!([])),
        ("admin_conductorEnabled", json!([])),
        ("admin_setRecoverMode", json!([true])),
        ("admin_setRecoverMode", json!([false])),
        ("admin_setLogLevel", json!(["loud"])),
        ("admin_setLogLevel", json!(["info"])),
        ("admin_resetDerivationPipeline", json!([])),
    ];
    let ask = |(method, params): (&str, Value)| {
        let answer = rpc.try_call(method, params.clone()).map_err(|error| error.into_rpc());
        (format!("{method} {params}"), answer)
    };
    list.into_iter().map(ask).collect()
}

/// What both must say alike: everything but where they stand.
fn comparable(question: &str, answer: Answer) -> Answer {
    let keys = |value: &Value| {
        let fields = value.as_object().expect("an object");
        fields.iter().map(|(name, value)| (name.clone(), json!(shape(value)))).collect()
    };
    match answer {
        Ok(status) if question.starts_with("optimism_syncStatus") => {
            Ok(Value::Object(keys(&status)))
        }
        Ok(mut output) if output.get("syncStatus").is_some() => {
            output["syncStatus"] = Value::Object(keys(&output["syncStatus"]));
            Ok(output)
        }
        Ok(head) if question.starts_with("admin_stopSequencer") => Ok(json!(shape(&head))),
        Err(mut error) => {
            // The head, as hash:number.
            let words = error.message.split(' ').map(|word| match word.split_once(':') {
                Some((hash, number)) if hash.starts_with("0x") && !number.is_empty() => "HEAD,",
                _ => word,
            });
            error.message = words.collect::<Vec<_>>().join(" ");
            Err(error)
        }
        answer => answer,
    }
}

/// The kinds of values in a value, by name.
fn shape(value: &Value) -> BTreeMap<String, String> {
    let kind = |value: &Value| match value {
        Value::Number(_) => "number".to_owned(),
        Value::String(text) => format!("text of {}", text.len()),
        Value::Object(fields) => fields.keys().cloned().collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    match value.as_object() {
        Some(fields) => fields.iter().map(|(name, value)| (name.clone(), kind(value))).collect(),
        None => BTreeMap::from([(String::new(), kind(value))]),
    }
}

#[test]
fn answers_are_op_nodes() {
    let test = "answers_are_op_nodes";
    let program = match find_stock("op-node") {
        Ok(program) => program,
        Err(why) => return skip(test, &why),
    };
    let Some(rig) = crate::rig(test, &[]) else { return };

    // op-node sequences on the node as its execution client.
    let node = rig.execution.start();
    let (port, folder) = (free_port(), rig.options.folder());
    let l1 = folder.join("l1.json");
    std::fs::write(&l1, l1_config(crate::rig::L1_CHAIN).to_string())
        .expect("the config can be written");
    let mut command = Command::new(program);
    command.args(["--l1.trustrpc", "--l1.beacon.ignore", "--l1.http-poll-interval=100ms"]);
    command.args(["--sequencer.enabled", "--sequencer.l1-confs=0", "--p2p.disable"]);
    command.args(["--rpc.addr=127.0.0.1", "--rpc.enable-admin", &format!("--rpc.port={port}")]);
    command.arg(format!("--l1={}", rig.l1.http()));
    command.arg(format!("--l2={}", node.engine.rpc.url()));
    command.arg("--l2.jwt-secret").arg(rig.options.datadir().join("jwt.hex"));
    command.arg("--rollup.config").arg(folder.join("rollup.json"));
    command.arg("--rollup.l1-chain-config").arg(l1);
    let mut op_node = Process::spawn("op-node", command, &folder.join("op-node.log"));
    let rpc = Rpc::new(format!("http://127.0.0.1:{port}"));
    wait_until("blocks of op-node", PATIENCE, || {
        assert!(op_node.is_running(), "op-node has ended");
        let status: Value = rpc.try_call("optimism_syncStatus", json!([])).ok()?;
        (status["unsafe_l2"]["number"].as_u64()? >= 5).then_some(())
    });
    let theirs = questions(&rpc);
    op_node.terminate(PATIENCE);
    let (height, _) = node.head();
    node.stop();

    // The node goes on by itself, on the same chain.
    let it = rig.sequence(&[]);
    it.head_until("blocks of its own", |head| head.number >= height + 3);
    let ours = questions(&it.rollup);
    assert_eq!(ours.len(), theirs.len());
    for ((question, ours), (_, theirs)) in ours.into_iter().zip(theirs) {
        assert_eq!(comparable(&question, ours), comparable(&question, theirs), "{question}");
    }
    crate::check(&rig, &it.chain());
    it.node.stop();
}
