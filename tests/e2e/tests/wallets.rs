//! Wallets and dapps against a devnet: cast and forge, viem and ethers.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, U64, U256};
use ascribe_e2e::{
    Account, Folder, Process, Rpc, ascribe_bin, find_program, free_port, say, send_signal, skip,
    wait_until,
};
use serde_json::{Value, json};

/// The chain id of the devnet.
const CHAIN: u64 = 901;

/// How long the devnet may take to come up; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// What all tests here share: a devnet with a block every second, and compiled contracts. It is gone
/// when the last of them is.
struct Stage {
    devnet: Process,
    http: String,
    ws: String,
    forge: PathBuf,
    project: Folder,
}

impl Stage {
    /// `None`, said aloud, if something is not here.
    fn enter(test: &str) -> Option<Arc<Self>> {
        static STAGE: Mutex<Weak<Stage>> = Mutex::new(Weak::new());
        // Poisoned by a test that failed to set the stage: so will this one.
        let mut stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = stage.upgrade() {
            return Some(stage);
        }
        let new = Arc::new(Self::set(test)?);
        *stage = Arc::downgrade(&new);
        Some(new)
    }

    fn set(test: &str) -> Option<Self> {
        let contracts = here().join("../../contracts").canonicalize().expect("a folder");
        let (Some(forge), Some(anvil), true) =
            (find_program("forge"), find_program("anvil"), contracts.join("out").is_dir())
        else {
            skip(test, "no forge, anvil or compiled contracts (scripts/contracts build)");
            return None;
        };
        let project = compile(&forge, contracts.to_str().expect("a path in UTF-8"));
        let ports: [u16; 5] = std::array::from_fn(|_| free_port());
        let mut command = Command::new(ascribe_bin());
        command.args(["devnet", "--block-time", "1", "--color", "never", "--artifacts"]);
        command.arg(&contracts).arg("--anvil").arg(anvil);
        command.arg("--datadir").arg(project.join("devnet"));
        let flags = ["--http.port", "--ws.port", "--authrpc.port", "--rpc.port", "--l1.port"];
        for (flag, port) in flags.iter().zip(ports) {
            command.args([(*flag).to_owned(), port.to_string()]);
        }
        let mut devnet = Process::spawn("ascribe devnet", command, &project.join("devnet.log"));
        let http = format!("http://127.0.0.1:{}", ports[0]);
        let rpc = Rpc::new(http.clone());
        wait_until("the second block", PATIENCE, || {
            assert!(devnet.is_running(), "the devnet has ended: {}", devnet.output_end());
            let number: U64 = rpc.try_call("eth_blockNumber", json!([])).ok()?;
            (number.to::<u64>() > 1).then_some(())
        });
        Some(Self { devnet, http, ws: format!("ws://127.0.0.1:{}", ports[1]), forge, project })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.devnet.is_running() && send_signal(self.devnet.pid(), "TERM") {
            // It takes its L1 along. If it does not end, it is killed.
            let started = Instant::now();
            while self.devnet.is_running() && started.elapsed() < Duration::from_secs(20) {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program to its end, which must be a success. Returns what it printed.
#[track_caller]
fn run(program: &Path, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("a program that starts");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{} {args:?}: {}\n{stdout}{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// A forge project of `solidity/`, compiled.
fn compile(forge: &Path, contracts: &str) -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.join("src")).expect("a folder");
    for file in ["Token.sol", "Exchange.sol"] {
        let from = here().join("solidity").join(file);
        std::fs::copy(from, folder.join("src").join(file)).expect("a copy");
    }
    let config = format!(
        "[profile.default]\nlibs = []\nsolc = \"{contracts}/tools/solc\"\nevm_version = \"london\"\n\
         optimizer = true\noptimizer_runs = 200\nauto_detect_remappings = false\n\
         remappings = [\"@openzeppelin/contracts/={contracts}/node_modules/@openzeppelin/contracts-v4/\"]\n\
         allow_paths = [\"{contracts}\"]\n[lint]\nlint_on_build = false\n"
    );
    std::fs::write(folder.join("foundry.toml"), config).expect("written");
    let root = folder.to_str().expect("a path in UTF-8");
    run(forge, &["build", "--offline", "--root", root]);
    folder
}

/// The artifact of a contract, as scripts read it: ABI and creation code.
fn artifact(project: &Folder, source: &str, name: &str) -> PathBuf {
    let file = project.join("out").join(source).join(format!("{name}.json"));
    let full: Value =
        serde_json::from_slice(&std::fs::read(file).expect("an artifact")).expect("JSON");
    let path = project.join(format!("{name}.json"));
    let brief = json!({"abi": full["abi"], "bytecode": full["bytecode"]["object"]});
    std::fs::write(&path, brief.to_string()).expect("written");
    path
}

fn word(text: &str) -> U256 {
    // cast adds "[1e18]" to large numbers.
    text.split_whitespace().next().expect("a number").parse().expect("a number")
}

#[test]
fn cast_and_forge() {
    let Some(stage) = Stage::enter("cast_and_forge") else { return };
    let (forge, project) = (&stage.forge, &stage.project);
    let Some(cast) = find_program("cast") else { return skip("cast_and_forge", "no cast") };
    let url = stage.http.clone();
    let (account, friend) =
        (Account::dev(0, CHAIN), Account::from_seed("friend", 1).address().to_string());
    let key = account.private_key();
    let cast = |args: &[&str]| run(&cast, &[args, &["--rpc-url", &url]].concat()).trim().to_owned();
    let send = |args: &[&str]| -> Value {
        let sent = cast(&[&["send", "--private-key", &key, "--json"], args].concat());
        let receipt: Value = serde_json::from_str(&sent).expect("a receipt");
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    };
    let deploy = |contract: &str, args: &[&str]| -> String {
        let root = project.to_str().expect("a path in UTF-8");
        let mut line = vec![
            "create",
            "--root",
            root,
            "--offline",
            "--broadcast",
            "--json",
            "--rpc-url",
            &url,
            "--private-key",
            &key,
            contract,
        ];
        if !args.is_empty() {
            line.push("--constructor-args");
            line.extend(args);
        }
        let printed = run(forge, &line);
        let json = &printed[printed.find('{').expect("JSON")..];
        let made: Value = serde_json::from_str(json).expect("JSON");
        made["deployedTo"].as_str().expect("an address").to_owned()
    };

    assert_eq!(cast(&["chain-id"]), "901");
    // Transfers of three types.
    for (flags, kind) in
        [(&["--legacy"][..], "0x0"), (&[], "0x2"), (&["--access-list", "[]"], "0x2")]
    {
        let before = word(&cast(&["balance", &friend]));
        let receipt = send(&[&[friend.as_str(), "--value", "1ether"], flags].concat());
        assert_eq!(receipt["type"], kind);
        let ether = U256::from(10).pow(U256::from(18));
        assert_eq!(word(&cast(&["balance", &friend])), before + ether);
    }

    // An ERC-20.
    let token = deploy("src/Token.sol:Token", &["Token", "TKN", "1000000"]);
    let other = deploy("src/Token.sol:Token", &["Other", "OTH", "1000000"]);
    assert_eq!(cast(&["call", &token, "name()(string)"]), "\"Token\"");
    let receipt = send(&[&token, "transfer(address,uint256)", &friend, "250"]);
    assert_eq!(receipt["logs"].as_array().map(Vec::len), Some(1));
    let balance = cast(&["call", &token, "balanceOf(address)(uint256)", &friend]);
    assert_eq!(word(&balance), U256::from(250));
    let estimate = cast(&[
        "estimate",
        &token,
        "transfer(address,uint256)",
        &friend,
        "1",
        "--from",
        &account.address().to_string(),
    ]);
    assert!(word(&estimate) > U256::from(21_000));
    let logs: Vec<Value> = serde_json::from_str(&cast(&[
        "logs",
        "--json",
        "--from-block",
        "0",
        "--address",
        &token,
        "Transfer(address indexed,address indexed,uint256)",
    ]))
    .expect("logs");
    assert_eq!(logs.len(), 2);

    // A contract as large as Uniswap's factory makes one as large as its pairs.
    let exchange = deploy("src/Exchange.sol:Exchange", &[]);
    let code = cast(&["code", &exchange]);
    assert!(code.len() / 2 > 11_000, "{} bytes of code", code.len() / 2);
    let receipt = send(&[&exchange, "create(address,address)", &token, &other]);
    let made = word(&receipt["gasUsed"].as_str().expect("gas").replace("0x", "0x0"));
    assert!(made > U256::from(2_000_000), "creating a pair took {made}");
    let pair = cast(&["call", &exchange, "pairs(address,address)(address)", &token, &other]);
    for token in [&token, &other] {
        send(&[token, "approve(address,uint256)", &pair, "1000000"]);
    }
    send(&[&pair, "add(uint256,uint256)", "100000", "400000"]);
    let first = cast(&["call", &pair, "first()(address)"]);
    let quote = word(&cast(&["call", &pair, "quote(bool,uint256)(uint256)", "true", "1000"]));
    assert_eq!(quote, U256::from(3948), "1000 into 100000 at 4:1, less 0.3 %");
    // With a limit of its own: an estimate in the block of the call before would not see the prices
    // being summed, which begins a second later.
    let swap = ["swap(bool,uint256,uint256,address)", "true", "1000", "3948", &friend];
    let receipt = send(&[&[pair.as_str()], &swap[..], &["--gas-limit", "300000"]].concat());
    assert_eq!(receipt["logs"].as_array().map(Vec::len), Some(5), "{receipt}");
    let paid = if first == token { &other } else { &token };
    let received = word(&cast(&["call", paid, "balanceOf(address)(uint256)", &friend]));
    assert!(received == quote || received == quote + U256::from(250), "{received}");

    // What fails, fails with its reason.
    let refused = Command::new(find_program("cast").expect("found before"))
        .args([
            "call",
            &token,
            "burn(uint256)",
            "7",
            "--from",
            &Address::ZERO.to_string(),
            "--rpc-url",
            &url,
        ])
        .output()
        .expect("cast");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("execution reverted"), "{text}");
    // Fees and traces.
    let history: Value =
        serde_json::from_str(&cast(&["rpc", "eth_feeHistory", "0x3", "latest", "[25,75]"]))
            .expect("JSON");
    assert_eq!(history["reward"].as_array().map(Vec::len), Some(3));
    let hash = receipt["transactionHash"].as_str().expect("a hash");
    let trace = cast(&["rpc", "debug_traceTransaction", hash, r#"{"tracer":"callTracer"}"#]);
    let trace: Value = serde_json::from_str(&trace).expect("JSON");
    assert!(trace["calls"].as_array().is_some_and(|calls| calls.len() >= 3), "{trace}");
}

/// Runs one of the scripts in `js/` against a moving chain.
fn script(name: &str, account: usize) {
    let Some(stage) = Stage::enter(name) else { return };
    let Some(node) = find_program("node") else { return skip(name, "no node") };
    let folder = here().join("js");
    if !folder.join("node_modules").is_dir() {
        return skip(name, "no npm packages in tests/e2e/js (npm ci installs them)");
    }
    let given = json!({
        "http": stage.http,
        "ws": stage.ws,
        "chainId": CHAIN,
        "key": Account::dev(account, CHAIN).private_key(),
        "friend": Account::from_seed(name, 1).address().to_string(),
        "token": artifact(&stage.project, "Token.sol", "Token"),
    });
    let file = folder.join(format!("{name}.mjs"));
    let file = file.to_str().expect("a path in UTF-8");
    say(run(&node, &[file, &given.to_string()]).trim());
}

#[test]
fn viem() {
    script("viem", 1);
}

#[test]
fn ethers() {
    script("ethers", 2);
}
