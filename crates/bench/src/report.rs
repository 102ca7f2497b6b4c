//! What a bench says: a table for people, one flat JSON object for programs.

use std::time::Duration;

use serde_json::{Map, Value};

/// Named rows of named numbers, in the order in which they came.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    title: &'static str,
    rows: Vec<(String, Vec<(&'static str, f64)>)>,
    /// Whether a column comes before its row in the keys of numbers.
    by_column: bool,
    figures: Vec<(String, Figure)>,
    notes: Vec<String>,
}

/// What stands for itself.
#[derive(Debug, Clone, Copy)]
enum Figure {
    Number(f64),
    Word(&'static str),
}

impl Report {
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, rows: Vec::new(), by_column: false, figures: Vec::new(), notes: Vec::new() }
    }

    /// Calls numbers in rows `column_row` instead of `row_column`.
    pub(crate) const fn by_column(mut self) -> Self {
        self.by_column = true;
        self
    }

    /// Adds a row. All rows have the same columns.
    pub(crate) fn row(&mut self, name: impl Into<String>, columns: Vec<(&'static str, f64)>) {
        self.rows.push((name.into(), columns));
    }

    /// Adds a number that stands for itself.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64) {
        self.figures.push((name.into(), Figure::Number(value)));
    }

    /// Adds a word that stands for itself.
    pub(crate) fn word(&mut self, name: impl Into<String>, word: &'static str) {
        self.figures.push((name.into(), Figure::Word(word)));
    }

    /// Adds a line for people.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// One line with one object: keys are `row_column` or `column_row`, then the names of figures.
    pub(crate) fn json(&self) -> String {
        let mut object = Map::new();
        object.insert("cores".into(), cores().into());
        for (row, columns) in &self.rows {
            for (column, value) in columns {
                let row = row.replace('-', "_");
                let key = match self.by_column {
                    true => format!("{column}_{row}"),
                    false => format!("{row}_{column}"),
                };
                object.insert(key, rounded(*value));
            }
        }
        for (name, figure) in &self.figures {
            let value = match figure {
                Figure::Number(value) => rounded(*value),
                Figure::Word(word) => (*word).into(),
            };
            object.insert(name.clone(), value);
        }
        Value::Object(object).to_string()
    }

    /// A table with one line a row, then one line a figure, then notes.
    pub(crate) fn table(&self) -> String {
        let mut out = format!("{} ({} cores)", self.title, cores());
        out += &self.rows_table();
        let width = self.figures.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, figure) in &self.figures {
            let text = match figure {
                Figure::Number(value) => number(*value),
                Figure::Word(word) => word.replace('_', " "),
            };
            out += &format!("\n{:width$}  {text:>12}", name.replace('_', " "));
        }
        for note in &self.notes {
            out += &format!("\n{note}");
        }
        out
    }

    fn rows_table(&self) -> String {
        let Some((_, columns)) = self.rows.first() else { return String::new() };
        let first = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default().max(8);
        let mut out = format!("\n{:first$}", "");
        for (column, _) in columns {
            out += &format!("  {:>12}", column.replace('_', " "));
        }
        for (name, columns) in &self.rows {
            out += &format!("\n{name:first$}");
            for (column, value) in columns {
                let width = column.len().max(12);
                out += &format!("  {:>width$}", number(*value));
            }
        }
        out
    }

    /// Prints the report in the form that was asked for.
    #[expect(clippy::print_stdout, reason = "this is what the command is for")]
    pub(crate) fn print(&self, json: bool) {
        println!("{}", if json { self.json() } else { self.table() });
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn rounded(value: f64) -> Value {
    let value = (value * 1e4).round() / 1e4;
    if value.fract() == 0.0 && value.abs() < 1e15 { (value as i64).into() } else { value.into() }
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// The median; of an even number of values the mean of the two in the middle. 0 of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        len if len % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// Processor time that this process has had, user and system.
pub(crate) fn cpu_time() -> Duration {
    /// `USER_HZ`, which is 100 on every Linux that there is.
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold spaces.
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ')).into_iter().flatten();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_flat_object() {
        let mut report = Report::new("t");
        report.row("state-10k", vec![("ns", 12.0), ("ratio", 0.51239)]);
        let value: Value = serde_json::from_str(&report.json()).expect("JSON");
        assert_eq!(value["state_10k_ns"], 12);
        assert_eq!(value["state_10k_ratio"], 0.5124);
        assert_eq!(report.table().lines().count(), 3);
        report.word("slowest", "state");
        let value: Value = serde_json::from_str(&report.by_column().json()).expect("JSON");
        assert_eq!((&value["ns_state_10k"], &value["slowest"]), (&12.into(), &"state".into()));
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn processor_time_passes() {
        let before = cpu_time();
        let started = std::time::Instant::now();
        while started.elapsed() < Duration::from_millis(100) {}
        assert!(cpu_time() > before);
    }
}
