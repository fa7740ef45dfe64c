//! Values: what a leaf holds ([`scalar`]), JSON text that is read exactly ([`json`]), the one form in which a document is
//! stored, answered and streamed ([`canonical`]), and documents put together from rows, as values ([`build`]) or as text ([`text`]).
//!
//! Integers of 64 bits are exact, signed or not; other numbers are IEEE doubles, read and written so that the same double
//! comes back; an integer beyond 64 bits is refused, since it could not be kept. Nothing is stored for `null`, `{}` and `[]`.

pub(crate) mod build;
pub(crate) mod canonical;
pub(crate) mod json;
pub(crate) mod scalar;
pub(crate) mod text;

pub use json::parse_json;
