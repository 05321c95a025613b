//! Writing single items, byte strings among them: for what is not in the profile because it carries stored bytes as they
//! are. The heads are the shortest (RFC 8949 section 4.2.1), and order is up to who writes.

/// Writes items one after the other. Opening an array or a map promises so many items behind it.
#[derive(Debug, Default)]
pub struct Items(Vec<u8>);

impl Items {
    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A whole number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.head(0, number)
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(2, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// A text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.head(3, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// The beginning of a map of so many pairs.
    pub fn map(&mut self, pairs: u64) -> &mut Self {
        self.head(5, pairs)
    }

    fn head(&mut self, major: u8, number: u64) -> &mut Self {
        let all = number.to_be_bytes();
        let (additional, width) = match number {
            0..24 => (all[7], 0),
            24..0x100 => (24, 1),
            0x100..0x1_0000 => (25, 2),
            0x1_0000..0x1_0000_0000 => (26, 4),
            _ => (27, 8),
        };
        self.0.push(major << 5 | additional);
        self.0.extend_from_slice(&all[8 - width..]);
        self
    }
}

#[cfg(test)]
mod tests {
    use ciborium::Value;

    use super::*;

    #[test]
    fn heads_are_the_shortest_and_every_reader_understands_them() {
        for number in [0, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
            let mut items = Items::default();
            items.number(number);
            let mut expected = Vec::new();
            ciborium::into_writer(&Value::from(number), &mut expected).unwrap();
            assert_eq!(items.into_bytes(), expected, "{number}");
        }
        for length in [0, 1, 23, 24, 300, 70_000] {
            let mut items = Items::default();
            items.map(2).text("a").bytes(&vec![7; length]).text("bc").text(&"x".repeat(length));
            let read: Value = ciborium::from_reader(&items.into_bytes()[..]).unwrap();
            let pair = |name: &str, value| (Value::from(name), value);
            let expected =
                [pair("a", Value::Bytes(vec![7; length])), pair("bc", Value::Text("x".repeat(length)))];
            assert_eq!(read, Value::Map(expected.into()));
        }
    }
}
