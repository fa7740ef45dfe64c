//! From a syntax tree to a program, with every name and type checked on the way.
//!
//! Types are known as far as the language allows: what comes from the data or the token may be anything, the rest is certain.
//! What cannot be right whatever the data is refused here, with the place, instead of being false for ever.

use super::{
    error::Fault,
    expr::{Binary, Expr, Node},
    kind::{Type, method, unknown_method},
    parse::parse,
    program::{Arithmetic, Method, Op, Order, Program},
    value::State,
};

/// What an expression may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// The `$names` of the rule's path, outermost first.
    pub(super) captures: &'a [String],
    /// Whether `newData` means something: in `.write` and `.validate`.
    pub(super) writes: bool,
}

/// Compiles the expression `text`.
pub(super) fn compile(text: &str, scope: Scope<'_>) -> Result<Program, Fault> {
    let node = parse(text)?;
    let mut compiler = Compiler {
        scope,
        ops: Vec::new(),
    };
    let found = compiler.emit(&node)?;
    if !found.may_be(Type::Bool) {
        return Err(Fault::new(
            node.offset,
            format!("a rule must be true or false, this is {}", found.words()),
        ));
    }
    Ok(Program { ops: compiler.ops })
}

struct Compiler<'a> {
    scope: Scope<'a>,
    ops: Vec<Op>,
}

