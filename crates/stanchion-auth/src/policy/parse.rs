//! A file's text as policies. What cannot be read is told and left out, up to the next `;`.

use std::collections::HashSet;
use std::ops::Range;

use super::lex::{Token, lex};
use super::tree::{At, Comparison, Condition, Effect, Expr, Node, Policy, Scope, Spot, Variable};
use super::{DEPTH_MAX, Entity, NODES_MAX, POLICIES_MAX, Value};

type Fault = Spot<String>;
type Parsed<T> = Result<T, Fault>;

/// The policies that can be read, and what is wrong with the others.
pub(crate) fn parse(text: &str) -> (Vec<Policy>, Vec<Fault>) {
    let lexed = lex(text);
    let mut parser = Parser {
        end: text.len(),
        tokens: lexed.tokens,
        next: 0,
        depth: 0,
        nodes: 0,
    };
    let (mut policies, mut faults) = (Vec::new(), lexed.faults);
    // A character that means nothing is told once, not as what lacks in its place too.
    let unread = !faults.is_empty();
    while parser.next < parser.tokens.len() {
        let (at, start) = (parser.here(), parser.next);
        match parser.policy() {
            Ok(_) if policies.len() == POLICIES_MAX => {
                let it = format!("more than {POLICIES_MAX} policies in a file");
                faults.push(Spot { at, it });
                break;
            }
            Ok(policy) => policies.push(policy),
            Err(fault) => {
                if !unread {
                    faults.push(fault);
                }
                parser.skip(start);
            }
        }
    }
    faults.extend(named_twice(&policies));
    (policies, faults)
}

fn named_twice(policies: &[Policy]) -> Vec<Fault> {
    let mut names = HashSet::new();
    let again = policies.iter().filter(|policy| !names.insert(&policy.id));
    let told = again.map(|policy| Spot {
        at: policy.at,
        it: format!("another policy has the id {:?}", policy.id),
    });
    told.collect()
}

struct Parser {
    /// Of the text.
    end: At,
    tokens: Vec<(Spot<Token>, At)>,
    next: usize,
    depth: usize,
    /// Of the policy that is being read.
    nodes: usize,
}

