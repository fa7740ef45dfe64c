//! [`Form`]: how a cell holds its value: as 64 bits in its slot, or behind an `Arc`.

use super::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Form {
    /// There is no value.
    Gone,
    Null,
    Bool,
    Int,
    Float,
    /// Text, bytes, a list or a map: not in the bits.
    Shared,
}

impl Form {
    #[inline]
    pub(super) const fn from_u8(number: u8) -> Self {
        match number {
            0 => Self::Gone,
            1 => Self::Null,
            2 => Self::Bool,
            3 => Self::Int,
            4 => Self::Float,
            _ => Self::Shared,
        }
    }

    #[inline]
    pub(super) const fn of(value: Option<&Value>) -> Self {
        match value {
            None => Self::Gone,
            Some(Value::Null) => Self::Null,
            Some(Value::Bool(_)) => Self::Bool,
            Some(Value::Int(_)) => Self::Int,
            Some(Value::Float(_)) => Self::Float,
            Some(_) => Self::Shared,
        }
    }

    /// The bits of a value that needs nothing else.
    #[inline]
    pub(super) fn bits(value: &Value) -> Option<u64> {
        match value {
            Value::Bool(set) => Some(u64::from(*set)),
            Value::Int(number) => Some(number.cast_unsigned()),
            Value::Float(number) => Some(number.to_bits()),
            _ => None,
        }
    }

    /// The value of bits; nothing if they are not all of it.
    #[inline]
    pub(super) const fn value(self, bits: u64) -> Option<Value> {
        match self {
            Self::Gone | Self::Shared => None,
            Self::Null => Some(Value::Null),
            Self::Bool => Some(Value::Bool(bits != 0)),
            Self::Int => Some(Value::Int(bits.cast_signed())),
            Self::Float => Some(Value::Float(f64::from_bits(bits))),
        }
    }
}
