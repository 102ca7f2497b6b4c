// viem with its OP Stack chain definition against a running chain.
//   node viem.mjs '{"http": …, "ws": …, "chainId": …, "key": …, "friend": …, "token": ARTIFACT}'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
    createPublicClient, createWalletClient, defineChain, http, parseEther, parseGwei, webSocket,
    decodeEventLog, encodeFunctionData, getContractAddress, keccak256,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { chainConfig, publicActionsL2 } from "viem/op-stack";

const given = JSON.parse(process.argv[2]);
const { abi, bytecode } = JSON.parse(readFileSync(given.token, "utf8"));
const chain = defineChain({
    ...chainConfig,
    id: given.chainId,
    name: "ascribe",
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [given.http], webSocket: [given.ws] } },
});
const account = privateKeyToAccount(given.key);
const options = { chain, pollingInterval: 100 };
const reader = createPublicClient({ ...options, transport: http() }).extend(publicActionsL2());
const socket = createPublicClient({ ...options, transport: webSocket() });
const wallet = createWalletClient({ ...options, account, transport: http() });
const mined = async (hash) => {
    const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 30_000 });
    assert.equal(receipt.transactionHash, hash);
    return receipt;
};
const eventually = async (what, ask) => {
    for (let tries = 0; tries < 150; tries++) {
        if (await ask()) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.fail(`waited in vain for ${what}`);
};

// The chain, and what it is subscribed to.
assert.equal(await reader.getChainId(), given.chainId);
const heads = [], transfers = [], pending = [];
const stops = [
    socket.watchBlocks({ onBlock: (block) => heads.push(block), onError: assert.fail }),
    socket.watchPendingTransactions({ onTransactions: (hashes) => pending.push(...hashes), onError: assert.fail }),
];
await eventually("a head", () => heads.length > 0);

// Transfers of every type that a wallet sends.
const before = await reader.getBalance({ address: given.friend });
const value = parseEther("0.01");
const types = {
    legacy: { gasPrice: parseGwei("20") },
    eip2930: { gasPrice: parseGwei("20"), accessList: [{ address: given.friend, storageKeys: [`0x${"00".repeat(32)}`] }] },
    eip1559: {},
};
for (const [type, fields] of Object.entries(types)) {
    const hash = await wallet.sendTransaction({ to: given.friend, value, type, ...fields });
    const head = await reader.getBlockNumber({ cacheTime: 0 });
    const receipt = await mined(hash);
    assert.ok(receipt.blockNumber <= head + 2n, `sent at ${head}, mined in ${receipt.blockNumber}`);
    assert.equal(receipt.status, "success");
    assert.equal(receipt.type, type);
    // What the OP Stack adds, by viem's OP Stack formatters.
    assert.ok(receipt.l1Fee > 0n, "l1Fee");
    assert.ok(receipt.l1GasPrice > 0n, "l1GasPrice");
    assert.ok(receipt.l1GasUsed > 0n, "l1GasUsed");
    const transaction = await reader.getTransaction({ hash });
    assert.equal(transaction.type, type);
    assert.equal(transaction.from.toLowerCase(), account.address.toLowerCase());
    await eventually("the pending transaction", () => pending.includes(hash));
}
assert.equal(await reader.getBalance({ address: given.friend }), before + 3n * value);

// What the GasPriceOracle says that it costs to be posted to L1.
const transfer = { account, to: given.friend, value };
assert.ok((await reader.estimateL1Fee(transfer)) > 0n);
assert.ok((await reader.estimateL1Gas(transfer)) > 0n);
assert.ok((await reader.getL1BaseFee()) > 0n);
assert.ok((await reader.estimateTotalFee(transfer)) > (await reader.estimateL1Fee(transfer)));

// A delegation to a contract (EIP-7702), made below.
const deployed = await mined(await wallet.deployContract({ abi, bytecode, args: ["Token", "TKN", 10n ** 24n] }));
const token = deployed.contractAddress;
assert.ok(await reader.getCode({ address: token }));
const authorization = await wallet.signAuthorization({ contractAddress: token, executor: "self" });
const delegated = await mined(await wallet.sendTransaction({ to: account.address, authorizationList: [authorization], data: encodeFunctionData({ abi, functionName: "symbol" }) }));
assert.equal(delegated.type, "eip7702");
assert.equal(delegated.status, "success");
assert.equal((await reader.getCode({ address: account.address })).toLowerCase(), `0xef0100${token.slice(2)}`.toLowerCase());
const cleared = await wallet.signAuthorization({ contractAddress: `0x${"00".repeat(20)}`, executor: "self" });
await mined(await wallet.sendTransaction({ to: account.address, authorizationList: [cleared] }));
assert.equal(await reader.getCode({ address: account.address }), undefined);

// A contract: reading, writing, simulating, reverting.
const contract = { address: token, abi };
stops.push(socket.watchContractEvent({ ...contract, eventName: "Transfer", onLogs: (logs) => transfers.push(...logs), onError: assert.fail }));
assert.equal(await reader.readContract({ ...contract, functionName: "name" }), "Token");
const { request, result } = await reader.simulateContract({ ...contract, account, functionName: "transfer", args: [given.friend, 7n] });
assert.equal(result, true);
const estimate = await reader.estimateContractGas({ ...contract, account, functionName: "transfer", args: [given.friend, 7n] });
await new Promise((resolve) => setTimeout(resolve, 200));
const receipt = await mined(await wallet.writeContract(request));
assert.ok(receipt.gasUsed <= estimate, `used ${receipt.gasUsed}, estimated ${estimate}`);
const { eventName, args } = decodeEventLog({ abi, ...receipt.logs[0] });
assert.deepEqual([eventName, args.from, args.to.toLowerCase(), args.value], ["Transfer", account.address, given.friend.toLowerCase(), 7n]);
assert.equal(await reader.readContract({ ...contract, functionName: "balanceOf", args: [given.friend] }), 7n);
await eventually("the log", () => transfers.some((log) => log.transactionHash === receipt.transactionHash));
await assert.rejects(
    reader.simulateContract({ ...contract, account: given.friend, functionName: "burn", args: [1000n] }),
    (error) => error.message.includes("TooMuch(uint256 have, uint256 want)") && error.message.includes("(7, 1000)"),
);
await assert.rejects(
    reader.simulateContract({ ...contract, account: given.friend, functionName: "mint", args: [given.friend, 1n] }),
    (error) => error.message.includes("Ownable: caller is not the owner"),
);

// Logs by filter, by block, by topic; fees; proofs; the past.
const logs = await reader.getContractEvents({ ...contract, eventName: "Transfer", args: { to: given.friend }, fromBlock: deployed.blockNumber });
assert.equal(logs.length, 1);
assert.equal(logs[0].transactionHash, receipt.transactionHash);
const filter = await reader.createContractEventFilter({ ...contract, eventName: "Transfer", fromBlock: deployed.blockNumber });
assert.equal((await reader.getFilterLogs({ filter })).length, 2);
const history = await reader.getFeeHistory({ blockCount: 3, rewardPercentiles: [10, 50, 90] });
assert.equal(history.baseFeePerGas.length, 4);
assert.equal(history.reward.length, 3);
assert.ok((await reader.estimateFeesPerGas()).maxFeePerGas > 0n);
assert.ok((await reader.getGasPrice()) > 0n);
const proof = await reader.getProof({ address: token, storageKeys: [`0x${"00".repeat(31)}02`] });
assert.equal(proof.storageProof[0].value, 10n ** 24n);
assert.equal(proof.codeHash, keccak256(await reader.getCode({ address: token })));
const past = { ...contract, functionName: "balanceOf", args: [given.friend], blockNumber: receipt.blockNumber - 1n };
assert.equal(await reader.readContract(past), 0n);
const overridden = await reader.call({ account: given.friend, to: token, value: 1n, data: "0x", stateOverride: [{ address: token, code: "0x600160005260206000f3" }] });
assert.equal(BigInt(overridden.data), 1n);
const nonce = await reader.getTransactionCount({ address: account.address });
assert.equal(getContractAddress({ from: account.address, nonce: BigInt(nonce) }).length, 42);
const block = await reader.getBlock({ blockNumber: receipt.blockNumber, includeTransactions: true });
assert.equal(block.transactions[0].type, "deposit");
assert.equal(block.transactions[0].sourceHash.length, 66);

// Heads came in order, none was left out.
await eventually("more heads", () => heads.length > 3);
heads.slice(1).forEach((head, index) => assert.equal(head.number, heads[index].number + 1n));
stops.forEach((stop) => stop());
console.log(`viem: ${heads.length} heads, ${transfers.length} logs, ${pending.length} pending transactions`);
process.exit(0);
