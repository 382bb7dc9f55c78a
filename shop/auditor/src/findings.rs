use std::fmt;

/// A rule that the books broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Versions of a stream, or positions of a log, are not 1 apart.
    Hole,
    /// One event stands in a log twice.
    Twice,
    /// An event cannot be read, or cannot follow what came before it.
    Nonsense,
    /// A projection or a consumer is not at the head of a log.
    LeftBehind,
    /// A message was put aside and never dealt with, or a timer never fired.
    PutAside,
    /// An acknowledged order is not there.
    OrderLost,
    /// An order is there twice, or one that nobody was told of.
    OrderDoubled,
    /// An order has not come to its end.
    OrderUnsettled,
    /// A client was told something else than what became of its order.
    ClientMisled,
    /// Stock was below zero at some time.
    StockNegative,
    /// Delivered is not available and held and sold.
    StockNotConserved,
    /// What is held or sold is not what the order says.
    StockDisagrees,
    /// Entries do not sum to zero.
    MoneyUnbalanced,
    /// What was taken and given back is not what the order says.
    MoneyDisagrees,
    /// The gateway's own books say something else.
    GatewayDisagrees,
    /// A row is not what the log makes of it.
    ProjectionDiffers,
}

/// One thing that does not add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What it breaks.
    pub rule: Rule,
    /// Where and how.
    pub what: String,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    complaints: Vec<Complaint>,
}

impl Findings {
    pub(crate) fn complain(&mut self, rule: Rule, what: impl Into<String>) {
        self.complaints.push(Complaint {
            rule,
            what: what.into(),
        });
    }

    pub(crate) fn require(&mut self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.complain(rule, what());
        }
    }

    /// All of them, by rule.
    pub(crate) fn complaints(mut self) -> Vec<Complaint> {
        self.complaints.sort_by_key(|complaint| complaint.rule);
        self.complaints
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hole => "a hole in a log",
            Self::Twice => "an event twice",
            Self::Nonsense => "an event that makes no sense",
            Self::LeftBehind => "left behind",
            Self::PutAside => "put aside",
            Self::OrderLost => "an order lost",
            Self::OrderDoubled => "an order doubled",
            Self::OrderUnsettled => "an order not settled",
            Self::ClientMisled => "a client misled",
            Self::StockNegative => "stock below zero",
            Self::StockNotConserved => "stock not conserved",
            Self::StockDisagrees => "stock and order disagree",
            Self::MoneyUnbalanced => "money does not sum to zero",
            Self::MoneyDisagrees => "money and order disagree",
            Self::GatewayDisagrees => "the gateway disagrees",
            Self::ProjectionDiffers => "a projection differs from its log",
        })
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}
