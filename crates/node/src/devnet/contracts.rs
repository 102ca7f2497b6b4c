//! What the rollup needs on its L1: somewhere to deposit, and somewhere to be configured.

use std::time::Duration;

use alloy_network::{EthereumWallet, TransactionBuilder};
use alloy_primitives::{Address, Bytes};
use alloy_provider::{PendingTransactionBuilder, Provider, ProviderBuilder};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolValue;
use alloy_transport::TransportError;
use ascribe_chainspec::genesis::{Artifacts, DevnetConfig, GenesisError};
use tracing::info;

/// How long the L1 may take to include a transaction.
const INCLUSION: Duration = Duration::from_secs(120);

/// Contracts that could not be created.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// They have not been built.
    #[error(transparent)]
    Artifacts(#[from] GenesisError),
    /// The deployer is nobody that we can sign for.
    #[error(
        "the devnet configuration has l1.deployer = {0}, which none of its accounts with a key is"
    )]
    NoKey(Address),
    /// The L1 does not answer, or refuses the transaction.
    #[error("cannot create {contract} on the L1 as {deployer}: {source}")]
    Refused {
        /// What.
        contract: &'static str,
        /// By whom; it may have no ether there.
        deployer: Address,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The transaction was included and failed.
    #[error("{0} could not be created on the L1: the transaction reverted")]
    Reverted(&'static str),
    /// The L1 cannot be asked.
    #[error("the L1 at {url} does not answer: {source}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        source: TransportError,
    },
}

/// Makes sure that the L1 at `url` has a `SystemConfig` and a portal, and that `config` names them.
/// What is already there stays.
pub(super) async fn ensure(
    url: &str,
    config: &mut DevnetConfig,
    artifacts: &Artifacts,
) -> Result<(), DeployError> {
    let unreachable = |source| DeployError::Unreachable { url: url.to_owned(), source };
    let deployer = config.l1.deployer;
    let key = config.key_of(deployer).ok_or(DeployError::NoKey(deployer))?;
    let signer = PrivateKeySigner::from_bytes(&key).map_err(|_| DeployError::NoKey(deployer))?;
    let provider = ProviderBuilder::new().wallet(EthereumWallet::from(signer));
    let provider = provider.connect(url).await.map_err(unreachable)?;

    config.l1.chain_id = provider.get_chain_id().await.map_err(unreachable)?;
    let mut there = true;
    for address in [config.rollup.system_config, config.rollup.deposit_contract] {
        let code = provider.get_code_at(address).await.map_err(unreachable)?;
        there &= !code.is_empty();
    }
    if there {
        return Ok(());
    }
    let owner = config.contracts.proxy_admin_owner.abi_encode();
    let system = artifacts.creation_code("DevnetSystemConfig")?;
    let portal = artifacts.creation_code("DevnetPortal")?;
    // Both are sent before either is included: one L1 block is enough.
    let mut sent = Vec::with_capacity(2);
    for (contract, code) in [
        ("DevnetSystemConfig", [system.as_ref(), &owner].concat().into()),
        ("DevnetPortal", portal),
    ] {
        let failed = |source: TransportError| refused(contract, deployer, source);
        let request = TransactionRequest::default().with_deploy_code::<Bytes>(code);
        sent.push((contract, provider.send_transaction(request).await.map_err(failed)?));
    }
    let mut created = Vec::with_capacity(2);
    for (contract, pending) in sent {
        created.push(address_of(contract, deployer, pending).await?);
    }
    config.rollup.system_config = created[0];
    config.rollup.deposit_contract = created[1];
    info!(
        target: "ascribe::devnet",
        system_config = %created[0],
        portal = %created[1],
        "Contracts created on L1"
    );
    Ok(())
}

/// Waits for the transaction that creates `contract`.
async fn address_of(
    contract: &'static str,
    deployer: Address,
    pending: PendingTransactionBuilder<alloy_network::Ethereum>,
) -> Result<Address, DeployError> {
    let receipt = pending.with_timeout(Some(INCLUSION)).get_receipt().await;
    let receipt = receipt.map_err(|source| refused(contract, deployer, source))?;
    match receipt.contract_address {
        Some(address) if receipt.status() => Ok(address),
        _ => Err(DeployError::Reverted(contract)),
    }
}

fn refused(
    contract: &'static str,
    deployer: Address,
    source: impl std::error::Error + Send + Sync + 'static,
) -> DeployError {
    DeployError::Refused { contract, deployer, source: Box::new(source) }
}
