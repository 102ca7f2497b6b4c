//! The different indices that a column uses.

use super::{Coder, Fault, number::Numbers};

/// Words a list has at most. Halving counts takes a step for each; with so few it stays rare.
pub(crate) const MAX_WORDS: usize = 1 << 16;

/// Codes an ascending list without repetition of words that are used `uses` times: how many, the first,
/// and the gaps between them. Symbols stand for places in this list, so that a model is never larger than
/// what the batch uses, whatever the indices are.
pub(crate) fn code(words: &mut Vec<u32>, uses: usize, coder: &mut impl Coder) -> Result<(), Fault> {
    let count = Numbers::new(32).code(coder, || words.len() as u32 - 1)? as usize + 1;
    if count > uses.min(MAX_WORDS) {
        return Err(Fault::TooManyWords);
    }
    words.resize(count, 0);
    let mut gaps = Numbers::new(32);
    let mut next = Some(0_u32);
    for word in words {
        let least = next.ok_or(Fault::WordTooLarge)?;
        let gap = gaps.code(coder, || *word - least)?;
        *word = least.checked_add(gap).ok_or(Fault::WordTooLarge)?;
        next = word.checked_add(1);
    }
    Ok(())
}
