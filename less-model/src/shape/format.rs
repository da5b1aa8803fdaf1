//! What a string has to look like. Each check is small and its own: what passes is well formed, not more.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A `format` of JSON Schema. All are asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 3339: `2026-01-31T12:00:00Z`.
    DateTime,
    /// RFC 3339: `2026-01-31`.
    Date,
    /// RFC 3339: `12:00:00Z`.
    Time,
    /// Something, one `@`, something.
    Email,
    /// RFC 4122: 32 hexadecimal digits in five groups.
    Uuid,
    /// A scheme, `:` and visible ASCII characters.
    Uri,
    /// Four numbers.
    Ipv4,
    /// RFC 4291.
    Ipv6,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 8] =
        [Self::DateTime, Self::Date, Self::Time, Self::Email, Self::Uuid, Self::Uri, Self::Ipv4, Self::Ipv6];

    /// Its name in JSON Schema.
    pub fn id(self) -> &'static str {
        match self {
            Self::DateTime => "date-time",
            Self::Date => "date",
            Self::Time => "time",
            Self::Email => "email",
            Self::Uuid => "uuid",
            Self::Uri => "uri",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// A text that has it.
    pub fn example(self) -> &'static str {
        match self {
            Self::DateTime => "2026-01-31T12:00:00Z",
            Self::Date => "2026-01-31",
            Self::Time => "12:00:00Z",
            Self::Email => "ada@example.com",
            Self::Uuid => "01890a5d-ac96-774b-bcce-b302099a8057",
            Self::Uri => "https://example.com/",
            Self::Ipv4 => "127.0.0.1",
            Self::Ipv6 => "::1",
        }
    }

    /// Whether a text has it.
    pub fn fits(self, text: &str) -> bool {
        match self {
            Self::DateTime => date_time(text),
            Self::Date => date(text).is_some(),
            Self::Time => time(text),
            Self::Email => email(text),
            Self::Uuid => uuid(text),
            Self::Uri => uri(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
        }
    }
}

/// The number that so many digits are.
fn digits(text: &str, count: usize) -> Option<u32> {
    if text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn date(text: &str) -> Option<()> {
    let mut parts = text.split('-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (parts.next().is_none() && (1..=days).contains(&day)).then_some(())
}

fn date_time(text: &str) -> bool {
    let Some((day, clock)) = text.split_once(['T', 't', ' ']) else { return false };
    date(day).is_some() && time(clock)
}

/// `12:00:00Z`, with fractions of a second and an offset where one likes.
fn time(text: &str) -> bool {
    let Some(at) = text.find(['Z', 'z', '+', '-']) else { return false };
    let (clock, zone) = text.split_at(at);
    let zone = match zone.strip_prefix(['+', '-']) {
        Some(offset) => hours_and_minutes(offset).is_some(),
        None => zone.len() == 1,
    };
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => {
            (clock, !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()))
        }
        None => (clock, true),
    };
    let seconds = clock.rsplit_once(':').is_some_and(|(rest, seconds)| {
        // 60 is a leap second.
        hours_and_minutes(rest).is_some() && digits(seconds, 2).is_some_and(|seconds| seconds <= 60)
    });
    zone && fraction && seconds
}

fn hours_and_minutes(text: &str) -> Option<()> {
    let (hours, minutes) = text.split_once(':')?;
    (digits(hours, 2)? < 24 && digits(minutes, 2)? < 60).then_some(())
}

fn email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain = |part: &str| {
        !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@')
    };
    let dots = |part: &str| part.split('.').all(|label| !label.is_empty());
    text.len() <= 320 && plain(local) && plain(domain) && dots(local) && dots(domain)
}

fn uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut bytes = scheme.bytes();
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    let escapes = rest
        .split('%')
        .skip(1)
        .all(|escape| escape.len() >= 2 && escape.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && rest.bytes().all(allowed)
        && escapes
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn every_format_accepts_its_example_and_no_others_nonsense() {
        for format in Format::ALL {
            assert!(format.fits(format.example()), "{format:?}");
            for bad in ["", " ", "x", "@", "-", ":", "é", "12:00", "2026-02-30", "::1::"] {
                assert!(!format.fits(bad), "{format:?} {bad:?}");
            }
        }
    }

    #[test]
    fn what_is_well_formed_fits() {
        let good = [
            (Format::DateTime, "2024-02-29T23:59:60.123456789+05:30"),
            (Format::DateTime, "1990-12-31t15:59:59z"),
            (Format::Date, "2000-02-29"),
            (Format::Time, "00:00:00.5-00:00"),
            (Format::Email, "o'brien+tag@mail.example.co.uk"),
            (Format::Email, "ü@exämple.com"),
            (Format::Uuid, "550E8400-e29b-41d4-A716-446655440000"),
            (Format::Uri, "urn:less:x"),
            (Format::Uri, "http://[::1]:80/a%20b?c=d#e"),
            (Format::Ipv6, "2001:db8::ff00:42:8329"),
        ];
        for (format, text) in good {
            assert!(format.fits(text), "{format:?} {text:?}");
        }
    }

    #[test]
    fn what_is_nearly_well_formed_does_not_fit() {
        let bad = [
            (Format::DateTime, "2023-02-29T00:00:00Z"),
            (Format::DateTime, "2026-01-31T12:00:00"),
            (Format::DateTime, "2026-01-31T24:00:00Z"),
            (Format::DateTime, "2026-01-31T12:00:00.Z"),
            (Format::DateTime, "+026-01-31T12:00:00Z"),
            (Format::Date, "2026-1-31"),
            (Format::Date, "1900-02-29"),
            (Format::Time, "12:00:00+24:00"),
            (Format::Time, "12:00:00ZZ"),
            (Format::Email, "a b@c"),
            (Format::Email, "a@b@c"),
            (Format::Email, "a..b@c"),
            (Format::Uuid, "550e8400e29b41d4a716446655440000"),
            (Format::Uuid, "g50e8400-e29b-41d4-a716-446655440000"),
            (Format::Uri, "/relative"),
            (Format::Uri, "http://a b"),
            (Format::Uri, "http://a/%zz"),
            (Format::Ipv4, "1.2.3.256"),
            (Format::Ipv4, "01.2.3.4"),
        ];
        for (format, text) in bad {
            assert!(!format.fits(text), "{format:?} {text:?}");
        }
    }
}
