//! Which types fit a slot's 64 bits, and how they go in and out.
//!
//! Such a variable is read with three loads and written without an allocation. The type test is between constants, so
//! that an optimised build keeps one branch of it.

use std::any::{Any, TypeId};

macro_rules! small_types {
    ($($type:ty: $to:expr, $from:expr;)*) => {
        /// Whether values of `T` live in a slot.
        #[inline]
        pub(crate) fn fits<T: 'static>() -> bool {
            let id = TypeId::of::<T>();
            $(id == TypeId::of::<$type>())||*
        }

        /// The bits of a value of a type that [`fits`]; 0 for others.
        #[inline]
        pub(crate) fn to_bits<T: Any>(value: &T) -> u64 {
            let value: &dyn Any = value;
            $(if let Some(value) = value.downcast_ref::<$type>() {
                let to: fn($type) -> u64 = $to;
                return to(*value);
            })*
            0
        }

        /// The value of bits made by [`to_bits`]; `None` for types that do not fit.
        #[inline]
        pub(crate) fn from_bits<T: Any + Clone>(bits: u64) -> Option<T> {
            $(if TypeId::of::<T>() == TypeId::of::<$type>() {
                let from: fn(u64) -> $type = $from;
                let value: &dyn Any = &from(bits);
                return value.downcast_ref::<T>().cloned();
            })*
            None
        }
    };
}

small_types! {
    i64: |v| v.cast_unsigned(), |b| b.cast_signed();
    u64: |v| v, |b| b;
    i32: |v| u64::from(v.cast_unsigned()), |b| (b as u32).cast_signed();
    u32: |v| u64::from(v), |b| b as u32;
    i16: |v| u64::from(v.cast_unsigned()), |b| (b as u16).cast_signed();
    u16: |v| u64::from(v), |b| b as u16;
    i8: |v| u64::from(v.cast_unsigned()), |b| (b as u8).cast_signed();
    u8: |v| u64::from(v), |b| b as u8;
    usize: |v| v as u64, |b| b as usize;
    isize: |v| (v as i64).cast_unsigned(), |b| b as isize;
    bool: |v| u64::from(v), |b| b != 0;
    char: |v| u64::from(u32::from(v)), |b| char::from_u32(b as u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    f64: f64::to_bits, f64::from_bits;
    f32: |v| u64::from(v.to_bits()), |b| f32::from_bits(b as u32);
    (): |()| 0, |_| ();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn round_trip<T: Any + Clone + PartialEq + Debug>(values: &[T]) {
        assert!(fits::<T>());
        for value in values {
            assert_eq!(from_bits::<T>(to_bits(value)).as_ref(), Some(value));
        }
    }

    #[test]
    fn every_small_type_round_trips() {
        round_trip(&[i64::MIN, -1, 0, i64::MAX]);
        round_trip(&[0, u64::MAX]);
        round_trip(&[i32::MIN, -1, i32::MAX]);
        round_trip(&[u32::MAX]);
        round_trip(&[i16::MIN, -1]);
        round_trip(&[u16::MAX]);
        round_trip(&[i8::MIN, -1]);
        round_trip(&[u8::MAX]);
        round_trip(&[usize::MAX]);
        round_trip(&[isize::MIN, -1]);
        round_trip(&[true, false]);
        round_trip(&['\0', '\u{10ffff}']);
        round_trip(&[f64::MIN, -0.0, f64::INFINITY]);
        round_trip(&[f32::MIN, -0.0]);
        round_trip(&[()]);
    }

    #[test]
    fn others_do_not_fit() {
        assert!(!fits::<String>() && !fits::<(i64,)>() && !fits::<u128>());
        assert_eq!(from_bits::<String>(0), None);
    }
}
