//! Numbers as SNS compares them: from -10⁹ to 10⁹, with five digits after the point.

use serde_json::Number;

/// Largest number that SNS compares, and, negated, the smallest.
const LARGEST: f64 = 1e9;
/// Ten to the number of digits that count.
const SCALE: f64 = 1e5;
/// How far from a whole number a product of [`SCALE`] may be by rounding alone: numbers of this size are 1/64 apart.
const ROUNDING: f64 = 0.05;

/// A number in hundred-thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fixed(i64);

impl Fixed {
    /// The number, where it is in SNS's range. What comes after the fifth digit is cut off.
    pub(super) fn of(number: &Number) -> Option<Self> {
        let number = number.as_f64().filter(|number| number.abs() <= LARGEST)?;
        let scaled = number * SCALE;
        let near = scaled.round();
        let whole = if (scaled - near).abs() < ROUNDING { near } else { scaled.floor() };
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and at most 10¹⁴")]
        Some(Self(whole as i64))
    }

    /// Whether a number has more digits than count.
    pub(super) fn cuts(number: &Number) -> bool {
        number.as_f64().is_some_and(|number| {
            let scaled = number * SCALE;
            (scaled - scaled.round()).abs() >= ROUNDING
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> Option<Fixed> {
        Fixed::of(&serde_json::from_str(text).expect("a number"))
    }

    #[test]
    fn numbers_are_compared_by_value_and_to_the_fifth_digit() {
        for (a, b) in
            [("301.5", "3.015e2"), ("0.29", "0.290001"), ("-0.00001", "-1e-5"), ("100", "100.000001")]
        {
            assert_eq!(fixed(a), fixed(b), "{a} {b}");
        }
        assert!(fixed("0.29") < fixed("0.29001") && fixed("-2") < fixed("-1"));
        assert_eq!(fixed("999999999.99999").map(|fixed| fixed.0), Some(99_999_999_999_999));
        assert_eq!((fixed("1000000000.1"), fixed("-1e10")), (None, None));
    }
}
