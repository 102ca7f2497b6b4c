// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.15;

/// @notice The cheat codes of forge that the tests use.
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function accesses(address _account) external returns (bytes32[] memory reads, bytes32[] memory writes);
    function assume(bool _condition) external pure;
    function chainId(uint256 _id) external;
    function contains(string calldata _text, string calldata _part) external pure returns (bool);
    function cool(address _account) external;
    function deal(address _account, uint256 _wei) external;
    function etch(address _account, bytes calldata _code) external;
    function expectRevert(bytes calldata _reason) external;
    function expectRevert(bytes4 _error) external;
    function expectEmit() external;
    function expectEmit(address _emitter) external;
    function expectRevert() external;
    function fee(uint256 _baseFee) external;
    function getRecordedLogs() external returns (Log[] memory);
    function keyExistsJson(string calldata _json, string calldata _path) external view returns (bool);
    function load(address _account, bytes32 _slot) external view returns (bytes32);
    function parseJsonBytes(string calldata _json, string calldata _path) external pure returns (bytes memory);
    function parseJsonBytes32(string calldata _json, string calldata _path) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata _json, string calldata _path)
        external
        pure
        returns (bytes32[] memory);
    function parseJsonBytesArray(string calldata _json, string calldata _path)
        external
        pure
        returns (bytes[] memory);
    function parseJsonString(string calldata _json, string calldata _path)
        external
        pure
        returns (string memory);
    function parseJsonUint(string calldata _json, string calldata _path) external pure returns (uint256);
    function parseJsonUintArray(string calldata _json, string calldata _path)
        external
        pure
        returns (uint256[] memory);
    function prank(address _sender) external;
    function prank(address _sender, address _origin) external;
    function readFile(string calldata _path) external view returns (string memory);
    function record() external;
    function recordLogs() external;
    function revertToState(uint256 _id) external returns (bool);
    function snapshotState() external returns (uint256);
    function store(address _account, bytes32 _slot, bytes32 _value) external;
    function toString(uint256 _value) external pure returns (string memory);
    function warp(uint256 _time) external;
}

/// @notice What forge runs: contracts with functions that begin with `test`.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    address internal constant DEPOSITOR = 0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001;
    bytes32 internal constant ADMIN_SLOT = 0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103;

    error NotEqual(uint256 got, uint256 want);

    function eq(uint256 _got, uint256 _want) internal pure {
        if (_got != _want) revert NotEqual(_got, _want);
    }

    function eq(bytes32 _got, bytes32 _want) internal pure {
        eq(uint256(_got), uint256(_want));
    }

    function eq(address _got, address _want) internal pure {
        eq(uint160(_got), uint160(_want));
    }

    function eq(string memory _got, string memory _want) internal pure {
        eq(keccak256(bytes(_got)), keccak256(bytes(_want)));
    }

    function slot(address _account, uint256 _index) internal view returns (uint256) {
        return uint256(vm.load(_account, bytes32(_index)));
    }
}

/// @notice Stands for the admin of the predeploys' proxies.
contract Admin {
    address public owner = msg.sender;
}
