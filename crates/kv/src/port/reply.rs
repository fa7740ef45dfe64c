//! [`Reply`]: answers as bytes, in RESP2 or RESP3.

use crate::value::Value;

/// What a command answers into. Append only.
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) resp3: bool,
}

impl Reply {
    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn number(&mut self, kind: u8, mut number: u64, negative: bool) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.bytes.push(kind);
        if negative {
            self.bytes.push(b'-');
        }
        self.bytes.extend_from_slice(&digits[at..]);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn ok(&mut self) {
        self.simple("OK");
    }

    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error line; control characters become spaces, so that it stays one line.
    pub(crate) fn error(&mut self, text: &str) {
        let text: Vec<u8> = text
            .bytes()
            .map(|byte| if byte < 32 { b' ' } else { byte })
            .collect();
        self.line(b'-', &text);
    }

    pub(crate) fn int(&mut self, number: i64) {
        self.number(b':', number.unsigned_abs(), number < 0);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.number(b':', count as u64, false);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.int(i64::from(value));
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.number(b'$', bytes.len() as u64, false);
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Text to be shown as it is.
    pub(crate) fn verbatim(&mut self, text: &[u8]) {
        if self.resp3 {
            self.number(b'=', text.len() as u64 + 4, false);
            self.bytes.extend_from_slice(b"txt:");
            self.bytes.extend_from_slice(text);
            self.bytes.extend_from_slice(b"\r\n");
        } else {
            self.bulk(text);
        }
    }

    pub(crate) fn null(&mut self) {
        self.bytes
            .extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    pub(crate) fn null_array(&mut self) {
        self.bytes
            .extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(crate) fn array(&mut self, len: usize) {
        self.number(b'*', len as u64, false);
    }

    /// A map of `len` pairs; in RESP2 an array of twice as many.
    pub(crate) fn map(&mut self, len: usize) {
        let (kind, len) = if self.resp3 { (b'%', len) } else { (b'*', 2 * len) };
        self.number(kind, len as u64, false);
    }

    pub(crate) fn set(&mut self, len: usize) {
        self.number(if self.resp3 { b'~' } else { b'*' }, len as u64, false);
    }

    /// The head of a message that nobody asked for.
    pub(crate) fn push(&mut self, len: usize) {
        self.number(if self.resp3 { b'>' } else { b'*' }, len as u64, false);
    }

    pub(crate) fn double(&mut self, number: f64) {
        let text = double_text(number);
        if self.resp3 {
            self.line(b',', text.as_bytes());
        } else {
            self.bulk(text.as_bytes());
        }
    }

    /// A scalar as a string.
    pub(crate) fn scalar(&mut self, value: &Value) {
        match value {
            Value::Bytes(bytes) => self.bulk(bytes),
            other => self.bulk(&scalar_bytes(other)),
        }
    }

    pub(crate) fn optional(&mut self, value: Option<&Value>) {
        match value {
            Some(value) => self.scalar(value),
            None => self.null(),
        }
    }
}

/// A score as Redis 7.0 writes it: C's `%.17g`.
pub(crate) fn double_text(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // Whole numbers, which most scores are.
    if number.abs() < 1e15 && number.fract() == 0.0 && (number != 0.0 || number.is_sign_positive()) {
        return (number as i64).to_string();
    }
    let scientific = format!("{number:.16e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..17).contains(&exponent) {
        let decimals = usize::try_from(16 - exponent).unwrap_or(0);
        return trimmed(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

/// A number as Redis writes it: the shortest form, whole numbers without a point.
pub(crate) fn float_text(number: f64) -> String {
    if number == f64::INFINITY {
        "inf".to_owned()
    } else if number == f64::NEG_INFINITY {
        "-inf".to_owned()
    } else if number != 0.0 && !(1e-5..1e17).contains(&number.abs()) {
        let text = format!("{number:e}");
        match text.split_once("e-") {
            Some((mantissa, exponent)) => format!("{mantissa}e-{exponent:0>2}"),
            None => text.replace('e', "e+"),
        }
    } else {
        number.to_string()
    }
}

/// A value as the string that clients see. A list or an object inside a list is JSON.
pub(crate) fn scalar_bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(value) => value.to_string().into_bytes(),
        Value::Int(value) => value.to_string().into_bytes(),
        Value::Float(value) => float_text(*value).into_bytes(),
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Bytes(bytes) => bytes.to_vec(),
        other => crate::to_json(other).to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::double_text;

    #[test]
    fn doubles_are_written_as_c_writes_them() {
        for (number, text) in [
            (0.1, "0.10000000000000001"),
            (2.5, "2.5"),
            (-0.0, "-0"),
            (1e20, "1e+20"),
            (1.5e-7, "1.4999999999999999e-07"),
            (123456789.125, "123456789.125"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (0.0001, "0.0001"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(double_text(number), text);
        }
    }
}
