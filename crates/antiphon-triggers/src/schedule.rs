//! When it is time: five fields of cron in a time zone.
//!
//! Only what every cron knows is taken: numbers, `*`, lists, ranges, steps, and the names of
//! months and days. Where both days are restricted, either will do. A time that a clock's change
//! skips comes with the change; one that it repeats comes once, unless hours or minutes are `*`
//! or stepped.

use antiphon_wire::Error;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// # Errors
    /// `invalid_request` for `schedule` or `time_zone`.
    pub(crate) fn read(schedule: &str, time_zone: &str) -> Result<Self, Error> {
        let wrong = || {
            let message =
                "expected five fields of cron, such as `0 9 * * 1-5`: minute, hour, day, month, day of the week";
            Error::invalid("schedule", message)
        };
        let fields: Vec<_> = schedule.split_whitespace().collect();
        let names: [&[&str]; 5] = [&[], &[], &[], &MONTHS, &DAYS];
        if fields.len() != names.len() || !fields.iter().zip(names).all(|(field, names)| is_plain(field, names)) {
            return Err(wrong());
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&fields.join(" ")).map_err(|_| wrong())?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
        let zone = Some(time_zone).filter(|name| name.bytes().all(is_name)).and_then(|name| TimeZone::get(name).ok());
        let zone = zone.ok_or_else(|| Error::invalid("time_zone", "expected an IANA name, such as `Europe/Lisbon`"))?;
        Ok(Self { cron, zone })
    }

    /// The first time after this one; none when there is none.
    pub(crate) fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&time.to_zoned(self.zone.clone()), false).ok()?;
        Some(next.timestamp())
    }
}

/// Whether a field has nothing but numbers, names, and what joins them.
fn is_plain(field: &str, names: &[&str]) -> bool {
    let is_word = |word: &str| {
        word.bytes().all(|byte| byte.is_ascii_digit()) || names.iter().any(|name| word.eq_ignore_ascii_case(name))
    };
    field.split(',').all(|part| !part.is_empty() && part.split(['*', '-', '/']).all(is_word))
}

#[cfg(test)]
mod tests;
