//! Which version takes what, and the shapes of what goes in and out.
#![allow(clippy::unwrap_used)]

use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{U256, b256};
use op_alloy_rpc_types_engine::{OpExecutionPayload, OpPayloadAttributes};
use serde_json::{Value, json};

use super::{
    attributes::{AttributesInput, ForkchoiceVersion},
    payload::{
        Accepted, GetPayloadVersion, NewPayload, NewPayloadVersion, PayloadEnvelope, PayloadInput,
    },
    *,
};

/// A chain on which every fork from Canyon on comes ten seconds after the one before.
#[derive(Clone, Copy)]
struct Forks;

const BEDROCK: u64 = 5;
const CANYON: u64 = 10;
const ECOTONE: u64 = 20;
const ISTHMUS: u64 = 60;
const JOVIAN: u64 = 70;
const KARST: u64 = 80;

impl EthereumHardforks for Forks {
    fn ethereum_fork_activation(&self, _: EthereumHardfork) -> ForkCondition {
        ForkCondition::ZERO_TIMESTAMP
    }
}

impl OpHardforks for Forks {
    fn op_fork_activation(&self, fork: OpHardfork) -> ForkCondition {
        match fork {
            OpHardfork::Canyon => ForkCondition::Timestamp(CANYON),
            OpHardfork::Ecotone => ForkCondition::Timestamp(ECOTONE),
            OpHardfork::Fjord => ForkCondition::Timestamp(30),
            OpHardfork::Granite => ForkCondition::Timestamp(40),
            OpHardfork::Holocene => ForkCondition::Timestamp(50),
            OpHardfork::Isthmus => ForkCondition::Timestamp(ISTHMUS),
            OpHardfork::Jovian => ForkCondition::Timestamp(JOVIAN),
            OpHardfork::Karst => ForkCondition::Timestamp(KARST),
            OpHardfork::Bedrock | OpHardfork::Regolith => ForkCondition::ZERO_TIMESTAMP,
            _ => ForkCondition::Never,
        }
    }
}

/// A payload as a consensus client sends it at this time.
fn payload(timestamp: u64) -> Value {
    let mut payload = json!({
        "parentHash": B256::repeat_byte(1),
        "feeRecipient": "0x4200000000000000000000000000000000000011",
        "stateRoot": B256::repeat_byte(2),
        "receiptsRoot": B256::repeat_byte(3),
        "logsBloom": format!("0x{}", "00".repeat(256)),
        "prevRandao": B256::repeat_byte(4),
        "blockNumber": "0x1",
        "gasLimit": "0x3938700",
        "gasUsed": "0xb3b0",
        "timestamp": format!("{timestamp:#x}"),
        "extraData": "0x",
        "baseFeePerGas": "0x3b9aca00",
        "blockHash": B256::repeat_byte(5),
        "transactions": ["0x7e00"],
    });
    if timestamp >= CANYON {
        payload["withdrawals"] = json!([]);
    }
    if timestamp >= ECOTONE {
        payload["blobGasUsed"] = json!("0x0");
        payload["excessBlobGas"] = json!("0x0");
    }
    if timestamp >= ISTHMUS {
        payload["withdrawalsRoot"] = json!(B256::repeat_byte(6));
    }
    payload
}

/// The call of this version that a consensus client makes at this time.
fn call(version: NewPayloadVersion, payload: Value) -> NewPayload {
    NewPayload {
        payload: serde_json::from_value(payload).unwrap(),
        versioned_hashes: (version != NewPayloadVersion::V2).then(Vec::new),
        parent_beacon_block_root: (version != NewPayloadVersion::V2).then_some(B256::ZERO),
        execution_requests: (version == NewPayloadVersion::V4).then(Vec::new),
    }
}

fn code<T>(result: Result<T, EngineApiError>) -> i32 {
    result.map_or_else(|error| error.code(), |_| 0)
}

