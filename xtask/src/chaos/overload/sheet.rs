//! The table: what was promised and what was seen.

/// Rows, each judged.
#[derive(Default)]
pub(super) struct Sheet(Vec<Row>);

struct Row {
    what: String,
    bound: String,
    seen: String,
    holds: Option<bool>,
}

impl Sheet {
    pub(super) fn at_least(&mut self, what: &str, bound: f64, seen: f64) {
        self.row(what, format!("at least {bound}"), seen, seen >= bound);
    }

    pub(super) fn at_most(&mut self, what: &str, bound: f64, seen: f64) {
        self.row(what, format!("at most {bound}"), seen, seen <= bound);
    }

    /// Loud, but no failure: the machine lacks something.
    pub(super) fn skipped(&mut self, what: &str, why: &str) {
        self.0.push(Row {
            what: what.to_owned(),
            bound: why.to_owned(),
            seen: String::new(),
            holds: None,
        });
    }

    pub(super) fn holds(&self) -> bool {
        self.0.iter().all(|row| row.holds != Some(false))
    }

    pub(super) fn print(&self) {
        println!();
        for row in &self.0 {
            let judged = match row.holds {
                Some(true) => "holds",
                Some(false) => "MISSED",
                None => "SKIPPED",
            };
            println!(
                "{:52} {:18} {:>10}  {judged}",
                row.what, row.bound, row.seen
            );
        }
    }

    fn row(&mut self, what: &str, bound: String, seen: f64, holds: bool) {
        self.0.push(Row {
            what: what.to_owned(),
            bound,
            seen: format!("{seen:.3}"),
            holds: Some(holds),
        });
    }
}
