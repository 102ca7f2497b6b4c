//! The sequencer over fake chains, in stopped time.

use crate::{
    AdminError, L2Block, Sequencer, SequencerConfig, SequencerError, SequencerHandle,
    clock::Clock,
    ports::ChainError,
    test_chain::{FakeChain, FakeL1, GENESIS_TIME, L1_BLOCK_TIME, rollup},
};
use alloy_primitives::B256;
use ascribe_l1::L1Receipt;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

struct Setup {
    l1: FakeL1,
    l2: FakeChain,
    handle: SequencerHandle,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), SequencerError>>,
    clock: Clock,
}

impl Setup {
    /// A sequencer that starts so many seconds after the genesis.
    async fn start(l1: FakeL1, config: SequencerConfig, after: u64) -> Self {
        let l2 = FakeChain::new();
        let unix = Duration::from_secs(GENESIS_TIME + after);
        let clock = Clock::Tokio { start: Instant::now(), unix };
        let (sequencer, handle) =
            Sequencer::new(config, Arc::new(rollup()), l1.clone(), l2.clone()).expect("consistent");
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(sequencer.with_clock(clock).run(shutdown.clone()));
        Self { l1, l2, handle, shutdown, running, clock }
    }

    fn head(&self) -> u64 {
        self.l2.head_now().header.number
    }

    fn head_hash(&self) -> B256 {
        self.l2.head_now().header.hash()
    }

    fn origins(&self) -> Vec<u64> {
        let origin = |block: &L2Block| block.block_ref(&rollup()).expect("attributes");
        self.l2.sequenced().iter().map(|(block, _)| origin(block).l1_origin.number).collect()
    }