#[test]
fn new_payload_versions_fit_forks() {
    use NewPayloadVersion::{V2, V3, V4};
    let table = [
        (BEDROCK, [0, -32602, -32602]),
        (CANYON, [0, -32602, -32602]),
        (ECOTONE, [-38005, 0, -38005]),
        (ISTHMUS - 1, [-38005, 0, -38005]),
        (ISTHMUS, [-38005, -38005, 0]),
        (JOVIAN, [-38005, -38005, 0]),
        (KARST, [-38005, -38005, 0]),
    ];
    for (timestamp, codes) in table {
        for (version, want) in [V2, V3, V4].into_iter().zip(codes) {
            let got = code(call(version, payload(timestamp)).check(version, Forks));
            assert_eq!(got, want, "{version:?} at {timestamp}");
        }
    }
}

#[test]
fn new_payload_wants_its_parameters() {
    let without = |field: &str| {
        let mut payload = payload(KARST);
        payload.as_object_mut().unwrap().remove(field);
        call(NewPayloadVersion::V4, payload)
    };
    let full = || call(NewPayloadVersion::V4, payload(KARST));
    let table = [
        (without("withdrawals"), "nil withdrawals post-shanghai"),
        (without("excessBlobGas"), "nil excessBlobGas post-cancun"),
        (without("blobGasUsed"), "nil blobGasUsed post-cancun"),
        (NewPayload { versioned_hashes: None, ..full() }, "nil versionedHashes post-cancun"),
        (NewPayload { parent_beacon_block_root: None, ..full() }, "nil beaconRoot post-cancun"),
        (NewPayload { execution_requests: None, ..full() }, "nil executionRequests post-prague"),
        (
            NewPayload { execution_requests: Some(vec![Bytes::from_static(&[1])]), ..full() },
            "empty request: 0x01",
        ),
    ];
    for (call, text) in table {
        let error = call.check(NewPayloadVersion::V4, Forks).unwrap_err();
        assert_eq!(error, EngineApiError::InvalidParams(text.into()));
    }
    let canyon = |change: fn(&mut Value)| {
        let mut payload = payload(CANYON);
        change(&mut payload);
        call(NewPayloadVersion::V2, payload).check(NewPayloadVersion::V2, Forks)
    };
    let params = |text: &str| Some(EngineApiError::InvalidParams(text.into()));
    assert_eq!(
        canyon(|payload| payload["excessBlobGas"] = json!("0x0")).err(),
        params("non-nil excessBlobGas pre-cancun")
    );
    assert_eq!(
        canyon(|payload| payload["blobGasUsed"] = json!("0x0")).err(),
        params("non-nil blobGasUsed pre-cancun")
    );
    assert_eq!(
        canyon(|payload| payload["withdrawals"] = Value::Null).err(),
        params("nil withdrawals post-shanghai")
    );
}

#[test]
fn wrong_contents_are_a_status() {
    let check = |call: NewPayload| match call.check(NewPayloadVersion::V4, Forks).unwrap() {
        Accepted::Invalid(status) => {
            assert_eq!(status.latest_valid_hash, None);
            let json = serde_json::to_value(&status).unwrap();
            assert_eq!(json["status"], "INVALID");
            assert_eq!(json["latestValidHash"], Value::Null);
            json["validationError"].as_str().unwrap().to_owned()
        }
        Accepted::Execute(_) => "none".to_owned(),
    };
    let changed = |field: &str, value: Value| {
        let mut payload = payload(KARST);
        payload[field] = value;
        call(NewPayloadVersion::V4, payload)
    };
    assert_eq!(check(changed("logsBloom", json!("0x00"))), "invalid logsBloom length: 1");
    assert_eq!(check(changed("withdrawalsRoot", Value::Null)), "nil withdrawalsRoot post-Isthmus");
    let with_requests = NewPayload {
        execution_requests: Some(vec![Bytes::from_static(&[1, 2])]),
        ..changed("gasUsed", json!("0x0"))
    };
    assert_eq!(check(with_requests), "requests should be empty for Isthmus blocks");
    let with_blobs =
        NewPayload { versioned_hashes: Some(vec![B256::ZERO]), ..changed("gasUsed", json!("0x0")) };
    assert!(check(with_blobs).starts_with("invalid number of versionedHashes"));
    // Fields that nobody knows are passed over, as op-geth's `slotNumber` must be.
    assert_eq!(check(changed("slotNumber", json!("0x1"))), "none");

    let mut early = payload(ECOTONE);
    early["withdrawalsRoot"] = json!(B256::ZERO);
    let early = call(NewPayloadVersion::V3, early).check(NewPayloadVersion::V3, Forks);
    assert!(matches!(
        early,
        Ok(Accepted::Invalid(PayloadStatus {
            status: PayloadStatusEnum::Invalid { validation_error },
            ..
        })) if validation_error == "non-nil withdrawalsRoot pre-Isthmus"
    ));
}

