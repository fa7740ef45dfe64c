//! From tokens to a syntax tree: precedence climbing, with every bound checked while the tree grows.
//!
//! Grammar, loosest first: `a ? b : c`, `||`, `&&`, `== !=`, `< <= > >=`, `+ -`, `* / %`, `! -`, then `.name`,
//! `.method(…)`, `[…]` and the primaries. Called once per rule by the compiler; the types are checked there.

use super::{
    EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX,
    error::Fault,
    expr::{Binary, Expr, Node},
    lex::{Lexer, Token},
    pattern::Pattern,
};
use std::sync::Arc;

/// The most arguments of a call, and items of a list.
const ITEMS_MAX: usize = 256;

/// The syntax tree of `text`.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(Fault::new(
            0,
            format!(
                "an expression of {} bytes is longer than the {EXPRESSION_BYTES_MAX} allowed",
                text.len()
            ),
        ));
    }
    let mut parser = Parser {
        lexer: Lexer::new(text),
        token: Token::End,
        offset: 0,
        open: 0,
    };
    parser.advance()?;
    if parser.token == Token::End {
        return Err(Fault::new(0, "the expression is empty; write `false` to deny"));
    }
    let node = parser.choose()?;
    match parser.token {
        Token::End => Ok(node),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    offset: usize,
    /// How many brackets, prefixes and branches are being parsed inside one another.
    open: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<(), Fault> {
        (self.offset, self.token) = self.lexer.next()?;
        Ok(())
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(found) if found == symbol)
    }

    fn accept(&mut self, symbol: &str) -> Result<bool, Fault> {
        let found = self.is(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Fault> {
        if self.accept(symbol)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{symbol}`")))
        }
    }

    fn unexpected(&self, expected: &str) -> Fault {
        let found = match &self.token {
            Token::Number(number) => format!("`{number}`"),
            Token::String(text) => format!("the string '{text}'"),
            Token::Name(name) => format!("`{name}`"),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::End => "the end".to_owned(),
        };
        Fault::new(self.offset, format!("expected {expected}, found {found}"))
    }

    /// Goes one level down, within the bound.
    fn enter(&mut self) -> Result<(), Fault> {
        self.open += 1;
        if self.open > EXPRESSION_DEPTH_MAX {
            return Err(too_deep(self.offset));
        }
        Ok(())
    }

    fn choose(&mut self) -> Result<Node, Fault> {
        self.enter()?;
        let condition = self.binary(1)?;
        let node = if self.is("?") {
            let offset = self.offset;
            self.advance()?;
            let then = self.choose()?;
            self.expect(":")?;
            let otherwise = self.choose()?;
            let depth = condition.depth.max(then.depth).max(otherwise.depth);
            node(
                offset,
                depth,
                Expr::Choose(Box::new(condition), Box::new(then), Box::new(otherwise)),
            )?
        } else {
            condition
        };
        self.open -= 1;
        Ok(node)
    }

    fn binary(&mut self, least: u8) -> Result<Node, Fault> {
        let mut left = self.unary()?;
        while let Some(operator) = self.operator().filter(|operator| operator.precedence() >= least) {
            let offset = self.offset;
            self.advance()?;
            let right = self.binary(operator.precedence() + 1)?;
            // A chain of one operator is as deep as it is long on the left; only what nests counts towards the bound.
            let depth = match &left.expr {
                Expr::Binary(same, ..) if *same == operator => left.depth - 1,
                _ => left.depth,
            };
            let depth = depth.max(right.depth);
            left = node(
                offset,
                depth,
                Expr::Binary(operator, Box::new(left), Box::new(right)),
            )?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<Binary> {
        let Token::Symbol(symbol) = self.token else {
            return None;
        };
        Some(match symbol {
            "||" => Binary::Or,
            "&&" => Binary::And,
            "==" | "===" => Binary::Equal,
            "!=" | "!==" => Binary::NotEqual,
            "<" => Binary::Less,
            "<=" => Binary::LessOrEqual,
            ">" => Binary::Greater,
            ">=" => Binary::GreaterOrEqual,
            "+" => Binary::Add,
            "-" => Binary::Subtract,
            "*" => Binary::Multiply,
            "/" => Binary::Divide,
            "%" => Binary::Remainder,
            _ => return None,
        })
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        let offset = self.offset;
        let negation = self.is("!");
        if !negation && !self.is("-") {
            return self.postfix();
        }
        self.enter()?;
        self.advance()?;
        let operand = self.unary()?;
        self.open -= 1;
        let depth = operand.depth;
        let operand = Box::new(operand);
        node(
            offset,
            depth,
            if negation {
                Expr::Not(operand)
            } else {
                Expr::Negate(operand)
            },
        )
    }

    fn postfix(&mut self) -> Result<Node, Fault> {
        let mut target = self.primary()?;
        loop {
            let offset = self.offset;
            if self.accept(".")? {
                let offset = self.offset;
                let Token::Name(name) = self.token.clone() else {
                    return Err(self.unexpected("a name after `.`"));
                };
                self.advance()?;
                let depth = target.depth;
                target = if self.accept("(")? {
                    let arguments = self.items(")")?;
                    let depth = deepest(depth, &arguments);
                    node(offset, depth, Expr::Call(Box::new(target), name, arguments))?
                } else {
                    node(offset, depth, Expr::Member(Box::new(target), name))?
                };
            } else if self.accept("[")? {
                let index = self.choose()?;
                self.expect("]")?;
                let depth = target.depth.max(index.depth);
                target = node(offset, depth, Expr::Index(Box::new(target), Box::new(index)))?;
            } else {
                return Ok(target);
            }
        }
    }

    /// Expressions with commas between them, up to and with `close`.
    fn items(&mut self, close: &str) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        if self.accept(close)? {
            return Ok(items);
        }
        loop {
            if items.len() == ITEMS_MAX {
                return Err(Fault::new(
                    self.offset,
                    format!("more than {ITEMS_MAX} items are too many"),
                ));
            }
            items.push(self.choose()?);
            if !self.accept(",")? {
                break;
            }
        }
        self.expect(close)?;
        Ok(items)
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let offset = self.offset;
        let expr = match self.token.clone() {
            Token::Number(number) => Expr::Number(number),
            Token::String(text) => Expr::String(text.into()),
            Token::Name(name) => match name.as_str() {
                "null" => Expr::Null,
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                _ => Expr::Name(name),
            },
            Token::Symbol("/") => {
                let (source, flags) = self.lexer.pattern(offset)?;
                let pattern =
                    Pattern::compile(&source, &flags).map_err(|reason| Fault::new(offset, reason))?;
                Expr::Pattern(Arc::new(pattern))
            }
            Token::Symbol("(") => {
                self.advance()?;
                let inner = self.choose()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("[") => {
                self.advance()?;
                let items = self.items("]")?;
                return node(offset, deepest(0, &items), Expr::List(items));
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        node(offset, 0, expr)
    }
}

fn deepest(depth: usize, nodes: &[Node]) -> usize {
    nodes.iter().map(|node| node.depth).fold(depth, usize::max)
}

/// A node above others of which the deepest is `below` deep.
fn node(offset: usize, below: usize, expr: Expr) -> Result<Node, Fault> {
    if below >= EXPRESSION_DEPTH_MAX {
        return Err(too_deep(offset));
    }
    Ok(Node {
        offset,
        depth: below + 1,
        expr,
    })
}

fn too_deep(offset: usize) -> Fault {
    Fault::new(
        offset,
        format!("the expression nests deeper than the {EXPRESSION_DEPTH_MAX} levels allowed"),
    )
}
