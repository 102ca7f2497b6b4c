//! Records as a busy service makes them: the reference workload, and shapes that strain the format.

use ascribe_attribution::{Record, Share, WHOLE};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// Probabilities of 1 to 8 shares, in 1/100.
const SHARES: [u32; 8] = [25, 25, 20, 12, 8, 5, 3, 2];

/// What the records are like.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    /// Adapters, of which the k-th most popular has 1/k of the requests of the most popular; which is
    /// which is random.
    pub(crate) adapters: u32,
    /// Sources of each adapter; source k - 1 has 1/k^0.9 of the uses of the first.
    pub(crate) sources: u32,
    /// Shares of each record; as the reference has them if `None`.
    pub(crate) shares: Option<u32>,
    /// Whether each source gets the same; else all splits are equally likely.
    pub(crate) equal: bool,
    /// Requests per second, on average.
    pub(crate) rate: f64,
    /// All follows from it.
    pub(crate) seed: u64,
}

impl Workload {
    /// The reference workload.
    pub(crate) const REFERENCE: Self =
        Self { adapters: 1_000, sources: 200, shares: None, equal: false, rate: 20.0, seed: 1 };

    /// Records in order of time.
    pub(crate) fn records(&self, count: usize) -> Vec<Record> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let popularity = Zipf::new(self.adapters, 1.0);
        let use_of_sources = Zipf::new(self.sources, 0.9);
        let mut adapters: Vec<u32> = (0..self.adapters).collect();
        adapters.shuffle(&mut rng);
        let mut time = 0.0;
        (0..count)
            .map(|_| {
                time += -(1.0 - rng.random::<f64>()).ln() / self.rate;
                let adapter = adapters[popularity.draw(&mut rng)];
                let shares = self.shares.unwrap_or_else(|| shares(&mut rng)).min(self.sources);
                let mut sources = BTreeSet::new();
                while sources.len() < shares as usize {
                    sources.insert(use_of_sources.draw(&mut rng) as u32);
                }
                let weights = self.weights(shares, &mut rng);
                Record {
                    adapter,
                    prompt_tokens: log_normal(5.3, 1.0, 32_000.0, &mut rng),
                    completion_tokens: log_normal(5.0, 0.8, 8_000.0, &mut rng),
                    time: time as u32,
                    shares: sources
                        .into_iter()
                        .zip(weights)
                        .map(|(source, weight)| Share { source, weight })
                        .collect(),
                }
            })
            .collect()
    }

    /// A split of the whole into `shares` parts of at least one: a flat Dirichlet distribution in steps.
    fn weights(&self, shares: u32, rng: &mut impl Rng) -> Vec<u16> {
        let mut cuts: BTreeSet<u32> = BTreeSet::new();
        if self.equal {
            cuts.extend((1..shares).map(|at| WHOLE * at / shares));
        }
        while cuts.len() + 1 < shares as usize {
            cuts.insert(rng.random_range(1..WHOLE));
        }
        cuts.insert(WHOLE);
        let mut before = 0;
        cuts.into_iter().map(|cut| (cut - std::mem::replace(&mut before, cut)) as u16).collect()
    }
}

fn shares(rng: &mut impl Rng) -> u32 {
    let mut place = rng.random_range(0..100);
    let mut count = 1;
    for share in SHARES {
        if place < share {
            break;
        }
        place -= share;
        count += 1;
    }
    count
}

fn log_normal(mean: f64, deviation: f64, most: f64, rng: &mut impl Rng) -> u32 {
    // Box and Muller.
    let (radius, angle) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
    let normal = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
    deviation.mul_add(normal, mean).exp().clamp(1.0, most) as u32
}

/// Item k - 1 of `n` with probability in proportion to `1 / k^exponent`.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(items: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums: Vec<f64> = (1..=items)
            .map(|rank| {
                sum += f64::from(rank).powf(-exponent);
                sum
            })
            .collect();
        Self(sums)
    }

    fn draw(&self, rng: &mut impl Rng) -> usize {
        let all = self.0.last().copied().unwrap_or_default();
        let place = rng.random::<f64>() * all;
        self.0.partition_point(|sum| *sum <= place).min(self.0.len() - 1)
    }
}