#[test]
fn payloads_without_a_field_cannot_be_read() {
    let fields: Vec<_> = payload(BEDROCK).as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields.len(), 14);
    for field in fields {
        let mut payload = payload(KARST);
        payload.as_object_mut().unwrap().remove(&field);
        let error = serde_json::from_value::<PayloadInput>(payload).unwrap_err();
        assert_eq!(error.to_string(), format!("missing field `{field}`"));
    }
}

#[test]
fn payloads_keep_their_shape() {
    for (version, timestamp) in [
        (NewPayloadVersion::V2, BEDROCK),
        (NewPayloadVersion::V2, CANYON),
        (NewPayloadVersion::V3, ECOTONE),
        (NewPayloadVersion::V4, KARST),
    ] {
        let Accepted::Execute(data) =
            call(version, payload(timestamp)).check(version, Forks).unwrap()
        else {
            panic!("a good payload is executed");
        };
        let fits = match &data.payload {
            OpExecutionPayload::V1(_) => timestamp == BEDROCK,
            OpExecutionPayload::V2(_) => timestamp == CANYON,
            OpExecutionPayload::V3(_) => timestamp == ECOTONE,
            OpExecutionPayload::V4(_) => timestamp == KARST,
        };
        assert!(fits, "{timestamp}");
        let envelope = serde_json::to_value(PayloadEnvelope::new(data, U256::from(7))).unwrap();
        assert_eq!(envelope["executionPayload"], payload(timestamp));
        let mut rest = envelope;
        rest.as_object_mut().unwrap().remove("executionPayload");
        let mut want = json!({"blockValue": "0x7"});
        if timestamp >= ECOTONE {
            want["blobsBundle"] = json!({"commitments": [], "proofs": [], "blobs": []});
            want["shouldOverrideBuilder"] = json!(false);
            want["parentBeaconBlockRoot"] = json!(B256::ZERO);
        }
        if timestamp >= ISTHMUS {
            want["executionRequests"] = json!([]);
        }
        assert_eq!(rest, want, "{timestamp}");
    }
}

#[test]
fn get_payload_versions_fit_forks() {
    use GetPayloadVersion::{V2, V3, V4, V5};
    let table = [
        (BEDROCK, V2),
        (CANYON, V2),
        (ECOTONE - 1, V2),
        (ECOTONE, V3),
        (ISTHMUS - 1, V3),
        (ISTHMUS, V4),
        (JOVIAN, V4),
        (KARST - 1, V4),
        (KARST, V5),
    ];
    for (timestamp, fits) in table {
        for version in [V2, V3, V4, V5] {
            let want = if version == fits { 0 } else { -38005 };
            assert_eq!(code(version.check(Forks, timestamp)), want, "{version:?} at {timestamp}");
        }
    }
}

/// Attributes as op-node sends them to build a block at this time.
fn attributes(timestamp: u64) -> Value {
    let mut attributes = json!({
        "timestamp": format!("{timestamp:#x}"),
        "prevRandao": B256::repeat_byte(1),
        "suggestedFeeRecipient": "0x4200000000000000000000000000000000000011",
        "gasLimit": "0x3938700",
    });
    if timestamp >= CANYON {
        attributes["withdrawals"] = json!([]);
    }
    if timestamp >= ECOTONE {
        attributes["parentBeaconBlockRoot"] = json!(B256::ZERO);
    }
    if timestamp >= 50 {
        attributes["eip1559Params"] = json!("0x000000fa00000006");
    }
    if timestamp >= JOVIAN {
        attributes["minBaseFee"] = json!(0);
    }
    attributes
}