impl Parser {
    fn policy(&mut self) -> Parsed<Policy> {
        let at = self.here();
        self.nodes = 0;
        let mut id = None;
        while self.takes("@") {
            let name = self.word("an annotation's name")?;
            self.expect("(")?;
            let text = self.text()?;
            self.expect(")")?;
            if name.it == "id" {
                id = Some(text.it);
            }
        }
        let effect = self.word("`permit` or `forbid`")?;
        let effect = match effect.it.as_str() {
            "permit" => Effect::Permit,
            "forbid" => Effect::Forbid,
            other => {
                return Err(fault(
                    effect.at,
                    format!("`{other}`: a policy begins with `permit` or `forbid`"),
                ));
            }
        };
        self.expect("(")?;
        let principal = self.scope(Variable::Principal)?;
        self.expect(",")?;
        let actions = self.actions()?;
        self.expect(",")?;
        let resource = self.scope(Variable::Resource)?;
        self.expect(")")?;
        let conditions = self.conditions()?;
        self.expect(";")?;
        let id = id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| {
            fault(
                at,
                "a policy without a name: begin it with @id(\"…\")".into(),
            )
        })?;
        Ok(Policy {
            id: id.into(),
            at,
            effect,
            principal,
            actions,
            resource,
            conditions,
        })
    }

    fn scope(&mut self, of: Variable) -> Parsed<Scope> {
        self.expect_word(of.name())?;
        let mut scope = Scope::default();
        if self.takes("==") {
            scope.equals = Some(self.entity()?);
            return Ok(scope);
        }
        if self.takes_word("is") {
            scope.is = Some(self.word("a type")?);
        }
        if self.takes_word("in") {
            scope.within = Some(self.entity()?);
        }
        Ok(scope)
    }

    fn actions(&mut self) -> Parsed<Option<Vec<Spot<String>>>> {
        self.expect_word("action")?;
        if self.takes("==") {
            return Ok(Some(vec![self.action()?]));
        }
        if !self.takes_word("in") {
            return Ok(None);
        }
        if !self.takes("[") {
            return Ok(Some(vec![self.action()?]));
        }
        let mut actions = vec![self.action()?];
        while self.takes(",") {
            actions.push(self.action()?);
        }
        self.expect("]")?;
        Ok(Some(actions))
    }

    fn action(&mut self) -> Parsed<Spot<String>> {
        let Spot { at, it } = self.entity()?;
        if it.kind() == "Action" {
            return Ok(Spot {
                at,
                it: it.id().to_owned(),
            });
        }
        Err(fault(at, format!("{it} is no action: write Action::\"…\"")))
    }

    fn conditions(&mut self) -> Parsed<Vec<Condition>> {
        let mut conditions = Vec::new();
        loop {
            let negated = if self.takes_word("when") {
                false
            } else if self.takes_word("unless") {
                true
            } else {
                return Ok(conditions);
            };
            self.expect("{")?;
            let holds = self.expr()?;
            self.expect("}")?;
            conditions.push(Condition { negated, holds });
        }
    }

    fn expr(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let it = format!("more than {DEPTH_MAX} conditions within each other");
            return Err(fault(self.here(), it));
        }
        let mut left = self.all()?;
        while self.takes("||") {
            let right = self.all()?;
            left = self.joined(left, right, Node::Or)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn all(&mut self) -> Parsed<Expr> {
        let mut left = self.relation()?;
        while self.takes("&&") {
            let right = self.relation()?;
            left = self.joined(left, right, Node::And)?;
        }
        Ok(left)
    }

    fn relation(&mut self) -> Parsed<Expr> {
        let left = self.unary()?;
        let start = left.span.start;
        if let Some(comparison) = self.sign().and_then(Comparison::of) {
            self.next += 1;
            let right = self.unary()?;
            return self.joined(left, right, |a, b| Node::Compare(comparison, a, b));
        }
        if self.takes_word("has") {
            let name = self.word("an attribute's name")?.it;
            return self.node(start, Node::Has(Box::new(left), name));
        }
        if self.takes_word("is") {
            let name = self.word("a type")?.it;
            return self.node(start, Node::Is(Box::new(left), name));
        }
        if self.takes_word("in") {
            let right = self.unary()?;
            return self.joined(left, right, Node::In);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.here();
        let mut nots = 0;
        while self.takes("!") {
            nots += 1;
        }
        if nots > DEPTH_MAX {
            return Err(fault(start, format!("more than {DEPTH_MAX} `!`")));
        }
        let mut expr = self.member()?;
        for _ in 0..nots {
            expr = self.node(start, Node::Not(Box::new(expr)))?;
        }
        Ok(expr)
    }

    fn member(&mut self) -> Parsed<Expr> {
        let mut expr = self.primary()?;
        let start = expr.span.start;
        while self.takes(".") {
            let name = self.word("an attribute's name")?;
            if !self.takes("(") {
                expr = self.node(start, Node::Attribute(Box::new(expr), name.it))?;
                continue;
            }
            if name.it != "contains" {
                let it = format!("`{}`: the only call is `.contains(…)`", name.it);
                return Err(fault(name.at, it));
            }
            let inner = self.expr()?;
            self.expect(")")?;
            expr = self.node(start, Node::Contains(Box::new(expr), Box::new(inner)))?;
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.here();
        let wanted = "a condition: a name, a literal or `(`";
        let Some((Spot { it: token, .. }, _)) = self.tokens.get(self.next).cloned() else {
            return Err(self.lacks(wanted));
        };
        self.next += 1;
        let node = match token {
            Token::Text(text) => Node::Literal(Value::Text(text)),
            Token::Number(number) => Node::Literal(positive(start, number)?),
            Token::Sign("-") => Node::Literal(self.negative()?),
            Token::Sign("(") => {
                let inner = self.expr()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => Node::Set(self.listed()?),
            Token::Word(word) => self.named(word)?,
            Token::Sign(_) => {
                self.next -= 1;
                return Err(self.lacks(wanted));
            }
        };
        self.node(start, node)
    }

    fn named(&mut self, word: String) -> Parsed<Node> {
        if self.takes("::") {
            let id = self.text()?;
            return Ok(Node::Literal(Value::Entity(Entity::new(word, id.it))));
        }
        Ok(match word.as_str() {
            "true" => Node::Literal(Value::Bool(true)),
            "false" => Node::Literal(Value::Bool(false)),
            "principal" => Node::Variable(Variable::Principal),
            "action" => Node::Variable(Variable::Action),
            "resource" => Node::Variable(Variable::Resource),
            _ => {
                self.next -= 1;
                let known = "there are `principal`, `action` and `resource`";
                return Err(fault(self.here(), format!("`{word}` is no name: {known}")));
            }
        })
    }

    fn listed(&mut self) -> Parsed<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.takes("]") {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(self.expr()?);
        }
        Ok(items)
    }

    fn negative(&mut self) -> Parsed<Value> {
        let at = self.here();
        let Some((
            Spot {
                it: Token::Number(number),
                ..
            },
            _,
        )) = self.tokens.get(self.next)
        else {
            return Err(self.lacks("a number"));
        };
        let number = 0_i64.checked_sub_unsigned(*number);
        self.next += 1;
        number.map(Value::Number).ok_or_else(|| too_large(at))
    }

    fn entity(&mut self) -> Parsed<Spot<Entity>> {
        let kind = self.word("TYPE::\"ID\"")?;
        self.expect("::")?;
        let id = self.text()?;
        Ok(Spot {
            at: kind.at,
            it: Entity::new(kind.it, id.it),
        })
    }

    fn joined(
        &mut self,
        left: Expr,
        right: Expr,
        node: impl FnOnce(Box<Expr>, Box<Expr>) -> Node,
    ) -> Parsed<Expr> {
        let start = left.span.start;
        self.node(start, node(Box::new(left), Box::new(right)))
    }

    fn node(&mut self, start: At, node: Node) -> Parsed<Expr> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let it = format!("a policy of more than {NODES_MAX} parts: write several");
            return Err(fault(start, it));
        }
        Ok(Expr {
            span: Range {
                start,
                end: self.behind(),
            },
            node,
        })
    }
}

