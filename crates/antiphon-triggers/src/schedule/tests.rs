use antiphon_wire::Code;
use jiff::civil::Weekday;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

fn read(schedule: &str, zone: &str) -> Schedule {
    Schedule::read(schedule, zone).unwrap()
}

/// The next times after one, each in its zone's own words.
fn times(schedule: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = read(schedule, zone);
    let mut time: Timestamp = after.parse().unwrap();
    let mut found = Vec::new();
    for _ in 0..count {
        time = schedule.after(time).unwrap();
        found.push(time.to_zoned(schedule.zone.clone()).strftime("%a %Y-%m-%d %H:%M%:z").to_string());
    }
    found
}

#[test]
fn a_schedule_is_meant_in_its_zone() {
    assert_eq!(
        times("0 9 * * 1-5", "Europe/Lisbon", "2026-06-05T09:00:00Z", 2),
        ["Mon 2026-06-08 09:00+01:00", "Tue 2026-06-09 09:00+01:00"]
    );
    assert_eq!(times("30 8 1 jan,JUL *", "Asia/Kolkata", "2026-06-05T00:00:00Z", 1), ["Wed 2026-07-01 08:30+05:30"]);
    assert_eq!(
        times("*/20 * * * *", "UTC", "2026-06-05T00:19:59.5Z", 2),
        ["Fri 2026-06-05 00:20+00:00", "Fri 2026-06-05 00:40+00:00"]
    );
    // Either of two days will do, as everywhere.
    assert_eq!(
        times("0 0 13 * fri", "UTC", "2026-06-01T00:00:00Z", 3),
        ["Fri 2026-06-05 00:00+00:00", "Fri 2026-06-12 00:00+00:00", "Sat 2026-06-13 00:00+00:00"]
    );
    assert_eq!(times("0 0 29 2 *", "UTC", "2026-06-01T00:00:00Z", 1), ["Tue 2028-02-29 00:00+00:00"]);
    assert_eq!(times("0 0 * * 7", "UTC", "2026-06-01T00:00:00Z", 1), ["Sun 2026-06-07 00:00+00:00"]);
}

#[test]
fn when_clocks_change_a_fixed_time_comes_once() {
    // Lisbon skips 01:00 to 02:00 on 2026-03-29, and repeats it on 2026-10-25.
    assert_eq!(
        times("30 1 * * *", "Europe/Lisbon", "2026-03-28T12:00:00Z", 2),
        ["Sun 2026-03-29 02:00+01:00", "Mon 2026-03-30 01:30+01:00"]
    );
    assert_eq!(
        times("30 1 * * *", "Europe/Lisbon", "2026-10-24T12:00:00Z", 2),
        ["Sun 2026-10-25 01:30+01:00", "Mon 2026-10-26 01:30+00:00"]
    );
    assert_eq!(
        times("30 * * * *", "Europe/Lisbon", "2026-10-25T00:00:00Z", 3),
        ["Sun 2026-10-25 01:30+01:00", "Sun 2026-10-25 01:30+00:00", "Sun 2026-10-25 02:30+00:00"]
    );
}

#[test]
fn what_is_no_schedule_is_refused_by_name() {
    let refused = |schedule: &str, zone: &str| match Schedule::read(schedule, zone) {
        Ok(_) => panic!("`{schedule}` in `{zone}` was taken"),
        Err(error) => {
            assert_eq!(error.code, Code::InvalidRequest);
            error.message.split('`').nth(1).unwrap().to_owned()
        }
    };
    for wrong in [
        "",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-4 * * * *",
        "*/0 * * * *",
        "1,,2 * * * *",
        "? * * * *",
        "* * L * *",
        "* * 15W * *",
        "* * * * 5#2",
        "* * * * +1",
        "mon * * * *",
        "* * jan * *",
        "* * * * janus",
        "a b c d e",
        "-1 * * * *",
        "1.5 * * * *",
    ] {
        assert_eq!(refused(wrong, "UTC"), "schedule", "{wrong}");
    }
    for wrong in ["", "Lisbon", "Europe/Nowhere", "../../etc/passwd", "/etc/localtime", "UTC+25", "Europe/Lisbon\0"] {
        assert_eq!(refused("* * * * *", wrong), "time_zone", "{wrong}");
    }
}

#[test]
fn what_never_comes_has_no_next_time() {
    for never in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *"] {
        assert_eq!(read(never, "UTC").after("2026-06-01T00:00:00Z".parse().unwrap()), None);
    }
}

proptest! {
    /// Compared with a walk, minute by minute, that knows nothing of cron but what each field says.
    #[test]
    fn the_next_time_is_the_first_that_fits(
        minute in proptest::option::of(0_i8..60),
        step in 1_i8..30,
        hour in proptest::option::of(0_i8..24),
        day in proptest::option::of(0_i8..7),
        start in 1_700_000_000_i64..1_900_000_000,
    ) {
        let minutes = minute.map_or_else(|| format!("*/{step}"), |minute| minute.to_string());
        let word = |field: Option<i8>| field.map_or_else(|| "*".to_owned(), |value| value.to_string());
        let schedule = read(&format!("{minutes} {} * * {}", word(hour), word(day)), "UTC");
        let start = Timestamp::from_second(start).unwrap();
        let fits = |time: Timestamp| {
            let civil = time.to_zoned(TimeZone::UTC);
            minute.map_or(civil.minute() % step == 0, |minute| civil.minute() == minute)
                && hour.is_none_or(|hour| civil.hour() == hour)
                && day.is_none_or(|day| civil.weekday() == Weekday::from_sunday_zero_offset(day).unwrap())
        };
        let mut expected = Timestamp::from_second(start.as_second() / 60 * 60 + 60).unwrap();
        while !fits(expected) {
            expected += 1.minute();
        }
        prop_assert_eq!(schedule.after(start), Some(expected));
    }

    #[test]
    fn a_next_time_is_always_later(
        schedule in "[0-9*,/-]{1,6}( [0-9*,/-]{1,6}){4}",
        zone in proptest::sample::select(vec!["UTC", "Europe/Lisbon", "America/St_Johns", "Pacific/Apia"]),
        start in 0_i64..4_000_000_000,
    ) {
        if let Ok(schedule) = Schedule::read(&schedule, zone) {
            let start = Timestamp::from_second(start).unwrap();
            if let Some(next) = schedule.after(start) {
                prop_assert!(next.duration_since(start) > SignedDuration::ZERO);
            }
        }
    }
}
