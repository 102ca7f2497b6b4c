// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Record } from "./Records.sol";

/// @title RecordStorage
/// @notice Attribution by storage: what the batch format is measured against. A record takes a slot for its numbers,
///         one for how many shares it has, and one for each share.
contract RecordStorage {
    uint256 public count;
    mapping(uint256 => Record) private _records;

    function submit(Record[] calldata records) external {
        uint256 first = count;
        for (uint256 i; i < records.length; ++i) {
            Record calldata record = records[i];
            Record storage stored = _records[first + i];
            (stored.adapter, stored.promptTokens, stored.completionTokens, stored.time) =
            (record.adapter, record.promptTokens, record.completionTokens, record.time);
            for (uint256 j; j < record.shares.length; ++j) {
                stored.shares.push(record.shares[j]);
            }
        }
        count = first + records.length;
    }

    function recordOf(uint256 number) external view returns (Record memory) {
        return _records[number];
    }
}
