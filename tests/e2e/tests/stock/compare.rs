//! Asks two execution clients the same and compares the answers.

use std::{collections::BTreeMap, fmt::Write as _};

use ascribe_e2e::{Rpc, say};
use serde_json::{Value, json, value::RawValue};

use crate::deliberate;

/// A method and what it is given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) params: Value,
}

impl Question {
    pub(crate) fn new(method: &str, params: Value) -> Self {
        Self { method: method.to_owned(), params }
    }
}

/// The table of differences, for people.
const DIFFERENCES: &str = include_str!("../../../../docs/rpc-differences.md");

/// Questions sent together.
const BATCH: usize = 20;

/// The answers to `questions` in order: each what would stand beside the id.
fn ask(rpc: &Rpc, questions: &[Question]) -> Vec<Value> {
    let mut answers = Vec::with_capacity(questions.len());
    for batch in questions.chunks(BATCH) {
        let request = |(id, question): (usize, &Question)| {
            let Question { method, params } = question;
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        };
        let body: Value = batch.iter().enumerate().map(request).collect();
        let (status, text) = rpc
            .post(body.to_string(), &[])
            .unwrap_or_else(|error| panic!("{} does not answer {body}: {error}", rpc.url()));
        assert_eq!(status, 200, "{text}");
        let mut given: Vec<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("no batch of answers: {error}: {text:.300}"));
        assert_eq!(given.len(), batch.len(), "{text:.300}");
        given.sort_by_key(|answer| answer["id"].get().parse::<usize>().expect("an id"));
        answers.extend(given.into_iter().map(|answer| {
            let said = answer.into_iter().filter(|(key, _)| key != "id" && key != "jsonrpc");
            said.map(|(key, value)| (key, read(&value))).collect()
        }));
    }
    answers
}

/// The value; its text if it is nested too deep to be read, as traces of calls can be.
fn read(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into())
}

/// What was asked, and where the answers differ although they should not.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    asked: BTreeMap<String, usize>,
    deliberate: BTreeMap<&'static str, usize>,
    differences: Vec<Value>,
}

impl Comparison {
    /// Asks both.
    pub(crate) fn ask(&mut self, theirs: &Rpc, ours: &Rpc, questions: &[Question]) {
        let (their_answers, our_answers) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| ask(theirs, questions));
            let ours = ask(ours, questions);
            (theirs.join().expect("op-geth answers"), ours)
        });
        for ((question, theirs), ours) in questions.iter().zip(their_answers).zip(our_answers) {
            self.add(question, theirs, ours);
        }
    }

    /// Posts bodies as they are to both, and compares status and answer.
    pub(crate) fn post(&mut self, theirs: &Rpc, ours: &Rpc, bodies: &[String]) {
        for body in bodies {
            let answer = |rpc: &Rpc| {
                let (status, text) = rpc
                    .post(body.clone(), &[])
                    .unwrap_or_else(|error| panic!("{} does not answer: {error}", rpc.url()));
                let text = text.trim();
                let read = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
                json!({"status": status, "body": read})
            };
            let shown: String = body.chars().take(200).collect();
            self.add(&Question::new("HTTP", json!(shown)), answer(theirs), answer(ours));
        }
    }

    /// Installs each filter on both, and compares what it finds until it is removed.
    pub(crate) fn filter(&mut self, theirs: &Rpc, ours: &Rpc, filters: &[Question]) {
        for filter in filters {
            let Question { method, params } = filter;
            let answers = |rpc: &Rpc| {
                let id: Value = rpc.call(method, params.clone());
                let about = ["eth_getFilterLogs", "eth_getFilterChanges", "eth_uninstallFilter"];
                let twice = about.iter().chain(&about[1..]);
                let asked = twice.map(|method| Question::new(method, json!([id])));
                ask(rpc, &asked.collect::<Vec<_>>())
            };
            for (theirs, ours) in answers(theirs).into_iter().zip(answers(ours)) {
                self.add(filter, theirs, ours);
            }
        }
    }

    /// Takes in one pair of answers.
    pub(crate) fn add(&mut self, question: &Question, theirs: Value, ours: Value) {
        *self.asked.entry(question.method.clone()).or_default() += 1;
        if same(&theirs, &ours) {
            return;
        }
        if let Some(row) = deliberate::row(question, &theirs, &ours) {
            *self.deliberate.entry(row).or_default() += 1;
            return;
        }
        let (theirs, ours) = differing(theirs, ours);
        let Question { method, params } = question;
        self.differences
            .push(json!({"method": method, "params": params, "op-geth": theirs, "ascribe": ours}));
    }

    /// Asserts that nothing differs but what is meant to.
    pub(crate) fn finish(self) {
        let asked: usize = self.asked.values().sum();
        let deliberate: usize = self.deliberate.values().sum();
        say(&format!(
            "stock: {asked} answers of {} methods compared with op-geth's, {deliberate} differ on \
             purpose",
            self.asked.len()
        ));
        for (row, count) in &self.deliberate {
            assert!(DIFFERENCES.contains(&format!("| {row} |")), "{row:?} is not explained");
            say(&format!("stock: {count:5} {row}"));
        }
        if self.differences.is_empty() {
            return;
        }
        let mut by_method = BTreeMap::<&str, Vec<&Value>>::new();
        for difference in &self.differences {
            let method = difference["method"].as_str().unwrap_or_default();
            by_method.entry(method).or_default().push(difference);
        }
        let mut text = String::new();
        for (method, differences) in by_method {
            let _ = writeln!(text, "{method}: {} answers differ, such as", differences.len());
            for difference in differences.iter().take(5) {
                let shown = difference.to_string();
                let _ = writeln!(text, "  {}", shown.chars().take(1500).collect::<String>());
            }
        }
        if let Some(file) = std::env::var_os("ASCRIBE_STOCK_DIFFERENCES") {
            std::fs::write(file, json!(self.differences).to_string()).expect("it can be written");
        }
        panic!("{} answers differ\n{text}", self.differences.len());
    }
}

/// Whether two values are the same to who reads JSON: `1.0` is `1`.
fn same(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one == two || one.as_f64() == two.as_f64(),
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len()
                && one.iter().all(|(key, value)| two.get(key).is_some_and(|two| same(value, two)))
        }
        _ => one == two,
    }
}

/// The parts of two values that are not the same.
fn differing(one: Value, two: Value) -> (Value, Value) {
    match (one, two) {
        (Value::Object(one), Value::Object(mut two)) => {
            let (mut left, mut right) = (json!({}), json!({}));
            for (key, value) in one {
                let other = two.remove(&key);
                if other.as_ref().is_some_and(|other| same(&value, other)) {
                    continue;
                }
                match other {
                    Some(other) => (left[&key], right[&key]) = differing(value, other),
                    None => left[&key] = value,
                }
            }
            for (key, value) in two {
                right[&key] = value;
            }
            (left, right)
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            let (mut left, mut right) = (json!({}), json!({}));
            for (index, (one, two)) in one.into_iter().zip(two).enumerate() {
                if !same(&one, &two) {
                    let index = index.to_string();
                    (left[&index], right[&index]) = differing(one, two);
                }
            }
            (left, right)
        }
        other => other,
    }
}
