#!/usr/bin/env python3
"""Attribution batches, version 1, read as docs/attribution-format.md has them.

A second implementation, made from that document alone and with nothing but Python's standard library:
the judge of the first (crates/attribution) and of the document. Chapters in brackets are the document's.

    scripts/attribution.py decode FILE|-       a batch, raw or in hexadecimal: its header and then its
                                               records, a line of JSON each
    scripts/attribution.py test VECTORS.json   everything in crates/attribution/vectors/batches.json
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, NoReturn, Sequence

VERSION = 1
MOST_BYTES = 524_288
MOST_RECORDS = 65_536
WHOLE = 10_000
MAX_WORDS = 65_536
"""What the weights of a record, and the shares of rates, add up to."""


class Invalid(ValueError):
    """Bytes or values that the document doesn't allow; says which rule they break."""


# Keccak-256, with the padding from before SHA-3, which is why hashlib's is another function.

def _round_constants() -> list[int]:
    constants, lfsr = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            constant |= (lfsr & 1) << ((1 << j) - 1)
            lfsr = lfsr << 1 ^ (0x171 if lfsr & 0x80 else 0)
        constants.append(constant)
    return constants


def _moves() -> list[tuple[int, int, int]]:
    """Where each lane of the state goes (rho and pi): from, to, bits that it rotates by."""
    moves, x, y = [(0, 0, 0)], 1, 0
    for t in range(24):
        moves.append((x + 5 * y, y + 5 * ((2 * x + 3 * y) % 5), (t + 1) * (t + 2) // 2 % 64))
        x, y = y, (2 * x + 3 * y) % 5
    return moves


_CONSTANTS, _MOVES, _LANE = _round_constants(), _moves(), (1 << 64) - 1
_NEXT = [(i, i - i % 5 + (i + 1) % 5, i - i % 5 + (i + 2) % 5) for i in range(25)]


def _permute(a: list[int]) -> list[int]:
    b = [0] * 25
    for constant in _CONSTANTS:
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[x - 1] ^ (c[x - 4] << 1 & _LANE | c[x - 4] >> 63) for x in range(5)]
        for source, target, bits in _MOVES:
            lane = a[source] ^ d[source % 5]
            b[target] = lane << bits & _LANE | lane >> 64 - bits
        a = [b[i] ^ ~b[j] & b[k] for i, j, k in _NEXT]
        a[0] ^= constant
    return a


def keccak256(data: bytes) -> bytes:
    """The hash of Ethereum."""
    rate = 136
    padded = bytearray(data + bytes(rate - len(data) % rate))
    padded[len(data)] ^= 0x01
    padded[-1] ^= 0x80
    state = [0] * 25
    for at in range(0, len(padded), rate):
        for i in range(rate // 8):
            state[i] ^= int.from_bytes(padded[at + 8 * i:at + 8 * i + 8], "little")
        state = _permute(state)
    return b"".join(lane.to_bytes(8, "little") for lane in state[:4])


def to_hex(data: bytes) -> str:
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    return bytes.fromhex(text[2:] if text.startswith("0x") else text)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


# The range coder [3] and the models [4].

class Columns:
    """The range coder's reader. `column` is the one being read, for whoever has to be told."""

    def __init__(self, data: bytes) -> None:
        self.data, self.taken, self.column = data, 0, ""
        self.offset, self.range = 0, 1 << 56
        for _ in range(7):
            self._take()

    def at(self, column: str) -> Columns:
        self.column = column
        return self

    def refuse(self, why: str) -> NoReturn:
        raise Invalid(f"{self.column}: {why}")

    def _take(self) -> None:
        byte = self.data[self.taken] if self.taken < len(self.data) else 0
        self.offset, self.taken = self.offset << 8 | byte, self.taken + 1

    def symbol(self, total: int, find: Callable[[int], tuple[int, int, int]]) -> int:
        """A symbol; `find` says which one has a place among `total`, and its part: from, to."""
        unit = self.range // total
        place = self.offset // unit
        if place >= total:
            self.refuse("a place behind the last symbol")
        symbol, start, end = find(place)
        self.offset -= unit * start
        self.range = unit * (end - start)
        while self.range < 1 << 48:
            self.range <<= 8
            self._take()
        return symbol

    def one_of(self, n: int) -> int:
        """One of `n`, all equally likely."""
        return 0 if n == 1 else self.symbol(n, lambda place: (place, place, place + 1))

    def finish(self) -> None:
        """Refuses any number but the shortest, and of those the smallest, of the last interval."""
        length = len(self.data)
        if length == 0:
            return
        if self.data[-1] == 0 or length > self.taken:
            self.refuse("bytes that mean nothing")
        if self.taken - length >= 7:
            return
        unit = 1 << 8 * (self.taken - length)
        if self.offset >= unit:
            self.refuse("a smaller number would do")
        if self.offset + (256 - self.data[-1]) * unit < self.range:
            self.refuse("a shorter number would do")


def power(x: int, d: int) -> int:
    """`x` to the `d`-th, both in and out fractions in 1/2^31."""
    result = 1 << 31
    while True:
        if d & 1:
            result = result * x >> 31
        d >>= 1
        if d == 0:
            return result
        x = x * x >> 31


class Frequencies:
    """Counts of symbols that learn, in a Fenwick tree."""

    MOST = 1 << 20

    def __init__(self, symbols: int, start: int, step: int) -> None:
        self.counts, self.step = [start] * symbols, step
        self._build()

    def _build(self) -> None:
        self.total = sum(self.counts)
        self.tree = [0] + self.counts
        for i in range(1, len(self.tree)):
            parent = i + (i & -i)
            if parent < len(self.tree):
                self.tree[parent] += self.tree[i]

    def before(self, symbol: int) -> int:
        """The sum of the counts of the symbols below."""
        result = 0
        while symbol:
            result += self.tree[symbol]
            symbol &= symbol - 1
        return result

    def learn(self, symbol: int) -> None:
        self.counts[symbol] += self.step
        if self.total + self.step > self.MOST:
            self.counts = [count - count // 2 for count in self.counts]
            self._build()
            return
        self.total += self.step
        at = symbol + 1
        while at < len(self.tree):
            self.tree[at] += self.step
            at += at & -at

    def _find(self, place: int, scale: Callable[[int], int]) -> tuple[int, int, int]:
        """The last symbol whose `scale(before)` isn't above the place, and its part, scaled."""
        symbol, before = 0, 0
        step = 1 << len(self.counts).bit_length() - 1
        while step:
            if symbol + step < len(self.tree) and scale(before + self.tree[symbol + step]) <= place:
                symbol += step
                before += self.tree[symbol]
            step >>= 1
        return symbol, scale(before), scale(before + self.counts[symbol])

    def read_one(self, columns: Columns) -> int:
        """A symbol, not learned."""
        return columns.symbol(self.total, lambda place: self._find(place, lambda p: p))

    def read(self, columns: Columns) -> int:
        """A symbol, learned."""
        symbol = self.read_one(columns)
        self.learn(symbol)
        return symbol

    def read_smallest(self, columns: Columns, d: int, after: int) -> int:
        """The smallest of `d` symbols, not before `after`; not learned."""
        total = self.total
        inverse = (1 << 62) // (total - after)

        def scale(p: int) -> int:
            if p <= after:
                return 0
            if d == 1:
                return p - after
            return (1 << 31) - power((total - p) * inverse >> 31, d) + ((p - after) * inverse >> 40) + 1

        return columns.symbol(scale(total), lambda place: self._find(place, scale))


class Numbers:
    """Numbers of at most so many bits."""

    def __init__(self, bits: int) -> None:
        self.frequencies = Frequencies(4 * (bits - 1), 1, 24)

    def read(self, columns: Columns) -> int:
        symbol = self.frequencies.read(columns)
        if symbol < 8:
            return symbol
        k = symbol // 4 - 1
        return ((4 + symbol % 4) << k) + columns.one_of(1 << k)


class Words:
    """An ascending list of indices, the frequencies over them, and which are still to be used."""

    def __init__(self, columns: Columns, uses: int) -> None:
        count = Numbers(32).read(columns) + 1
        if count > min(uses, MAX_WORDS):
            columns.refuse(f"{count} different indices for {uses} uses")
        steps, self.words = Numbers(32), []
        for _ in range(count):
            self.words.append((self.words[-1] + 1 if self.words else 0) + steps.read(columns))
            if self.words[-1] >= 1 << 32:
                columns.refuse("an index of more than 32 bits")
        self.frequencies = Frequencies(count, 2, 3)
        self.unused, self.uses = set(range(count)), uses

    def use(self, columns: Columns, symbols: Iterable[int]) -> list[int]:
        """Learns the symbols and gives their words. Refuses as soon as some words cannot be used any more:
        the rest could be long."""
        words = []
        for symbol in symbols:
            self.frequencies.learn(symbol)
            self.unused.discard(symbol)
            self.uses -= 1
            words.append(self.words[symbol])
        if len(self.unused) > self.uses:
            columns.refuse("an index that nothing uses")
        return words


# Header [1], records [2], columns [5].

HEADER_FIELDS = {"version": 1, "chainId": 8, "hub": 20, "model": 4, "operator": 20, "sequence": 8,
                 "timeBase": 8, "detailRoot": 32, "records": 4, "columns": 4}
"""Bytes of each, with the names that the vectors give them."""
HEADER = sum(HEADER_FIELDS.values())


@dataclass
class Record:
    adapter: int
    prompt_tokens: int
    completion_tokens: int
    time: int
    shares: list[tuple[int, int]]
    """Source and weight."""

    def to_json(self) -> dict[str, Any]:
        shares = [{"source": source, "weight": weight} for source, weight in self.shares]
        return {**vars(self), "shares": shares}


@dataclass
class Batch:
    header_bytes: bytes
    header: dict[str, int]
    records: list[Record]

    def header_json(self) -> dict[str, Any]:
        """The header but for what its encoding implies."""
        implied, in_hexadecimal = ("version", "records", "columns"), ("hub", "operator", "detailRoot")
        return {name: to_hex(value.to_bytes(HEADER_FIELDS[name], "big")) if name in in_hexadecimal else value
                for name, value in self.header.items() if name not in implied}


def decode(data: bytes) -> Batch:
    """The batch that these bytes are; raises `Invalid` if they are none."""
    if len(data) < HEADER:
        raise Invalid(f"header: {len(data)} bytes, it has {HEADER}")
    if len(data) > MOST_BYTES:
        raise Invalid(f"{len(data)} bytes, a batch has at most {MOST_BYTES}")
    header, at = {}, 0
    for name, size in HEADER_FIELDS.items():
        header[name] = int.from_bytes(data[at:at + size], "big")
        at += size
    if header["version"] != VERSION:
        raise Invalid(f"header: version {header['version']} is not known")
    if not 1 <= header["records"] <= MOST_RECORDS:
        raise Invalid(f"header: {header['records']} records, a batch has 1 to {MOST_RECORDS}")
    if header["columns"] != len(data) - HEADER:
        raise Invalid(f"header: {header['columns']} bytes of columns announced, {len(data) - HEADER} follow")
    records = _read_columns(Columns(data[HEADER:]), header["records"])
    if header["timeBase"] + records[-1].time >= 1 << 64:
        raise Invalid("header: the time base and a record's time exceed 64 bits")
    return Batch(data[:HEADER], header, records)


def _read_columns(columns: Columns, n: int) -> list[Record]:
    ordered = columns.at("order").one_of(2) == 1
    times, runs = _read_times(columns.at("times"), n)
    adapters = _read_adapters(columns.at("adapters"), n, runs, ordered)
    order = list(zip(times, adapters))
    if not ordered and order == sorted(order):
        columns.refuse("records in order that are said not to be")
    counts = _read_all(columns.at("numbers of shares"), Frequencies(16, 1, 8), n)
    sources = _read_sources(columns.at("sources"), [count + 1 for count in counts])
    weights = _read_weights(columns.at("weights"), [count + 1 for count in counts])
    prompt = _read_all(columns.at("prompt tokens"), Numbers(24), n)
    completion = _read_all(columns.at("completion tokens"), Numbers(24), n)
    columns.at("end of the columns").finish()
    return [Record(adapters[i], prompt[i], completion[i], times[i], list(zip(sources[i], weights[i])))
            for i in range(n)]


def _read_all(columns: Columns, model: Frequencies | Numbers, n: int) -> list[int]:
    return [model.read(columns) for _ in range(n)]


def _read_times(columns: Columns, n: int) -> tuple[list[int], list[int]]:
    """Each record's time, and how many records each time has."""
    gaps, lengths = Numbers(32), Numbers(16)
    times: list[int] = []
    runs: list[int] = []
    while len(times) < n:
        time = (times[-1] + 1 if times else 0) + gaps.read(columns)
        if time >= 1 << 32:
            columns.refuse("a time of more than 32 bits")
        run = lengths.read(columns) + 1
        if run > n - len(times):
            columns.refuse("more records at one time than there are left")
        times += [time] * run
        runs.append(run)
    return times, runs


def _read_adapters(columns: Columns, n: int, runs: list[int], ordered: bool) -> list[int]:
    words = Words(columns, n)
    frequencies = words.frequencies
    adapters: list[int] = []
    for run in runs:
        after, symbols = 0, []
        for d in range(run, 0, -1):
            if ordered:
                symbol = frequencies.read_smallest(columns, d, after)
                after = max(after, frequencies.before(symbol) + frequencies.counts[symbol] // 2)
                symbols.append(symbol)
            else:
                adapters += words.use(columns, [frequencies.read_one(columns)])
        adapters += words.use(columns, symbols)
    return adapters


def _read_sources(columns: Columns, shares: list[int]) -> list[list[int]]:
    words = Words(columns, sum(shares))
    frequencies = words.frequencies
    sources = []
    for m in shares:
        after, symbols = 0, []
        for d in range(m, 0, -1):
            if after == frequencies.total:
                columns.refuse("sources that don't ascend")
            symbols.append(frequencies.read_smallest(columns, d, after))
            after = frequencies.before(symbols[-1] + 1)
        sources.append(words.use(columns, symbols))
    return sources


@lru_cache(maxsize=None)
def split(k: int, p: int) -> int:
    """Where part `p` of 16 begins, in 1/65,536: `S(k, p)`."""
    if p == 16:
        return 65_536
    above = bisect_right(range(65_537), (16 - p) << 27, key=lambda x: power(x << 15, k - 1))
    return 65_536 - (above - 1)


def _read_weights(columns: Columns, shares: list[int]) -> list[list[int]]:
    again = [Frequencies(2, 1, 2) for _ in range(17)]
    part = [Frequencies(16, 2, 1) for _ in range(17)]
    last: dict[int, list[int]] = {}
    result = []
    for m in shares:
        if m > 1 and m in last and again[m].read(columns):
            result.append(last[m])
            continue
        weights, left = [], WHOLE
        for k in range(m, 1, -1):
            choices = left - (k - 1)
            p = part[k].read(columns)
            begin, end = choices * split(k, p) >> 16, choices * split(k, p + 1) >> 16
            if begin == end:
                columns.refuse("a part without weights")
            weights.append(begin + columns.one_of(end - begin) + 1)
            left -= weights[-1]
        weights.append(left)
        if m > 1 and last.get(m) == weights:
            columns.refuse("weights of the record before that are said not to be")
        last[m] = weights
        result.append(weights)
    return result


# Roots [6], amounts [7].

Payout = tuple[int, int]
"""Payee and amount."""
MODEL, ADAPTER, SOURCE, OPERATOR = 1, 2, 3, 4


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    level = list(leaves) or [bytes(32)]
    while len(level) > 1:
        pairs = [sorted(level[i:i + 2]) for i in range(0, len(level), 2)]
        level = [keccak256(b"".join(pair)) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def record_leaves(batch: Batch) -> list[bytes]:
    """What the leaves of the record root are the hashes of."""
    leaves = [b"\0" + batch.header_bytes]
    for index, record in enumerate(batch.records):
        time = batch.header["timeBase"] + record.time
        leaf = b"\1" + b"".join(number.to_bytes(size, "big") for number, size in (
            (index, 4), (record.adapter, 4), (record.prompt_tokens, 4), (record.completion_tokens, 4),
            (time, 8), (len(record.shares), 1)))
        leaves.append(leaf + b"".join(
            source.to_bytes(4, "big") + weight.to_bytes(2, "big") for source, weight in record.shares))
    return leaves


def record_root(batch: Batch) -> bytes:
    return merkle_root(keccak256(leaf) for leaf in record_leaves(batch))


def payout_root(payouts: Sequence[Payout]) -> bytes:
    return merkle_root(keccak256(word(position) + word(payee) + word(amount))
                       for position, (payee, amount) in enumerate(payouts))


def detail_root(details: Sequence[dict[str, str]]) -> bytes:
    """Of what each record leaves off the chain, with the names that the vectors give its parts."""
    words = ("requestId", "requester", "promptHash", "outputHash", "parametersHash", "generation")
    return merkle_root(keccak256(
        word(index) + b"".join(from_hex(detail[name]) for name in words)
        + keccak256(from_hex(detail["signature"]))) for index, detail in enumerate(details))


def payee_key(kind: int, number: int) -> int:
    return kind << 248 | number


def is_payee(key: int) -> bool:
    kind, number = key >> 248, key & (1 << 248) - 1
    bits, zeros = {MODEL: (96, 64), ADAPTER: (96, 32), SOURCE: (96, 0), OPERATOR: (160, 0)}.get(kind, (0, 0))
    return bits > 0 and number >> bits == 0 and number & (1 << zeros) - 1 == 0


def settle(batch: Batch, rates: dict[str, int]) -> tuple[int, list[Payout]]:
    """The total and the payouts, in wei; rates with the names that the vectors give them."""
    prices = [rates[name] for name in ("prompt", "completion", "record")]
    shares = [rates[name] for name in ("modelShare", "adapterShare", "sourceShare", "operatorShare")]
    if not all(0 <= price < 1 << 96 for price in prices):
        raise Invalid("rates: a price of more than 96 bits")
    if not all(share >= 0 for share in shares) or sum(shares) != WHOLE:
        raise Invalid(f"rates: the shares don't add up to {WHOLE}")
    model = payee_key(MODEL, batch.header["model"] << 64)
    fees, sums = 0, {model: 0}
    for record in batch.records:
        fee = record.prompt_tokens * prices[0] + record.completion_tokens * prices[1] + 1000 * prices[2]
        place = batch.header["model"] << 64 | record.adapter << 32
        adapter = payee_key(ADAPTER, place)
        fees += fee
        sums[model] += fee * shares[0]
        sums[adapter] = sums.get(adapter, 0) + fee * shares[1]
        for source, weight in record.shares:
            key = payee_key(SOURCE, place | source)
            sums[key] = sums.get(key, 0) + fee * weight * shares[2]
    if fees * WHOLE >= 1 << 128:
        raise Invalid("the fees are too high to be settled")
    total = fees // 1000
    amounts = {key: amount // (10**11 if key >> 248 == SOURCE else 10**7) for key, amount in sums.items()}
    amounts[payee_key(OPERATOR, batch.header["operator"])] = total - sum(amounts.values())
    return total, sorted((key, amount) for key, amount in amounts.items() if amount)


# Payout lists [8].

def _leb128(number: int) -> bytes:
    result = bytearray()
    while number >= 128:
        result.append(number & 127 | 128)
        number >>= 7
    return bytes(result) + bytes([number])


def write_list(payouts: Sequence[Payout]) -> bytes:
    result, before = b"", 0
    for payee, amount in payouts:
        result += _leb128(payee - before) + _leb128(amount)
        before = payee
    return result


def read_list(data: bytes) -> list[Payout]:
    at = 0

    def number(bits: int) -> int:
        nonlocal at
        result, shift = 0, 0
        while True:
            if at == len(data):
                raise Invalid("payout list: ends within a payout")
            byte, at = data[at], at + 1
            result |= (byte & 127) << shift
            shift += 7
            if result >> bits or shift > bits + 6:
                raise Invalid(f"payout list: a number of more than {bits} bits")
            if byte < 128:
                break
        if byte == 0 and shift > 7:
            raise Invalid("payout list: a number with needless bytes")
        return result

    payouts: list[Payout] = []
    while at < len(data):
        step = number(256)
        payee = step + (payouts[-1][0] if payouts else 0)
        amount = number(128)
        if step == 0 or not is_payee(payee):
            raise Invalid("payout list: no payee, or one twice")
        if amount == 0:
            raise Invalid("payout list: an amount of zero")
        payouts.append((payee, amount))
    return payouts


def merge(lists: Iterable[tuple[Sequence[Payout], Sequence[int]]]) -> list[Payout]:
    """One list of what isn't claimed of several, each with its bitmap in words of 256 bits."""
    sums: dict[int, int] = {}
    for payouts, words in lists:
        if len(words) != -(-len(payouts) // 256) or any(bits >> 256 for bits in words):
            raise Invalid(f"bitmap: {len(words)} words for {len(payouts)} payouts")
        claimed = sum(bits << 256 * i for i, bits in enumerate(words))
        if claimed >> len(payouts):
            raise Invalid("bitmap: a payout is claimed that the list doesn't have")
        for position, (payee, amount) in enumerate(payouts):
            if not claimed >> position & 1:
                sums[payee] = sums.get(payee, 0) + amount
    if any(amount >> 128 for amount in sums.values()):
        raise Invalid("merged payouts: an amount of more than 128 bits")
    return sorted(sums.items())


# The command.

class Mismatch(Exception):
    """What was read isn't what the vectors say."""


def expect(what: str, got: Any, wanted: Any) -> None:
    if got != wanted:
        raise Mismatch(f"{what}: {str(got)[:200]} instead of {str(wanted)[:200]}")


SMALL, FLIPS = 700, 200
"""Bytes up to which a batch is tried in other forms too, and in how many with one bit changed."""


def others(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What its bytes are without the last ones, and with a bit changed here and there."""
    for length in range(len(data)):
        yield f"the first {length} bytes", data[:length]
    for i in range(FLIPS):
        bit = i * 2_654_435_761 % (8 * len(data))
        yield f"bit {bit} changed", bytes(b ^ (i == bit // 8) << bit % 8 for i, b in enumerate(data))


def check_others(data: bytes, payout_list: bytes) -> None:
    """No other bytes are the same batch, and payouts are written in one way."""
    leaves = record_leaves(decode(data))
    for change, other in others(data):
        forms = [other]
        if HEADER <= len(other) < len(data):
            # With the length that is left announced, it is the range coder that has to notice.
            forms.append(other[:HEADER - 4] + (len(other) - HEADER).to_bytes(4, "big") + other[HEADER:])
        for form in forms:
            try:
                # Other leaves, another root: keccak256 doesn't have to be asked.
                expect(f"{change}: another record root", record_leaves(decode(form)) != leaves, True)
            except Invalid:
                pass
    for change, other in others(payout_list):
        try:
            expect(f"payout list, {change}", to_hex(write_list(read_list(other))), to_hex(other))
        except Invalid:
            pass


def check_valid(vector: dict[str, Any]) -> None:
    data = from_hex(vector["batch"])
    batch = decode(data)
    expect("header", batch.header_json(), vector["header"])
    expect("number of records", len(batch.records), len(vector["records"]))
    for index, (record, wanted) in enumerate(zip(batch.records, vector["records"])):
        expect(f"record {index}", record.to_json(), wanted)
    expect("record root", to_hex(record_root(batch)), vector["recordRoot"])
    total, payouts = settle(batch, vector["rates"])
    expect("total", total, int(vector["total"]))
    expect("payouts", payouts, [(int(payee, 16), int(amount, 16)) for payee, amount in vector["payouts"]])
    expect("sum of payouts", sum(amount for _, amount in payouts), total)
    expect("payout root", to_hex(payout_root(payouts)), vector["payoutRoot"])
    expect("payout list", to_hex(write_list(payouts)), vector["payoutList"])
    expect("payout list, read", read_list(from_hex(vector["payoutList"])), payouts)
    if len(data) <= SMALL:
        check_others(data, from_hex(vector["payoutList"]))


def check_invalid(vector: dict[str, Any]) -> None:
    try:
        decode(from_hex(vector["batch"]))
    except Invalid:
        return
    raise Mismatch(f"decoded, but is invalid: {vector['error']}")


def check_merge(vector: dict[str, Any]) -> None:
    lists = [read_list(from_hex(data)) for data in vector["lists"]]
    expect("roots", [to_hex(payout_root(payouts)) for payouts in lists], vector["roots"])
    bitmaps = [[int(bits, 16) for bits in words] for words in vector["claimed"]]
    expect("number of bitmaps", len(bitmaps), len(lists))
    merged = merge(zip(lists, bitmaps))
    expect("merged", to_hex(write_list(merged)), vector["merged"])
    expect("root", to_hex(payout_root(merged)), vector["root"])


def check_details(vector: dict[str, Any]) -> None:
    expect("root", to_hex(detail_root(vector["details"])), vector["root"])


def check(path: str) -> str:
    vectors = json.loads(Path(path).read_text())
    counts = []
    for kind, check_one in (("valid", check_valid), ("invalid", check_invalid), ("merges", check_merge),
                            ("details", check_details)):
        for index, vector in enumerate(vectors[kind]):
            try:
                check_one(vector)
            except (Invalid, Mismatch) as error:
                raise Mismatch(f"{kind} {vector.get('name', index)}: {error}") from error
        counts.append(len(vectors[kind]))
    return "attribution: {} batches, {} of another kind, {} merges, {} sets of details".format(*counts)


def read_batch(path: str) -> bytes:
    """A file's bytes, or those that it has in hexadecimal; `-` is the standard input."""
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        return from_hex(data.decode("ascii").strip())
    except ValueError:
        return data


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in ("decode", "test"):
        print("usage: attribution.py decode FILE|-\n       attribution.py test VECTORS.json", file=sys.stderr)
        return 2
    try:
        if arguments[0] == "test":
            print(check(arguments[1]))
        else:
            batch = decode(read_batch(arguments[1]))
            print(json.dumps(batch.header_json()))
            for record in batch.records:
                print(json.dumps(record.to_json()))
    except (Invalid, Mismatch, OSError) as error:
        print(f"attribution: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
