//! Real OP Sepolia blocks, re-executed from the preimages of what they touch to their exact hash.

use alloy_consensus::{Header, transaction::SignerRecoverable};
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B64, B256, Bytes, U64, keccak256};
use ascribe_chainspec::{ChainSpec, extra_data};
use ascribe_conformance::{StatelessState, report, vectors};
use ascribe_evm::{
    EvmConfig, HeaderRoots, L2_TO_L1_MESSAGE_PASSER_ADDRESS, NextBlock, assemble_header,
    receipts_root_and_bloom, transactions_root, validate_block_pre_execution, validate_header,
    validate_post_execution,
};
use ascribe_trie::{HashedPostState, TrieReader, state_root};
use op_alloy_consensus::OpTxEnvelope;
use reth_primitives_traits::SealedHeader;
use revm::database::State;
use serde::Deserialize;
use std::{fs, path::Path, sync::Arc};

#[derive(Deserialize)]
struct Vector {
    parent_header: Header,
    executing_payload: Attributes,
    expected_block_hash: B256,
    preimages: Vec<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    timestamp: U64,
    prev_randao: B256,
    suggested_fee_recipient: Address,
    parent_beacon_block_root: B256,
    transactions: Vec<Bytes>,
    gas_limit: U64,
    eip1559_params: B64,
}

#[test]
fn op_sepolia() {
    let Some(folder) = vectors("op_sepolia", "op-sepolia-blocks") else { return };
    let spec = Arc::new(ChainSpec::op_sepolia());
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    for file in &files {
        build(&spec, file);
    }
    report("op_sepolia", files.len(), "blocks");
}

/// Builds the block, compares its hash, and accepts it as a block from outside.
fn build(spec: &Arc<ChainSpec>, file: &Path) {
    let name = file.display();
    let text = fs::read_to_string(file).expect("the vector is readable");
    let vector: Vector =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let parent = SealedHeader::seal_slow(vector.parent_header);
    let before = StatelessState::new(parent.header(), vector.preimages);
    let attributes = vector.executing_payload;
    let timestamp = attributes.timestamp.to();
    let next = NextBlock {
        timestamp,
        fee_recipient: attributes.suggested_fee_recipient,
        prev_randao: attributes.prev_randao,
        gas_limit: attributes.gas_limit.to(),
        parent_beacon_block_root: Some(attributes.parent_beacon_block_root),
        extra_data: extra_data::encode_holocene(
            attributes.eip1559_params,
            spec.base_fee_params_at(timestamp),
        )
        .expect("the recorded parameters are valid"),
    };

    let config = EvmConfig::new(Arc::clone(spec));
    let mut state = State::builder().with_database(&before).with_bundle_update().build();
    let mut builder = config.builder(&mut state, &parent, next).expect("the block starts");
    for raw in &attributes.transactions {
        let tx = OpTxEnvelope::decode_2718_exact(raw)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .try_into_recovered()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let hash = tx.tx_hash();
        builder.push(tx).unwrap_or_else(|error| panic!("{name}: {hash}: {error}"));
    }
    let parts = builder.finish().expect("the block ends");

    let changes = HashedPostState::from_bundle(&parts.output.bundle);
    let output = state_root(before.witness(), parent.state_root, &changes)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let passer = keccak256(L2_TO_L1_MESSAGE_PASSER_ADDRESS);
    let passer = match output.accounts.get(&passer) {
        Some(account) => *account,
        // Not touched by any of these blocks, and its root not needed before Isthmus.
        None => before.witness().account(passer).unwrap_or_default(),
    };
    let (receipts_root, logs_bloom) =
        receipts_root_and_bloom(&parts.output.receipts, &**spec, timestamp);
    let roots = HeaderRoots {
        state_root: output.state_root,
        transactions_root: transactions_root(&parts.transactions),
        receipts_root,
        logs_bloom,
        message_passer_root: passer.map(|account| account.storage_root).unwrap_or_default(),
    };
    let header = assemble_header(&**spec, &parts, &roots);
    assert_eq!(header.hash_slow(), vector.expected_block_hash, "{name}: {header:#?}");

    // The same block as it comes from outside: executed a second time, by the other way in.
    let (block, built) = parts.into_block(header);
    validate_header(spec, block.header(), &parent).expect("the header is valid");
    validate_block_pre_execution(spec, &block).expect("the body is valid");
    let output = config.execute(&before, &block).expect("the block executes");
    validate_post_execution(block.header(), &output, receipts_root, logs_bloom)
        .expect("the outcome is the header's");
    assert_eq!(output.receipts, built.receipts, "{name}");
    assert_eq!(output.bundle, built.bundle, "{name}");
}