fn check(
    version: ForkchoiceVersion,
    attributes: Value,
) -> Result<OpPayloadAttributes, EngineApiError> {
    let attributes: AttributesInput = serde_json::from_value(attributes).unwrap();
    attributes.check(version, Forks)
}

#[test]
fn forkchoice_versions_fit_forks() {
    use ForkchoiceVersion::{V1, V2, V3};
    let table = [
        (BEDROCK, [0, 0, -38003]),
        (CANYON, [-32602, 0, -38003]),
        (ECOTONE, [-32602, -38003, 0]),
        (ISTHMUS, [-32602, -38003, 0]),
        (KARST, [-32602, -38003, 0]),
    ];
    for (timestamp, codes) in table {
        for (version, want) in [V1, V2, V3].into_iter().zip(codes) {
            let got = code(check(version, attributes(timestamp)));
            assert_eq!(got, want, "{version:?} at {timestamp}");
        }
    }
    let mut late = attributes(KARST);
    late.as_object_mut().unwrap().remove("parentBeaconBlockRoot");
    assert_eq!(code(check(V2, late.clone())), -38005);
    assert_eq!(
        check(V3, late).unwrap_err(),
        EngineApiError::InvalidPayloadAttributes("missing beacon root".into())
    );
    let mut early = attributes(CANYON);
    early["parentBeaconBlockRoot"] = json!(B256::ZERO);
    assert_eq!(code(check(V3, early)), -38005);
    let mut early = attributes(BEDROCK);
    early["withdrawals"] = json!([]);
    assert_eq!(
        check(V2, early).unwrap_err(),
        EngineApiError::InvalidPayloadAttributes("withdrawals before shanghai".into())
    );
}

#[test]
fn attributes_have_op_nodes_shape() {
    let mut sent = attributes(KARST);
    let plain = check(ForkchoiceVersion::V3, sent.clone()).unwrap();
    assert_eq!(plain.min_base_fee, Some(0));
    assert_eq!(plain.gas_limit, Some(60_000_000));
    assert_eq!((plain.transactions, plain.no_tx_pool), (None, None));
    assert_eq!(
        plain.eip_1559_params.map(|params| params.to_string()).as_deref(),
        Some("0x000000fa00000006")
    );

    sent["noTxPool"] = json!(true);
    sent["transactions"] = json!(["0x7e00"]);
    sent["minBaseFee"] = json!(5_000_000);
    let forced = check(ForkchoiceVersion::V3, sent.clone()).unwrap();
    assert_eq!(forced.no_tx_pool, Some(true));
    assert_eq!(forced.transactions.map(|list| list.len()), Some(1));
    assert_eq!(forced.min_base_fee, Some(5_000_000));

    sent["minBaseFee"] = json!("0x4c4b40");
    assert!(serde_json::from_value::<AttributesInput>(sent.clone()).is_err());
    sent["minBaseFee"] = json!(0);
    sent["eip1559Params"] = json!("0x00");
    assert_eq!(
        check(ForkchoiceVersion::V3, sent).unwrap_err(),
        EngineApiError::InvalidPayloadAttributes(
            "holocene eip-1559 params should be 8 bytes, got 1".into()
        )
    );
}

#[test]
fn forkchoice_answers_have_all_fields() {
    let hash = b256!("3b8fb240d288781d4aac94d3fd16809ee413bc99294a085798a589dae51ddd4a");
    let status = PayloadStatus::from_status(PayloadStatusEnum::Valid).with_latest_valid_hash(hash);
    let updated = ForkchoiceUpdated::new(status);
    assert_eq!(
        serde_json::to_value(updated).unwrap(),
        json!({
            "payloadStatus": {
                "status": "VALID",
                "latestValidHash": hash,
                "validationError": null,
            },
            "payloadId": null,
        })
    );
}

#[test]
fn capabilities_are_the_methods() {
    let mut sorted = CAPABILITIES;
    sorted.sort_unstable();
    assert_eq!(sorted, CAPABILITIES);
    let ours = serde_json::to_value(ClientVersion::ours()).unwrap();
    assert_eq!(ours["code"], "AS");
    assert_eq!(ours["commit"].as_str().map(str::len), Some(10));
}
