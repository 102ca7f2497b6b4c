// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @param weight In 1/10,000.
struct Share {
    uint32 source;
    uint16 weight;
}

/// @notice An answer of a model: which adapter gave it, when, and whose sources had what part in it.
/// @param time Seconds since 1970-01-01.
struct Record {
    uint32 adapter;
    uint32 promptTokens;
    uint32 completionTokens;
    uint64 time;
    Share[] shares;
}
