// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Test } from "../Test.sol";
import { RecordEvents } from "./RecordEvents.sol";
import { RecordStorage } from "./RecordStorage.sol";
import { Record, Share } from "./Records.sol";

/// @notice That what the batch format is measured against keeps all of a record, and wastes nothing.
contract RecordsTest is Test {
    event Recorded(uint32 adapter, uint32 promptTokens, uint32 completionTokens, uint64 time, Share[] shares);

    function testEvents(uint256 seed) public {
        Record[] memory records = _some(seed);
        RecordEvents events = new RecordEvents();
        for (uint256 i; i < records.length; ++i) {
            Record memory record = records[i];
            vm.expectEmit(address(events));
            emit Recorded(
                record.adapter, record.promptTokens, record.completionTokens, record.time, record.shares
            );
        }
        vm.recordLogs();
        events.submit(records);
        eq(vm.getRecordedLogs().length, records.length);
    }

    function testStorage(uint256 seed) public {
        Record[] memory records = _some(seed);
        RecordStorage store = new RecordStorage();
        store.submit(records);
        store.submit(records);
        eq(store.count(), 2 * records.length);
        for (uint256 i; i < store.count(); ++i) {
            Record memory record = records[i % records.length];
            eq(keccak256(abi.encode(store.recordOf(i))), keccak256(abi.encode(record)));
        }
    }

    /// @dev Of a record of three shares: a log of 384 bytes is 3,822 and five slots 110,500, the rest is the decoding
    ///      that the compiler writes.
    function testGas() public {
        Record[] memory records = _records(10);
        uint256 gas = _gasOf(address(new RecordEvents()), abi.encodeCall(RecordEvents.submit, (records)));
        require(gas < 10 * 7000, vm.toString(gas));
        gas = _gasOf(address(new RecordStorage()), abi.encodeCall(RecordStorage.submit, (records)));
        require(gas < 10 * 120_000, vm.toString(gas));
    }

    function _gasOf(address target, bytes memory data) private returns (uint256 gas) {
        gas = gasleft();
        (bool success,) = target.call(data);
        gas -= gasleft();
        require(success);
    }

    function _records(uint256 count) private pure returns (Record[] memory records) {
        records = new Record[](count);
        for (uint256 i; i < count; ++i) {
            records[i] = Record(uint32(i), 700, 300, uint64(1_790_000_000 + i), new Share[](3));
            for (uint256 j; j < 3; ++j) {
                records[i].shares[j] = Share(uint32(j), 3333);
            }
        }
    }

    function _some(uint256 seed) private pure returns (Record[] memory records) {
        records = new Record[](seed % 4);
        for (uint256 i; i < records.length; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            records[i] = Record({
                adapter: uint32(seed),
                promptTokens: uint32(seed >> 32),
                completionTokens: uint32(seed >> 64),
                time: uint64(seed >> 96),
                shares: new Share[]((seed >> 160) % 6)
            });
            for (uint256 j; j < records[i].shares.length; ++j) {
                seed = uint256(keccak256(abi.encode(seed)));
                records[i].shares[j] = Share(uint32(seed), uint16(seed >> 32));
            }
        }
    }
}
