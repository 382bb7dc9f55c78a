//! Conditions: what binds weakest first, a function each.

use std::ops::Range;

use super::super::lex::Token;
use super::super::tree::{At, Comparison, Expr, Node, Spot, Variable};
use super::super::{DEPTH_MAX, Entity, NODES_MAX, Value};
use super::{Parsed, Parser, fault};

impl Parser {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
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

fn positive(at: At, number: u64) -> Parsed<Value> {
    let number = i64::try_from(number);
    number.map(Value::Number).map_err(|_| too_large(at))
}

fn too_large(at: At) -> super::Fault {
    fault(at, "a number has 64 bits with its sign".into())
}