impl Compiler<'_> {
    fn push(&mut self, op: Op, gives: Type) -> Type {
        self.ops.push(op);
        gives
    }

    /// Emits `node`, which must be able to be a `wanted`.
    fn operand(&mut self, node: &Node, wanted: Type, place: &str) -> Result<Type, Fault> {
        let found = self.emit(node)?;
        if found.may_be(wanted) {
            return Ok(found);
        }
        Err(Fault::new(
            node.offset,
            format!("{place} needs {}, this is {}", wanted.words(), found.words()),
        ))
    }

    fn emit(&mut self, node: &Node) -> Result<Type, Fault> {
        Ok(match &node.expr {
            Expr::Null => self.push(Op::Null, Type::Null),
            Expr::Bool(value) => self.push(Op::Bool(*value), Type::Bool),
            Expr::Number(value) => self.push(Op::Number(*value), Type::Number),
            Expr::String(value) => self.push(Op::String(value.clone()), Type::String),
            Expr::Pattern(_) => {
                return Err(Fault::new(
                    node.offset,
                    "a pattern stands only inside .matches(/…/)",
                ));
            }
            Expr::List(_) => {
                return Err(Fault::new(
                    node.offset,
                    "a list stands only inside .hasChildren([…])",
                ));
            }
            Expr::Name(name) => self.name(node.offset, name)?,
            Expr::Member(target, name) => self.member(node.offset, target, name)?,
            Expr::Index(target, index) => {
                let found = self.emit(target)?;
                if found != Type::Any {
                    return Err(Fault::new(
                        node.offset,
                        format!("[…] takes a claim of `auth`, this is {}", found.words()),
                    ));
                }
                self.operand(index, Type::String, "[…]")?;
                self.push(Op::Index, Type::Any)
            }
            Expr::Call(target, method, arguments) => self.call(node.offset, target, method, arguments)?,
            Expr::Not(operand) => {
                self.operand(operand, Type::Bool, "`!`")?;
                self.push(Op::Not, Type::Bool)
            }
            Expr::Negate(operand) => {
                self.operand(operand, Type::Number, "`-`")?;
                self.push(Op::Negate, Type::Number)
            }
            Expr::Binary(operator, left, right) => self.binary(node.offset, *operator, left, right)?,
            Expr::Choose(condition, then, otherwise) => {
                self.choose(node.offset, condition, then, otherwise)?
            }
        })
    }

    fn name(&mut self, offset: usize, name: &str) -> Result<Type, Fault> {
        Ok(match name {
            "auth" => self.push(Op::Auth, Type::Any),
            "now" => self.push(Op::Now, Type::Number),
            "root" => self.push(Op::Root, Type::Snapshot),
            "data" => self.push(Op::Here(State::Old), Type::Snapshot),
            "newData" if self.scope.writes => self.push(Op::Here(State::New), Type::Snapshot),
            "newData" => {
                return Err(Fault::new(
                    offset,
                    "`newData` means something only in .write and .validate",
                ));
            }
            captured if captured.starts_with('$') => {
                // The innermost wins, as with any name that is bound twice.
                let slot = self.scope.captures.iter().rposition(|known| known == captured);
                match slot {
                    Some(slot) => self.push(Op::Captured(slot), Type::String),
                    None => {
                        return Err(Fault::new(
                            offset,
                            format!("`{captured}` is not in this rule's path"),
                        ));
                    }
                }
            }
            other => {
                return Err(Fault::new(
                    offset,
                    format!(
                        "`{other}` is not known; there are auth, now, root, data, newData and the path's $names"
                    ),
                ));
            }
        })
    }

    fn member(&mut self, offset: usize, target: &Node, name: &str) -> Result<Type, Fault> {
        let found = self.emit(target)?;
        // A claim may be called `length`; only what is certainly a string has the property.
        Ok(match (found, name) {
            (Type::String, "length") => self.push(Op::Method(Method::Length), Type::Number),
            (Type::Any, "length") if !is_claim(target) => self.push(Op::Method(Method::Length), Type::Number),
            (Type::Any, _) if is_claim(target) => self.push(Op::Member(name.into()), Type::Any),
            _ => {
                let hint = if method(name).is_some() || name == "matches" || name == "hasChildren" {
                    format!("`{name}` is a method: write .{name}(…)")
                } else {
                    format!("{} has no `{name}`", found.words())
                };
                return Err(Fault::new(offset, hint));
            }
        })
    }

    fn call(&mut self, offset: usize, target: &Node, name: &str, arguments: &[Node]) -> Result<Type, Fault> {
        match name {
            "matches" => return self.matches(offset, target, arguments),
            "hasChildren" => return self.has_children(offset, target, arguments),
            _ => {}
        }
        let Some((method, on, takes, gives)) = method(name) else {
            return Err(Fault::new(offset, unknown_method(name)));
        };
        self.operand(target, on, &format!(".{name}()"))?;
        if arguments.len() != takes {
            return Err(Fault::new(
                offset,
                format!(".{name}() takes {takes} argument(s), {} given", arguments.len()),
            ));
        }
        for argument in arguments {
            self.operand(argument, Type::String, &format!(".{name}()"))?;
        }
        Ok(self.push(Op::Method(method), gives))
    }

    fn matches(&mut self, offset: usize, target: &Node, arguments: &[Node]) -> Result<Type, Fault> {
        self.operand(target, Type::String, ".matches()")?;
        match arguments {
            [
                Node {
                    expr: Expr::Pattern(pattern),
                    ..
                },
            ] => Ok(self.push(Op::Matches(pattern.clone()), Type::Bool)),
            _ => Err(Fault::new(
                offset,
                ".matches() takes one pattern: .matches(/^[a-z]+$/)",
            )),
        }
    }

    fn has_children(&mut self, offset: usize, target: &Node, arguments: &[Node]) -> Result<Type, Fault> {
        self.operand(target, Type::Snapshot, ".hasChildren()")?;
        let names = match arguments {
            [] => None,
            [
                Node {
                    expr: Expr::List(names),
                    ..
                },
            ] if !names.is_empty() => {
                for name in names {
                    self.operand(name, Type::String, ".hasChildren()")?;
                }
                Some(names.len())
            }
            _ => {
                return Err(Fault::new(
                    offset,
                    ".hasChildren() takes nothing or one list of names: .hasChildren(['a', 'b'])",
                ));
            }
        };
        Ok(self.push(Op::HasChildren { names }, Type::Bool))
    }

    fn binary(&mut self, offset: usize, operator: Binary, left: &Node, right: &Node) -> Result<Type, Fault> {
        let place = format!("`{}`", operator.symbol());
        match operator {
            Binary::And | Binary::Or => self.chain(operator, left, right),
            Binary::Equal | Binary::NotEqual => {
                let (a, b) = (self.emit(left)?, self.emit(right)?);
                self.comparable(offset, &place, a, b)?;
                let negated = operator == Binary::NotEqual;
                Ok(self.push(Op::Equal { negated }, Type::Bool))
            }
            Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
                let (a, b) = (self.emit(left)?, self.emit(right)?);
                for (found, node) in [(a, left), (b, right)] {
                    if !(found.may_be(Type::Number) || found == Type::String) {
                        return Err(Fault::new(
                            node.offset,
                            format!("{place} needs a number or a string, this is {}", found.words()),
                        ));
                    }
                }
                self.comparable(offset, &place, a, b)?;
                let order = match operator {
                    Binary::Less => Order::Less,
                    Binary::LessOrEqual => Order::LessOrEqual,
                    Binary::Greater => Order::Greater,
                    _ => Order::GreaterOrEqual,
                };
                Ok(self.push(Op::Order(order), Type::Bool))
            }
            Binary::Add => self.add(left, right, &place),
            Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => {
                self.operand(left, Type::Number, &place)?;
                self.operand(right, Type::Number, &place)?;
                let operation = match operator {
                    Binary::Subtract => Arithmetic::Subtract,
                    Binary::Multiply => Arithmetic::Multiply,
                    Binary::Divide => Arithmetic::Divide,
                    _ => Arithmetic::Remainder,
                };
                Ok(self.push(Op::Arithmetic(operation), Type::Number))
            }
        }
    }

    fn add(&mut self, left: &Node, right: &Node, place: &str) -> Result<Type, Fault> {
        let mut types = [Type::Any; 2];
        for (found, node) in types.iter_mut().zip([left, right]) {
            *found = self.emit(node)?;
            if !(found.may_be(Type::Number) || *found == Type::String) {
                return Err(Fault::new(
                    node.offset,
                    format!("{place} needs numbers or strings, this is {}", found.words()),
                ));
            }
        }
        let gives = if types.contains(&Type::String) {
            Type::String
        } else if types == [Type::Number; 2] {
            Type::Number
        } else {
            Type::Any
        };
        Ok(self.push(Op::Arithmetic(Arithmetic::Add), gives))
    }

    /// Refuses a comparison that can only be false.
    fn comparable(&self, offset: usize, place: &str, a: Type, b: Type) -> Result<(), Fault> {
        let snapshot = a == Type::Snapshot || b == Type::Snapshot;
        let unlike = a != b && ![a, b].contains(&Type::Any) && ![a, b].contains(&Type::Null);
        if snapshot || unlike {
            return Err(Fault::new(
                offset,
                format!("{place} cannot compare {} with {}", a.words(), b.words()),
            ));
        }
        Ok(())
    }

    /// `a && b && c`, flat: a chain is as long as its text, so it is not recursed into.
    fn chain(&mut self, operator: Binary, left: &Node, right: &Node) -> Result<Type, Fault> {
        let mut links = vec![right];
        let mut first = left;
        while let Expr::Binary(same, left, right) = &first.expr {
            if *same != operator {
                break;
            }
            links.push(right);
            first = left;
        }
        links.push(first);
        let place = format!("`{}`", operator.symbol());
        let mut jumps = Vec::with_capacity(links.len());
        for (index, link) in links.iter().rev().enumerate() {
            if index > 0 {
                jumps.push(self.ops.len());
                self.ops.push(Op::Short {
                    when: operator == Binary::Or,
                    to: 0,
                });
            }
            if self.operand(link, Type::Bool, &place)? == Type::Any {
                self.ops.push(Op::Boolean);
            }
        }
        let end = self.ops.len();
        for at in jumps {
            if let Some(Op::Short { to, .. }) = self.ops.get_mut(at) {
                *to = end;
            }
        }
        Ok(Type::Bool)
    }

    fn choose(
        &mut self,
        offset: usize,
        condition: &Node,
        then: &Node,
        otherwise: &Node,
    ) -> Result<Type, Fault> {
        self.operand(condition, Type::Bool, "`?`")?;
        let unless = self.ops.len();
        self.ops.push(Op::Unless { to: 0 });
        let a = self.emit(then)?;
        let jump = self.ops.len();
        self.ops.push(Op::Jump { to: 0 });
        let middle = self.ops.len();
        let b = self.emit(otherwise)?;
        let end = self.ops.len();
        if let Some(Op::Unless { to }) = self.ops.get_mut(unless) {
            *to = middle;
        }
        if let Some(Op::Jump { to }) = self.ops.get_mut(jump) {
            *to = end;
        }
        match (a, b) {
            _ if a == b => Ok(a),
            (Type::Snapshot, _) | (_, Type::Snapshot) => Err(Fault::new(
                offset,
                "one side of `:` is a snapshot and the other is not",
            )),
            _ => Ok(Type::Any),
        }
    }
}

/// Whether a node is `auth` or a claim of it, whose members are claims.
fn is_claim(node: &Node) -> bool {
    match &node.expr {
        Expr::Name(name) => name == "auth",
        Expr::Member(target, _) | Expr::Index(target, _) => is_claim(target),
        _ => false,
    }
}