    /// Lets time pass, an L1 block every so often.
    async fn run_with_l1(&self, seconds: u64) {
        for second in 1..=seconds {
            sleep(Duration::from_secs(1)).await;
            if second % L1_BLOCK_TIME == 0 {
                self.l1.extend(1);
            }
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.expect("no panic").expect("no fatal error");
        assert!(!self.handle.active());
        assert_eq!(self.handle.stop().await, Err(AdminError::Closed));
        assert_eq!(self.l2.jobs(), 0, "nothing is left under way");
    }
}

fn unconfirmed() -> SequencerConfig {
    SequencerConfig { l1_confs: 0, ..SequencerConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn blocks_come_on_time() {
    let setup = Setup::start(FakeL1::new(), unconfirmed(), 0).await;
    // Sealed 50 ms before its time, and not earlier.
    sleep(Duration::from_millis(1_940)).await;
    assert_eq!(setup.head(), 0);
    sleep(Duration::from_millis(20)).await;
    assert_eq!(setup.head(), 1);
    for number in 2..=10 {
        sleep(Duration::from_secs(2)).await;
        assert_eq!(setup.head(), number);
        let time = setup.l2.head_now().header.timestamp;
        assert_eq!(time, GENESIS_TIME + 2 * number);
        assert_eq!(setup.clock.now().as_secs(), time - 1);
    }
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_genesis_in_the_future_is_waited_for() {
    let l1 = FakeL1::new();
    let l2 = FakeChain::new();
    let unix = Duration::from_secs(GENESIS_TIME - 100);
    let clock = Clock::Tokio { start: Instant::now(), unix };
    let (sequencer, _) =
        Sequencer::new(unconfirmed(), Arc::new(rollup()), l1, l2.clone()).expect("consistent");
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(sequencer.with_clock(clock).run(shutdown.clone()));
    sleep(Duration::from_millis(99_900)).await;
    assert_eq!(l2.jobs(), 0, "no block is begun early");
    sleep(Duration::from_millis(2_100)).await;
    assert_eq!(l2.head_now().header.number, 1);
    shutdown.cancel();
    running.await.expect("no panic").expect("no fatal error");
}

#[tokio::test(start_paused = true)]
async fn origins_follow_the_l1() {
    let setup = Setup::start(FakeL1::new(), unconfirmed(), 0).await;
    setup.run_with_l1(120).await;
    let origins = setup.origins();
    assert!(origins.is_sorted_by(|a, b| b - a <= 1), "{origins:?}");
    // The L1 block of a time is there just as the L2 block of that time is begun, or a block later.
    assert!(*origins.last().expect("blocks") >= 9);
    for (block, attributes) in setup.l2.sequenced() {
        let at = block.block_ref(&rollup()).expect("attributes");
        assert!(at.timestamp >= GENESIS_TIME + L1_BLOCK_TIME * at.l1_origin.number);
        assert_eq!(attributes.no_tx_pool, Some(false));
    }
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn origins_wait_for_confirmations() {
    let config = SequencerConfig { l1_confs: 4, ..SequencerConfig::default() };
    let setup = Setup::start(FakeL1::new(), config, 0).await;
    // The newest L1 block is 10 then, for a few seconds.
    setup.run_with_l1(126).await;
    assert_eq!(setup.origins().last(), Some(&6));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_made_up_without_waiting() {
    let l1 = FakeL1::new();
    l1.extend(100);
    let setup = Setup::start(l1, unconfirmed(), 1_200).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(setup.head(), 601);
    // Each on the newest origin that was possible.
    for (block, _) in setup.l2.sequenced() {
        let at = block.block_ref(&rollup()).expect("attributes");
        let newest = (at.timestamp - GENESIS_TIME) / L1_BLOCK_TIME;
        assert_eq!(at.l1_origin.number, newest.min(100), "{at}");
    }
    setup.run_with_l1(60).await;
    // Once caught up, blocks keep their pace.
    assert_eq!(setup.head(), 631);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_l1_outage_does_not_stop_blocks_within_the_drift() {
    let setup = Setup::start(FakeL1::new(), unconfirmed(), 0).await;
    setup.run_with_l1(60).await;
    setup.l1.fail(true);
    let before = setup.head();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(setup.head(), before + 300);
    let origin = *setup.origins().last().expect("blocks");
    // The drift is used up at origin time + 1,800 s; then nothing may be built.
    sleep(Duration::from_secs(2_000)).await;
    let last = setup.l2.head_now().header.timestamp;
    assert_eq!(last, GENESIS_TIME + L1_BLOCK_TIME * origin + 1_800);
    assert_eq!(*setup.origins().last().expect("blocks"), origin);
    // The L1 comes back with what it has missed, and so does the chain.
    setup.l1.fail(false);
    let missed = (setup.clock.now().as_secs() - GENESIS_TIME) / L1_BLOCK_TIME;
    setup.l1.extend(missed - 5);
    setup.run_with_l1(120).await;
    let due = setup.clock.now().as_secs() + 1;
    assert!(setup.l2.head_now().header.timestamp + 2 >= due, "caught up");
    assert!(*setup.origins().last().expect("blocks") > missed - 10);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn late_l1_blocks_leave_deposits_only() {
    let l1 = FakeL1::new();
    let setup = Setup::start(l1, unconfirmed(), 0).await;
    sleep(Duration::from_secs(10)).await;
    // The next L1 block comes an hour later than the last.
    setup.l1.extend_after(3_600);
    sleep(Duration::from_secs(3_580)).await;
    let sequenced = setup.l2.sequenced();
    for (block, attributes) in &sequenced {
        let closed = block.header.timestamp > GENESIS_TIME + 1_800;
        assert_eq!(attributes.no_tx_pool, Some(closed), "{}", block.header.timestamp);
    }
    assert!(sequenced.len() > 1_700, "blocks never stopped");
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reorg_of_the_l1_takes_back_what_stands_on_it() {
    let setup = Setup::start(FakeL1::new(), unconfirmed(), 0).await;
    setup.run_with_l1(60).await;
    let origin = *setup.origins().last().expect("blocks");
    let before = setup.head();
    assert!(origin >= 3);
    // The last two origins become others.
    setup.l1.reorg(origin as usize - 2, 3);
    sleep(Duration::from_millis(10)).await;
    let rewound = setup.l2.head_now().block_ref(&rollup()).expect("attributes");
    assert_eq!(rewound.l1_origin, setup.l1.id(origin - 2));
    assert!(rewound.number < before);
    setup.run_with_l1(60).await;
    // Everything stands on the new branch now, and the time lost is made up.
    let mut block = setup.l2.head_now();
    assert!(block.header.number >= before + 28);
    while block.header.number > 0 {
        let at = block.block_ref(&rollup()).expect("attributes");
        assert_eq!(at.l1_origin, setup.l1.id(at.l1_origin.number));
        block = crate::L2Chain::block(&setup.l2, at.parent_hash).expect("read").expect("there");
    }
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reorg_within_the_confirmations_goes_unnoticed() {
    let config = SequencerConfig { l1_confs: 4, ..SequencerConfig::default() };
    let setup = Setup::start(FakeL1::new(), config, 0).await;
    setup.run_with_l1(120).await;
    let (before, head) = (setup.head(), setup.head_hash());
    setup.l1.reorg(7, 4);
    sleep(Duration::from_millis(10)).await;
    assert_eq!((setup.head(), setup.head_hash()), (before, head));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(setup.head(), before + 5);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn start_and_stop_as_op_node_does() {
    let config = SequencerConfig { stopped: true, ..unconfirmed() };
    let setup = Setup::start(FakeL1::new(), config, 0).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!((setup.head(), setup.handle.active()), (0, false));
    let handle = setup.handle.clone();
    assert_eq!(handle.stop().await.expect_err("stopped").to_string(), "sequencer not running");
    let wrong = handle.start(B256::repeat_byte(1)).await.expect_err("another block");
    let genesis = setup.head_hash();
    assert_eq!(
        wrong.to_string(),
        format!("block hash does not match: head {genesis}:0, received {}", B256::repeat_byte(1))
    );
    handle.start(genesis).await.expect("started");
    assert!(handle.active());
    let again = handle.start(genesis).await.expect_err("started");
    assert_eq!(again.to_string(), "sequencer already running");
    sleep(Duration::from_secs(21)).await;
    assert!(setup.head() >= 10);
    // The block under way is given up.
    assert_eq!(handle.stop().await, Ok(setup.head_hash()));
    assert!(!handle.active());
    assert_eq!(setup.l2.jobs(), 0);
    let head = setup.head();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(setup.head(), head);
    // Others may go on meanwhile.
    let origin = setup.l1.id(0);
    let hash = setup.l2.append(origin, 40);
    sleep(Duration::from_millis(1)).await;
    handle.start(hash).await.expect("started on their block");
    sleep(Duration::from_secs(4)).await;
    assert!(setup.head() > head + 1);
    setup.stop().await;

    let config = SequencerConfig { enabled: false, ..unconfirmed() };
    let setup = Setup::start(FakeL1::new(), config, 0).await;
    let error = setup.handle.start(genesis).await.expect_err("not enabled");
    assert_eq!(error.to_string(), "sequencer is not enabled");
    assert!(!setup.handle.active());
    setup.shutdown.cancel();
    setup.running.await.expect("no panic").expect("no error");
}

#[tokio::test(start_paused = true)]
async fn stop_waits_for_the_sealed_block() {
    let setup = Setup::start(FakeL1::new(), unconfirmed(), 0).await;
    sleep(Duration::from_millis(1_900)).await;
    // The block is sealed; making it the head fails twice.
    let failure = || ChainError::Temporary("disk full".to_owned());
    setup.l2.fail_inserts(vec![failure(), failure()]);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(setup.head(), 0);
    let handle = setup.handle.clone();
    let (head, second) = tokio::join!(handle.stop(), handle.stop());
    assert_eq!(head, Ok(setup.head_hash()));
    assert_eq!(second, Err(AdminError::AlreadyStopped));
    assert_eq!(setup.head(), 1);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_engine_recovers() {
    let setup = Setup::start(FakeL1::new(), unconfirmed(), 0).await;
    sleep(Duration::from_secs(3)).await;
    let errors: [(ChainError, u64); 4] = [
        (ChainError::Temporary("busy".to_owned()), 2),
        (ChainError::Syncing, 31),
        (ChainError::Invalid("bad".to_owned()), 3),
        (ChainError::Inconsistent("labels".to_owned()), 3),
    ];
    for (error, seconds) in errors {
        let text = error.to_string();
        let before = setup.head();
        setup.l2.fail_with(vec![error]);
        sleep(Duration::from_secs(2 * seconds + 4)).await;
        let due = (setup.clock.now().as_secs() - GENESIS_TIME) / 2;
        assert!(setup.head() > before && setup.head() + 1 >= due, "{text}: {}", setup.head());
    }
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn labels_stay_or_start_at_the_genesis() {
    let setup = Setup::start(FakeL1::new(), unconfirmed(), 0).await;
    sleep(Duration::from_secs(20)).await;
    let labels = setup.l2.labels_now();
    assert_eq!(labels.safe.map(|it| it.number), Some(0));
    assert_eq!(labels.finalized.map(|it| it.number), Some(0));
    setup.l2.set_safe(5);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(setup.l2.labels_now().safe.map(|it| it.number), Some(5));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_head_waits_for_the_safe_head() {
    let config = SequencerConfig { max_safe_lag: 5, ..unconfirmed() };
    let setup = Setup::start(FakeL1::new(), config, 0).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(setup.head(), 5);
    setup.l2.set_safe(3);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(setup.head(), 8);
    setup.handle.set_max_safe_lag(0).await.expect("set");
    sleep(Duration::from_secs(10)).await;
    assert!(setup.head() > 30, "what was missed is made up");
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn recover_mode_takes_every_origin_and_no_users() {
    let l1 = FakeL1::new();
    l1.extend(100);
    let config = SequencerConfig { recover: true, ..unconfirmed() };
    let setup = Setup::start(l1, config, 1_200).await;
    sleep(Duration::from_secs(10)).await;
    for (block, attributes) in setup.l2.sequenced() {
        assert_eq!(attributes.no_tx_pool, Some(true));
        let at = block.block_ref(&rollup()).expect("attributes");
        let newest = (at.timestamp - GENESIS_TIME) / L1_BLOCK_TIME;
        assert_eq!(at.l1_origin.number, newest.min(100), "no origin is put off");
    }
    setup.handle.set_recover_mode(false).await.expect("set");
    sleep(Duration::from_secs(10)).await;
    let (_, last) = setup.l2.sequenced().pop().expect("blocks");
    assert_eq!(last.no_tx_pool, Some(false));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_deposit_is_fatal() {
    let l1 = FakeL1::new();
    let rollup = rollup();
    let topic = ascribe_chainspec::deposit::DEPOSIT_TOPIC;
    let log = crate::test_chain::log(rollup.deposit_contract_address, vec![topic], &[]);
    l1.set_receipts(1, vec![L1Receipt { success: true, logs: vec![log] }]);
    let setup = Setup::start(l1, unconfirmed(), 0).await;
    setup.run_with_l1(30).await;
    let error = setup.running.await.expect("no panic").expect_err("fatal");
    assert!(matches!(error, SequencerError::Attributes(_)), "{error}");
}
