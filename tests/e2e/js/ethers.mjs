// ethers against a running chain.
//   node ethers.mjs '{"http": …, "ws": …, "chainId": …, "key": …, "friend": …, "token": ARTIFACT}'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider, isError, parseEther, parseUnits } from "ethers";

const given = JSON.parse(process.argv[2]);
const { abi, bytecode } = JSON.parse(readFileSync(given.token, "utf8"));
const provider = new JsonRpcProvider(given.http, undefined, { polling: true, pollingInterval: 100, cacheTimeout: -1 });
const socket = new WebSocketProvider(given.ws);
const wallet = new Wallet(given.key, provider);
const eventually = async (what, ask) => {
    for (let tries = 0; tries < 150; tries++) {
        if (await ask()) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.fail(`waited in vain for ${what}`);
};

assert.equal((await provider.getNetwork()).chainId, BigInt(given.chainId));
const heads = [], pending = [];
await socket.on("block", (number) => heads.push(number));
await socket.on("pending", (hash) => pending.push(hash));

// Transfers of types 0, 1 and 2, and a delegation.
const before = await provider.getBalance(given.friend);
const value = parseEther("0.02");
const gasPrice = parseUnits("20", "gwei");
for (const fields of [{ type: 0, gasPrice }, { type: 1, gasPrice, accessList: [[given.friend, []]] }, { type: 2 }]) {
    const sent = await wallet.sendTransaction({ to: given.friend, value, ...fields });
    const receipt = await sent.wait(1, 30_000);
    assert.equal(receipt.status, 1);
    assert.equal(receipt.type, fields.type);
    assert.equal((await provider.getTransaction(sent.hash)).blockHash, receipt.blockHash);
}
assert.equal(await provider.getBalance(given.friend), before + 3n * value);

const token = await new ContractFactory(abi, bytecode, wallet).deploy("Token", "TKN", 10n ** 24n);
await token.waitForDeployment();
const address = await token.getAddress();
assert.equal(await token.symbol(), "TKN");
const authorize = (target, nonce) => wallet.authorize({ address: target, nonce });
const nonce = await wallet.getNonce();
const delegation = await wallet.sendTransaction({ type: 4, to: wallet.address, data: token.interface.encodeFunctionData("symbol"), authorizationList: [await authorize(address, nonce + 1)] });
assert.equal((await delegation.wait(1, 30_000)).type, 4);
assert.equal(await provider.getCode(wallet.address), `0xef0100${address.slice(2).toLowerCase()}`);
const release = await wallet.sendTransaction({ type: 4, to: wallet.address, authorizationList: [await authorize(`0x${"00".repeat(20)}`, nonce + 3)] });
await release.wait(1, 30_000);
assert.equal(await provider.getCode(wallet.address), "0x");

// A contract: logs by subscription and by query, reverts with their reasons.
const heard = [];
await token.connect(socket).on("Transfer", (from, to, amount, event) => heard.push([from, to, amount, event.log.transactionHash]));
await new Promise((resolve) => setTimeout(resolve, 200));
const estimate = await token.transfer.estimateGas(given.friend, 9n);
const receipt = await (await token.transfer(given.friend, 9n)).wait(1, 30_000);
assert.ok(receipt.gasUsed <= estimate);
await eventually("the log", () => heard.length === 1);
assert.deepEqual(heard[0].slice(1), [given.friend, 9n, receipt.hash]);
const found = await token.queryFilter(token.filters.Transfer(null, given.friend), receipt.blockNumber, "latest");
assert.equal(found.length, 1);
assert.equal(await token.balanceOf(given.friend), 9n);
assert.equal(await token.balanceOf(given.friend, { blockTag: receipt.blockNumber - 1 }), 0n);
await assert.rejects(token.burn.staticCall(10n ** 30n), (error) => isError(error, "CALL_EXCEPTION") && error.revert.name === "TooMuch");
await assert.rejects(
    token.connect(provider).mint.estimateGas(given.friend, 1n, { from: given.friend }),
    (error) => isError(error, "CALL_EXCEPTION") && error.reason === "Ownable: caller is not the owner",
);
const refused = new Wallet(`0x${"77".repeat(32)}`, provider).sendTransaction({ to: given.friend, value: 1n, gasLimit: 21000n });
await assert.rejects(refused, (error) => isError(error, "INSUFFICIENT_FUNDS"));

// Fees, and ten transactions at once.
const fees = await provider.getFeeData();
assert.ok(fees.maxFeePerGas > fees.maxPriorityFeePerGas && fees.gasPrice > 0n);
const history = await provider.send("eth_feeHistory", ["0x2", "latest", [50]]);
assert.equal(history.reward.length, 2);
const manager = new NonceManager(wallet);
const many = await Promise.all(Array.from({ length: 10 }, () => manager.sendTransaction({ to: given.friend, value: 1n })));
const receipts = await Promise.all(many.map((sent) => sent.wait(1, 30_000)));
assert.equal(new Set(receipts.map((it) => it.hash)).size, 10);
await eventually("the pending transactions", () => many.every((sent) => pending.includes(sent.hash)));

await eventually("more heads", () => heads.length > 3);
heads.slice(1).forEach((head, index) => assert.equal(head, heads[index] + 1));
console.log(`ethers: ${heads.length} heads, ${heard.length} log, ${pending.length} pending transactions`);
process.exit(0);
