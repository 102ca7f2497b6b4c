// Compiles Load.sol into the .hex files beside it: runtime code of what genesis holds, init code of what is deployed.
//   NODE_MODULES=contracts/node_modules node crates/bench/contracts/build.mjs
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

const here = import.meta.dirname;
const modules = resolve(process.env.NODE_MODULES ?? resolve(here, "../../../contracts/node_modules"));
const solc = createRequire(resolve(modules, "x.js"))("solc");
const output = JSON.parse(solc.compile(JSON.stringify({
    language: "Solidity",
    sources: { "Load.sol": { content: readFileSync(resolve(here, "Load.sol"), "utf8") } },
    settings: {
        evmVersion: "london",
        optimizer: { enabled: true, runs: 1000000 },
        metadata: { bytecodeHash: "none" },
        outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
})));
for (const error of output.errors ?? []) console.error(error.formattedMessage);
const contracts = output.contracts["Load.sol"];
for (const name of ["Attributes", "Token", "Store"])
    writeFileSync(resolve(here, `${name}.hex`), contracts[name].evm.deployedBytecode.object);
writeFileSync(resolve(here, "Child.hex"), contracts.Child.evm.bytecode.object);