/// The tokens, one after the other.
impl Parser {
    /// Where the next token begins.
    fn here(&self) -> At {
        let next = self.tokens.get(self.next);
        next.map_or(self.end, |(token, _)| token.at)
    }

    /// Where the last one ended.
    fn behind(&self) -> At {
        let last = self.next.checked_sub(1);
        last.map_or(0, |last| self.tokens[last].1)
    }

    fn sign(&self) -> Option<&'static str> {
        match self.tokens.get(self.next) {
            Some((
                Spot {
                    it: Token::Sign(sign),
                    ..
                },
                _,
            )) => Some(sign),
            _ => None,
        }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let takes = self.sign() == Some(sign);
        self.next += usize::from(takes);
        takes
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let next = self.tokens.get(self.next);
        let takes = matches!(next, Some((Spot { it: Token::Word(word), .. }, _)) if word == wanted);
        self.next += usize::from(takes);
        takes
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(self.lacks(&format!("`{sign}`")))
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.takes_word(word) {
            return Ok(());
        }
        Err(self.lacks(&format!("`{word}`")))
    }

    fn word(&mut self, wanted: &str) -> Parsed<Spot<String>> {
        let Some((
            Spot {
                at,
                it: Token::Word(word),
            },
            _,
        )) = self.tokens.get(self.next)
        else {
            return Err(self.lacks(wanted));
        };
        let word = Spot {
            at: *at,
            it: word.clone(),
        };
        self.next += 1;
        Ok(word)
    }

    fn text(&mut self) -> Parsed<Spot<String>> {
        let Some((
            Spot {
                at,
                it: Token::Text(text),
            },
            _,
        )) = self.tokens.get(self.next)
        else {
            return Err(self.lacks("a text in quotes"));
        };
        let text = Spot {
            at: *at,
            it: text.clone(),
        };
        self.next += 1;
        Ok(text)
    }

    fn lacks(&self, wanted: &str) -> Fault {
        let found = match self.tokens.get(self.next) {
            None => "the end".to_owned(),
            Some((Spot { it, .. }, _)) => match it {
                Token::Word(word) => format!("`{word}`"),
                Token::Text(text) => format!("{text:?}"),
                Token::Number(number) => format!("`{number}`"),
                Token::Sign(sign) => format!("`{sign}`"),
            },
        };
        fault(self.here(), format!("{wanted} is expected, not {found}"))
    }

    /// From a policy that began at `start`, behind the next `;`, where another begins.
    fn skip(&mut self, start: usize) {
        self.depth = 0;
        let is_end = |(token, _): &(Spot<Token>, At)| token.it == Token::Sign(";");
        if self.tokens[start..self.next].last().is_some_and(is_end) {
            return;
        }
        while self.next < self.tokens.len() && !self.takes(";") {
            self.next += 1;
        }
    }
}

fn positive(at: At, number: u64) -> Parsed<Value> {
    let number = i64::try_from(number);
    number.map(Value::Number).map_err(|_| too_large(at))
}

fn too_large(at: At) -> Fault {
    fault(at, "a number has 64 bits with its sign".into())
}

fn fault(at: At, it: String) -> Fault {
    Spot { at, it }
}
