// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

import { Record, Share } from "./Records.sol";

/// @title RecordEvents
/// @notice Attribution by events, one for each record: what the batch format is measured against. Logs can be read
///         from outside only.
contract RecordEvents {
    event Recorded(uint32 adapter, uint32 promptTokens, uint32 completionTokens, uint64 time, Share[] shares);

    function submit(Record[] calldata records) external {
        for (uint256 i; i < records.length; ++i) {
            Record calldata record = records[i];
            emit Recorded(
                record.adapter, record.promptTokens, record.completionTokens, record.time, record.shares
            );
        }
    }
}
